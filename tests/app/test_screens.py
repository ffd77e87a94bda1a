"""The screens by their keys, without a worker: what a key acknowledges is on the disk, and undo takes it back."""

import errno
import os

import msgspec
import pytest
from rich.cells import cell_len
from textual.events import Key, Paste
from textual.widgets import DataTable, Input, TextArea

from core import config
from core.config import FILE
from core.errors import FlavorError
from core.lock import Lock
from core.task import Field, Task
from dataset.rows import Tables
from dataset.store import Store
from runs import measured
from runs.measured import Losses
from tests.app.conftest import TEXTS, add_candidates
from tests.made import bake, write
from tui import keys
from tui.app import FlavorApp, run_app
from tui.desk import Desk
from tui.offers import offer
from tui.screens import curate
from tui.screens.blind import BlindScreen
from tui.screens.curate import CurateScreen
from tui.screens.curve import CurveDialog
from tui.screens.drafts import DraftsDialog
from tui.screens.edit import EditDialog
from tui.screens.importing import ImportDialog
from tui.screens.library import LibraryScreen
from tui.screens.moments import MomentsDialog
from tui.screens.runs import RunsScreen
from tui.screens.welcome import BLANK, WelcomeScreen
from tui.screens.write import WriteScreen
from tui.session import drafts, losses
from tui.session.drafts import Draft, Typed, kept_drafts, unwritten
from tui.session.recent import recent, remember
from tui.session.session import Session
from tui.widgets.curves import CurvesPlot
from tui.widgets.plain import Plain

PLACED = {
    "desk", "summary", "tabs", "activity", "keys", "card", "heading", "text-scroll",
    "write-text", "measure", "library-head", "search", "library-table", "runs-desk", "report",
}  # fmt: skip


def shown(app, where="#text"):
    return str(app.screen.query_one(where, Plain).content)


def on_disk(workspace):
    """What a fresh process would see, while the app still runs."""
    return Store(workspace, read_only=True)


async def test_deciding(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, CurateScreen)
        order = []
        for key in ("a", "x", "space"):
            order.append(shown(app))
            await pilot.press(key)
            if key == "a":
                assert [e.text for e in on_disk(workspace).examples.values()][-1] == order[0]
        assert sorted(order) == sorted(TEXTS)
        assert on_disk(workspace).counts == {"accepted": 1, "rejected": 1, "skipped": 1, "pending": 0}
        assert "No candidate waits" in shown(app)
        for text in reversed(order):
            await pilot.press("u")
            assert text in shown(app)
        assert on_disk(workspace).counts["pending"] == 3
        assert len(on_disk(workspace).examples) == 3


async def test_an_empty_text_waits_for_better_ones_while_they_are_written(workspace):
    """It ended first and came first; nobody has to decide it before there is another."""
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("x", "x", "x")
        assert "\nF2 writes another example, F4 opens" in shown(app)  # no worker: nothing can be sampled
        for doing, ways in (
            ("ready", "g samples some now, t retrains first, F2 writes"),
            ("measuring", "F2 writes"),
            ("dead", "F2 writes"),
            ("training", "g samples some now, F2 writes"),
            ("sampling", "t retrains first, F2 writes"),
            ("loading", "F2 writes"),
        ):
            app.jobs.doing = doing
            app.screen.activity_changed()
            assert f"\n{ways}" in shown(app)
        app.jobs.doing = "loading"
        app.redraw_activity()
        assert "come by themselves" in shown(app)
        app.jobs.doing = "sampling"
        add_candidates(app.session, [""])
        app.screen.renew_all()
        assert "on their way" in shown(app) and "empty" not in shown(app)
        add_candidates(app.session, ["A lamp."])
        app.screen.renew_all()
        assert shown(app) == "A lamp."
        app.jobs.doing = "ready"
        await pilot.press("x")
        assert "an empty text" in shown(app)  # the last one that waits, and none is on its way


async def test_an_empty_text_of_a_new_checkpoint_does_not_keep_the_old_card(workspace, monkeypatch):
    with Session(workspace) as session:
        write(session, 9)
        bake(session, [3.0, 2.5])
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert shown(app) in TEXTS
        monkeypatch.setattr(curate, "READING", 0)
        app.prefer_new = True
        for text, there in (("", TEXTS), ("A lamp of the new kind.", ["A lamp of the new kind."])):
            add_candidates(app.session, [text], app.session.registry.current())
            app.changed()
            assert shown(app) in there


async def test_the_librarys_texts_are_cut_where_the_screen_ends_and_say_so(workspace):
    with Session(workspace) as session:
        session.write_example("A lamp that was lit by nobody. " * 9, {})
    with Session(workspace) as session:
        session.write_example("灯" * 90, {})
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f4")
        for width in (80, 120, 160, 80):
            await pilot.resize_terminal(width, 30)
            await pilot.pause()
            table = app.screen.query_one(DataTable)
            for row, begins in ((1, "灯灯"), (2, "A lamp that was lit")):
                shown_row = "".join(segment.text for segment in table.render_line(row)).rstrip()
                assert shown_row.endswith("…") and begins in shown_row and width - 8 < cell_len(shown_row) <= width, shown_row
            assert table.max_scroll_x == 0


@pytest.mark.parametrize("mode", ["write", "library", "runs", "report", "curate"])
async def test_a_page_that_is_the_first_looks_as_it_does_later(workspace, mode):
    """Whichever screen's styles were read before."""
    Desk(workspace, False).keep(mode=mode)
    app = FlavorApp(workspace, start_worker=False)

    def places():
        return [(widget.id, widget.region) for widget in app.screen.walk_children() if widget.id and widget.id in PLACED]

    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.1)
        assert app.current_mode == mode
        first = places()
        assert first
        for key in ("f2", "f3", "f4", "f5", "f6"):
            await pilot.press(key)
            await pilot.pause(0.05)
        app.switch_mode(mode)
        await pilot.pause(0.1)
        assert places() == first


async def test_an_edit_asks_again_after_a_paste_and_forgets_the_question_when_typed_on(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f3", "e", "z", "escape")
        assert shown(app, "#dialog-error") == "! esc once more throws away what you typed."
        app.post_message(Paste("a whole paragraph"))
        await pilot.pause()
        assert shown(app, "#dialog-error") == ""
        await pilot.press("escape")
        assert isinstance(app.screen, EditDialog) and "paragraph" in app.screen.query_one(TextArea).text


async def test_a_text_that_a_terminal_would_hide_is_left_unchanged_by_one_escape(workspace):
    with Session(workspace) as session:
        uid = add_candidates(session, ["Two lines\r\nand an escape \x1b[31m"])[0]
        candidate = msgspec.structs.replace(session.store.candidates[uid], fields={"Coast": "\u200bwest"})
        session.commit("sample", Tables(candidates={uid: candidate}))
    Desk(workspace, False).keep(mode="curate", card=uid)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.screen.shown == uid
        await pilot.press("e")
        await pilot.pause(1.2)  # longer than until a draft is kept
        await pilot.press("escape")
        assert not isinstance(app.screen, EditDialog) and not list((workspace / "drafts").glob("edit-*"))


async def test_a_candidate_of_a_task_that_lost_its_fields_is_edited(workspace):
    path = workspace / FILE
    path.write_text(path.read_text().split("[[task.fields]]")[0])
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f3", "e", "escape")
        assert not isinstance(app.screen, EditDialog)  # nothing was changed
        await pilot.press("e", "z", "ctrl+s")
        await pilot.pause()
        (decision,) = app.session.store.decisions.values()
        assert decision.after == decision.before + "z" and decision.kept_fields is None


async def test_every_screen_shows_its_keys(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        for key in ("f3", "f2", "f4", "f5", "f6"):
            await pilot.press(key)
            for _ in range(50):
                await pilot.pause(0.02)
                if app.screen.query("Footer FooterKey"):
                    break
            assert app.screen.query("Footer FooterKey"), key


async def test_keys_are_drawn_anew_only_where_one_changed(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        while not (drawn := list(app.screen.query("Footer FooterKey"))):
            await pilot.pause(0.02)
        await pilot.press("x")
        app.screen.refresh_bindings()
        await pilot.pause(0.1)
        assert list(app.screen.query("Footer FooterKey")) == drawn
        app.bind("f9", "quit", description="another word")
        app.screen.refresh_bindings()
        for _ in range(50):
            await pilot.pause(0.02)
            if "another word" in (words := [key.description for key in app.screen.query("Footer FooterKey")]):
                break
        assert "another word" in words


async def test_a_paste_that_comes_when_the_app_has_ended_is_no_fault(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
    assert not app.screen_stack
    await app.on_event(Paste("late"))
    assert not (workspace / "logs/screen.log").exists()


async def test_undo_goes_on_after_a_restart(workspace):
    for keys_, count in ("a", 4), ("u", 3), ("uu", 2):  # the last two take back an example that was written before
        app = FlavorApp(workspace, start_worker=False)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            await pilot.press(*keys_)
        assert len(on_disk(workspace).examples) == count


async def test_what_was_not_done_on_a_page_is_named_before_its_key_takes_it_back(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        said = lambda: [str(note.message) for note in app._notifications]  # noqa: E731
        await pilot.press("x", "f4", "u")
        assert said()[-1].startswith("The last thing was not done here: rejected, “") and said()[-1].endswith(
            "”. u once more takes it back."
        )
        await pilot.press("down", "u")  # another key takes the question back
        assert on_disk(workspace).counts["rejected"] == 1
        await pilot.press("u")
        assert on_disk(workspace).counts["rejected"] == 0
        await pilot.press("f3", "u")
        assert (
            said()[-1].startswith("The last thing was not done here: example written, “Example 2: a tower")
            and len(on_disk(workspace).examples) == 3
        )
        await pilot.press("u")
        assert len(on_disk(workspace).examples) == 2 and said()[-1].startswith("Taken back: example written, “Example 2")


async def test_a_decision_made_in_the_library_is_taken_back_there_at_once(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.press("x", "f4", *"oooooo", "enter", "ctrl+s")
        await pilot.pause()
        assert len(on_disk(workspace).examples) == 4
        assert [str(note.message) for note in app._notifications][-1].endswith("It is no longer among the rows that are shown here.")
        await pilot.press("u")
        assert len(on_disk(workspace).examples) == 3 and on_disk(workspace).counts["rejected"] == 1


async def test_the_library_says_that_an_edit_was_saved(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        said = lambda: [str(note.message) for note in app._notifications]  # noqa: E731
        await pilot.press("f4", "enter", *" Twice.", "ctrl+s")
        await pilot.pause()
        assert said()[-1] == "Saved: “Example 2: a tower with a light and a k…”. u takes it back."
        await pilot.press("slash", *"twice", "enter")
        await pilot.pause(0.4)
        await pilot.press("enter", *["backspace"] * 7, "ctrl+s")
        await pilot.pause()
        assert said()[-1].endswith("u takes it back. It is no longer among the rows that are shown here.")
        await pilot.press("u")
        assert app.screen.query_one(DataTable).row_count == 1


async def test_editing_keeps_before_and_after(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("e")
        await pilot.pause()
        assert isinstance(app.screen, EditDialog)
        await pilot.press(*"Yes.")
        await pilot.press("ctrl+s")
        await pilot.pause()
        (decision,) = on_disk(workspace).decisions.values()
        assert decision.before in TEXTS
        assert (decision.verdict, decision.after) == ("edit", decision.before + "Yes.")
        assert not list((workspace / "drafts").glob("edit-*"))


async def test_a_candidate_is_kept_with_the_attributes_that_suit_it(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f3", "e")
        field = app.screen.query_one("#field-1", Input)
        assert field.value == "Odd"
        field.focus()
        await pilot.press("ctrl+u", *"kind", "ctrl+s")
        await pilot.pause()
        store = app.session.store
        (decision,) = store.decisions.values()
        assert (decision.verdict, decision.after) == ("edit", decision.before)
        assert store.examples[decision.example].fields == {"Height": "3", "Keeper": "Kind"} == decision.kept_fields
        assert decision.fields["Keeper"] == "Odd"
        await pilot.press("u", "e")
        assert app.screen.query_one("#field-1", Input).value == "Kind"  # what was typed is not lost with the decision
        await pilot.press("escape", "escape", "e")
        assert app.screen.query_one("#field-1", Input).value == "Odd"


async def test_an_edit_that_is_taken_back_offers_its_wording_again(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        card = app.screen.candidate()
        await pilot.press("e", *"Mine.", "ctrl+s", "u")
        await pilot.pause()
        assert app.screen.candidate() == card
        assert "offered where you edit it again" in "".join(notice.message for notice in app._notifications)
        await pilot.press("x", "u", "e")  # another decision in between is no edit
        await pilot.pause()
        assert app.screen.query_one(TextArea).text == card.text + "Mine."
        assert "took back" in str(app.screen.query_one("#dialog-draft Plain", Plain).content)
        await pilot.press("ctrl+s")
        await pilot.pause()
        (decision,) = on_disk(workspace).decisions.values()
        assert decision.after == card.text + "Mine."
        await pilot.press("f4", "enter", *"Yours.", "ctrl+s", "u", "enter")  # an example that is changed as well
        await pilot.pause()
        assert app.screen.query_one(TextArea).text == card.text + "Mine.Yours."
        await pilot.press("escape", "escape", "enter")
        await pilot.pause()
        assert app.screen.query_one(TextArea).text == card.text + "Mine."
        assert not list((workspace / "drafts").glob("edit-*"))


async def test_without_a_card_every_key_for_one_says_so(workspace):
    with Session(workspace) as session:
        for uid in list(session.store.pending):
            session.decide(uid, "skip")
    app, said = FlavorApp(workspace, start_worker=False), []
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.say = lambda text, *_, **__: said.append(text)
        await pilot.press("a", "x", "e", "space")
        assert said == ["There is no card to decide."] * 4


async def test_an_edit_that_is_left_changes_nothing(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        card = shown(app)
        await pilot.press("e", "z", "escape", "y", "escape")
        assert isinstance(app.screen, EditDialog) and shown(app, "#dialog-error").startswith("! esc once more")
        await pilot.press("escape")
        await pilot.pause()
        assert shown(app) == card in TEXTS
        assert not on_disk(workspace).decisions


async def test_a_wide_terminal_shows_the_queue_from_the_first_picture(workspace):
    """Also where Curate is not the screen that the program begins with: the class of its width comes after its first picture."""
    Desk(workspace, False).keep(mode="write")
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        await pilot.press("f3")
        await pilot.pause()
        assert all(text[:20] in shown(app, "#queue") for text in TEXTS)


async def test_writing(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("f2")
        await pilot.pause()
        assert isinstance(app.screen, WriteScreen)
        app.screen.query_one("#field-1", Input).value = "kind"
        area = app.screen.query_one(TextArea)
        area.focus()
        await pilot.press(*"a x u t")  # letters that decide on Curate are only letters here
        await pilot.press("ctrl+s")
        await pilot.pause()
        last = list(on_disk(workspace).examples.values())[-1]
        assert (last.text, last.fields, last.origin) == ("a x u t", {"Keeper": "Kind"}, "written")
        assert area.text == ""
        await pilot.press("ctrl+s")  # an empty text is refused
        assert len(on_disk(workspace).examples) == 4


async def test_write_takes_back_what_was_saved_and_nothing_else(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("f2", *"A tower.", "ctrl+s", "f3", "x", "f2", "ctrl+u")
        await pilot.pause()
        assert "Something else was done last: rejected. u on Curate takes it back." in {str(note.message) for note in app._notifications}
        store = on_disk(workspace)
        assert store.counts["rejected"] == 1 and len(store.examples) == 4
        await pilot.press("f3", "u", "f2", "ctrl+u")
        await pilot.pause()
        store = on_disk(workspace)
        assert store.counts["rejected"] == 0 and len(store.examples) == 3


async def test_what_is_said_of_keys_names_the_persons_own(workspace):
    with (workspace / FILE).open("a", encoding="utf-8") as file:  # a new one ends with [keys]
        file.write('write = "f9"\nlibrary = "ctrl+l"\nmore = "y"\nrescue = "f7"\nundo_library = "w"\nundo = "z"\n')
    with Session(workspace) as session:
        for uid in list(session.store.pending):
            session.decide(uid, "skip")
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        assert [str(tab.content).split() for tab in app.screen.query(".tab")][:3] == [
            ["Write", "F9"],
            ["Curate", "F3"],
            ["Library", "ctrl+l"],
        ]
        app.jobs.doing = "ready"
        app.jobs.samples.give_up()
        app.screen.renew_all()
        assert shown(app) == "No candidate waits.\n\ny samples some now, t retrains first, F9 writes another example."
        app.jobs.doing = "measuring"
        app.screen.renew_all()
        assert shown(app).endswith("F9 writes another example, ctrl+l opens those that are there.")
        app.session.store.journal.broken = "The journal could not be written."
        offer(app)
        app.push_screen(BlindScreen(["base"]))
        await pilot.pause()
        await pilot.press("u")
        said = [note.message for note in app._notifications]
        assert "The journal could not be written. F7: write again, or save a copy elsewhere." in said
        assert any(text.endswith("z on Curate takes that back.") for text in said)
        await pilot.press("escape")
        app.push_screen(ImportDialog(app.session))
        await pilot.pause()
        assert "w in the Library takes it back." in shown(app, "#import-text")
        app.own_keys = {"more": "slash", "undo": "left_square_bracket", "use": "full_stop", "rescue": "ctrl+e", "open": "T"}
        assert [app.own_key(action) for action in (*app.own_keys, "search")] == ["/", "[", ".", "ctrl+e", "T", "/"]
        app.jobs.doing, app.session.store.journal.broken = "none", ""


async def test_what_is_typed_right_after_tab_goes_where_the_focus_goes(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("f2")
        await pilot.pause()
        fields = list(app.screen.query(Input))
        fields[1].focus()
        for key in ("shift+tab", "3", "tab", "K", "tab", "b"):  # faster than any of them is answered
            app.post_message(Key(key, key if len(key) == 1 else None))
        await pilot.pause()
        assert [field.value for field in fields] == ["3", "Kind", "b"]


async def test_a_hint_that_is_too_long_says_so(tmp_path):
    config.create(tmp_path / "many", Task("A Bird", fields=(Field("Song", "choice", tuple(f"as rain on roof {n}" for n in range(9))),)))
    app = FlavorApp(tmp_path / "many", start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        field = app.screen.query_one("#field-0", Input)
        assert str(field.placeholder).endswith("…") and len(str(field.placeholder)) < field.size.width
        await pilot.resize_terminal(240, 40)
        await pilot.pause()
        assert str(field.placeholder).endswith("as rain on roof 8")


async def test_a_draft_survives(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("f2")
        await pilot.pause()
        app.screen.query_one(TextArea).focus()
        await pilot.press(*"half a text")
        await pilot.press("escape")
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("f2")
        await pilot.pause()
        assert app.screen.query_one(TextArea).text == "half a text"


async def test_library(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        await pilot.press("x", "f4")
        await pilot.pause()
        assert isinstance(app.screen, LibraryScreen)
        table = app.screen.query_one(DataTable)
        assert table.row_count == 3
        await pilot.press("d")
        assert table.row_count == 2 and len(on_disk(workspace).examples) == 2
        await pilot.press("u")
        assert table.row_count == 3 and len(on_disk(workspace).examples) == 3
        await pilot.press("o")
        assert table.row_count == 4
        await pilot.press("slash", *"Example 1")
        await pilot.pause(0.4)
        assert table.row_count == 1
        await pilot.press(*"00")
        await pilot.pause(0.4)
        assert table.row_count == 0 and "nothing holds “Example 100”" in str(app.screen.query_one("#library-head", Plain).content)
        await pilot.press("backspace", "backspace")
        await pilot.pause(0.4)
        await pilot.press("enter", "enter")
        await pilot.pause()
        assert isinstance(app.screen, EditDialog)


def column(app, key):
    """A column of Library as it is drawn."""
    return [str(cell) for cell in app.screen.query_one(DataTable).get_column(key)]


async def test_the_library_begins_with_the_examples_and_says_what_else_there_is(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("f4")
        await pilot.pause()
        assert "3 examples · all shown" in shown(app, "#library-head")
        await pilot.press("f3", "x", "space", "f4")
        await pilot.pause()
        assert column(app, "origin") == ["✎ written"] * 3
        assert "3 examples · o shows 2 more, rejected, skipped or passed over" in shown(app, "#library-head")
        await pilot.press("o")
        first, others = column(app, "origin")[:3], column(app, "origin")[3:]
        assert first == ["✎ written"] * 3 and set(others) == {"· skipped", "✗ rejected"}
        assert "5 shown, 2 of them rejected, skipped or passed over" in shown(app, "#library-head")


async def test_a_search_looks_into_all_rows_and_the_cursor_is_on_the_first_it_finds(workspace):
    with Session(workspace) as session:
        for number in range(40):
            session.write_example(f"A mast without a lamp, number {number}.", {})
        for uid in add_candidates(session, [f"The gulls of pier {number} sleep." for number in range(9)]):
            session.decide(uid, "reject")
        session.write_example("The gulls leave.", {})
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f4", *["down"] * 30, "slash", *"gulls", "enter")
        table = app.screen.query_one(DataTable)
        assert (table.row_count, table.cursor_row, table.has_focus) == (10, 0, True)
        assert column(app, "origin") == ["✎ written"] + ["✗ rejected"] * 9
        await pilot.press("down", "slash", "end", *" of pier 4", "enter")
        assert (table.row_count, table.cursor_row) == (1, 0)
        await pilot.press("slash", "escape")
        await pilot.pause(0.3)
        assert (table.row_count, table.cursor_row) == (44, 0)  # the row it was on is none of the examples


async def test_the_library_shows_attributes_and_finds_rows_by_them(workspace):
    with Session(workspace) as session:
        session.write_example("A lamp.", {"Keeper": "Odd", "Coast": "The [bold]reefs[/] beyond the edge of the known world"})
        session.write_example("A mast.", {})
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.press("f4")
        await pilot.pause()
        whole = ["no attributes", "- · Odd · The [bold]reefs[/] beyond the…", *["2 · - · -"] * 3]
        assert column(app, "attributes") == whole
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert column(app, "attributes") == ["no attributes", "- · Odd · Th…", *["2 · - · -"] * 3]
        for asked, found in (("odd ·", ["✎ written"]), ("known world", ["✎ written"]), ("no attributes", ["✎ written"])):
            await pilot.press("slash", "ctrl+u", *asked, "enter")
            assert column(app, "origin") == found
        assert column(app, "text") == ["A mast."]


async def test_without_fields_the_library_has_no_column_for_them(tmp_path):
    config.create(tmp_path / "w", Task("Dish"))
    app = FlavorApp(tmp_path / "w", start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f4")
        await pilot.pause()
        assert [str(column.label) for column in app.screen.query_one(DataTable).ordered_columns] == ["origin", "words", "≈", "loss", "text"]


async def test_words_are_counted_where_none_stands_between_blanks(workspace):
    with Session(workspace) as session:
        session.write_example("雾中的灯塔", {})
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("f4")
        await pilot.pause()
        assert str(app.screen.query_one(DataTable).get_row_at(0)[1]).strip() == "5"


async def test_what_the_librarys_keys_say(workspace):
    """On an empty table there is nothing to delete; what enter does stands in the footer."""
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("f4", "o", "o", "o", "d")
        await pilot.pause()
        assert app.screen.query_one(DataTable).row_count == 0  # nothing was imported
        assert [str(note.message) for note in app._notifications] == ["No row is shown that could be deleted."]
        await until_footer(app, pilot)
        drawn = "".join(segment.text for segment in list(app.screen._compositor.render_strips())[-1])
        assert "open" in drawn and "help" in drawn


async def until_footer(app, pilot):
    for _ in range(400):
        if app.screen.query("FooterKey"):
            break
        await pilot.pause(0.05)
    await pilot.pause()


async def test_the_librarys_losses_are_those_of_the_active_checkpoint_and_of_the_texts_as_they_are(workspace):
    with Session(workspace) as session:
        write(session, 12)
        bake(session, [4.0, 3.4, 3.2])
        rows = {uid: (losses._hash(session, example), 3.0) for uid, example in session.store.examples.items()}
        measured.keep_losses(workspace, "0001/epoch-02", Losses("f", rows, "now"))
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("f4")
        await pilot.pause()
        table = app.screen.query_one(DataTable)
        told = lambda: [str(cell) for cell in table.get_column("loss") if str(cell)]  # noqa: E731
        assert told() == ["3.00"] * 15
        app.session.change_example("row05", "Another text.", {})
        app.changed()
        assert told() == ["3.00"] * 14
        app.session.use("0001/epoch-01")
        app.changed()
        assert told() == []
        measured.keep_losses(workspace, "0001/epoch-01", Losses("f", {uid: (of, 4.0) for uid, (of, _) in rows.items()}, "now"))
        app.changed()
        assert told() == ["4.00"] * 14
        app.session.use("0001/epoch-02")
        app.changed()
        assert told() == ["3.00"] * 14


async def test_what_could_not_be_deleted_is_not_said_to_be(workspace, monkeypatch):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.press("f4")
        await pilot.pause()
        with monkeypatch.context() as patched:
            patched.setattr("dataset.journal.sync", no_room)
            await pilot.press("d")
        said = " ".join(str(note.message) for note in app._notifications)
        assert "No space left" in said and "Deleted" not in said
    assert len(on_disk(workspace).examples) == 3
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.press("f4", "d")
        await pilot.pause()
        assert "Deleted; u brings it back." in {str(note.message) for note in app._notifications}


async def test_home_and_end_go_to_the_ends_and_an_offer_of_undo_goes_with_it(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.press("f4", "end")
        table = app.screen.query_one(DataTable)
        assert table.cursor_row == 2
        before = list(app.session.store.examples)
        await pilot.press("d", "u")
        await pilot.pause()
        assert not any("brings it back" in note.message for note in app._notifications)
        assert list(app.session.store.examples) == before
        await pilot.press("home")
        assert table.cursor_row == 0


async def test_the_librarys_cursor_stays_on_its_row(workspace):
    with Session(workspace) as session:
        uid, newer = add_candidates(session, ["An older candidate.", "A newer one."])
        session.decide(uid, "reject")
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("f4", *"oooooo", "enter")
        await pilot.pause()
        assert app.screen.query_one(TextArea).text == "An older candidate."
        await pilot.press("escape")
        app.session.decide(newer, "reject")  # it comes above, as what is passed over does when a batch has ended
        app.changed()
        assert app.screen.query_one(DataTable).row_count == 2
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen.query_one(TextArea).text == "An older candidate."
        await pilot.press("ctrl+s", "enter")
        await pilot.pause()
        assert app.screen.query_one(TextArea).text == "A newer one."  # what was there is an example now


async def test_a_rejected_text_is_taken_after_all_and_is_a_machines(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        await pilot.press("x")
        card = app.screen.shown
        await pilot.press("f4", *"oooooo", "enter", "ctrl+s")
        await pilot.pause()
        store = on_disk(workspace)
        (decision,) = store.decisions.values()
        assert (decision.verdict, store.examples[decision.example].origin, store.counts["rejected"]) == ("accept", "accepted", 0)
        await pilot.press("f3", "u", "u")
        assert app.screen.shown == card  # what comes back is in Library, and no card
        store = on_disk(workspace)
        (decision,) = store.decisions.values()
        assert (decision.verdict, store.counts["rejected"], len(store.examples)) == ("reject", 1, 3)


async def test_runs_shows_the_base(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("f5")
        await pilot.pause()
        assert isinstance(app.screen, RunsScreen)
        assert app.screen.query_one(DataTable).row_count == 1
        while not app.screen.query(CurvesPlot):
            await pilot.pause(0.05)
        await pilot.pause()
        assert not app.screen.query_one(CurvesPlot).display  # nothing was trained: there is no curve to draw


async def test_a_second_session_is_read_only(workspace):
    with Session(workspace):
        app = FlavorApp(workspace, start_worker=False)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            await pilot.press("a")
            assert shown(app) in TEXTS
            assert "READ-ONLY" in shown(app, "#summary")
            said = []
            app.complain = said.append
            await pilot.press("t", "g", "f", "f6", "T")
            assert len(said) == 4 and all("is open elsewhere" in str(error) for error in said) and not app.screen.is_modal
            await pilot.press("f2")
            await pilot.pause()
            await pilot.press("x", "f3")
            await pilot.pause()
            await asks_once_before_it_leaves(app, pilot)
        unwritten.clear()
        app = FlavorApp(workspace, start_worker=False)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("e")
            await pilot.pause()
            await pilot.press("ctrl+q")  # nothing was changed
            await pilot.pause()
            assert app._exit
    assert not on_disk(workspace).decisions


async def test_who_only_reads_is_promised_nothing(tmp_path):
    config.create(tmp_path / "empty", Task("Lighthouse"))
    with Session(tmp_path / "empty") as session:
        app = FlavorApp(tmp_path / "empty", start_worker=False)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("f3")
            await pilot.pause()
            assert shown(app).startswith("Nothing to decide yet.\n\nThis session only reads")
        write(session, 12)
        app = FlavorApp(tmp_path / "empty", start_worker=False)
        async with app.run_test(size=(100, 40)) as pilot:
            await pilot.press("f6", "s")
            await pilot.pause()
            assert "is open elsewhere" in shown(app, "#sweep-plan") and "Beside the present settings" in shown(app, "#evidence-text")
            app.session.held_by = "somebody else"  # whether one may write can change while one looks
            app.screen._watch()
            assert "is open elsewhere: somebody else" in shown(app, "#sweep-plan")


async def test_what_stands_in_the_way_of_writing_is_said_at_the_start_and_by_the_way_out(workspace, monkeypatch):
    def none(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    said = []
    monkeypatch.setattr(Lock, "acquire", none)
    app = FlavorApp(workspace, start_worker=False)
    app.say = lambda text, *_, **__: said.append(text)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.2)  # after the first picture
        await pilot.press("ctrl+r")
        await pilot.pause()
    cause = f"{workspace.resolve()} cannot be written: Read-only file system."
    assert said == [f"Read-only: {cause}", f"{cause} Nothing is written here."]


async def test_damaged_choices_and_a_lock_that_knows_nothing_are_said_at_the_start(workspace):
    said = []
    (workspace / "choices.json").write_text("{")
    (workspace / "lock").write_text("")
    app = FlavorApp(workspace, start_worker=False)
    app.say = lambda text, *_, **__: said.append(text)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.2)
    assert said[0].startswith("`lock` does not tell where the journal ended")
    assert said[1].startswith("choices.json is damaged") and said[1].endswith(f"flavor-tui doctor {workspace.resolve()} --repair")


async def asks_once_before_it_leaves(app, pilot):
    said = []
    app.say = lambda text, *_, **__: said.append(text)
    await pilot.press("ctrl+q")
    await pilot.pause()
    assert said.pop() == "^q once more leaves without what is typed: it cannot be kept here." and not app._exit
    await pilot.press("ctrl+q")
    await pilot.pause()
    assert app._exit


async def test_leaving_asks_where_a_draft_cannot_be_written(workspace, monkeypatch):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f2")
        await pilot.pause()

        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(drafts, "write_atomic", full)
        monkeypatch.setattr(drafts, "unwritten", {})
        monkeypatch.setattr("tui.leaving.unwritten", drafts.unwritten)
        await pilot.press("x")
        await pilot.pause()
        await asks_once_before_it_leaves(app, pilot)


async def test_welcome_makes_a_workspace(tmp_path):
    folder = tmp_path / "fresh"
    folder.mkdir()
    app = FlavorApp(folder, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, WelcomeScreen)
        app.screen.query_one("#heading", Input).value = "Tiny Tavern Menu"
        named = app.screen.query_one("#folder", Input).value
        for impossible in ("x" * 5000, "~nobody-of-that-name/tavern\0"):
            app.screen.query_one("#folder", Input).value = impossible
            await pilot.press("ctrl+s")
            await pilot.pause()
            assert isinstance(app.screen, WelcomeScreen) and shown(app, "#welcome-error").startswith("! ")
        app.screen.query_one("#folder", Input).value = named
        app.screen.query_one("#base", Input).value = "Tavern rumour"
        await pilot.press("ctrl+s")
        assert "'Tavern rumour' is no model. Give `starter`" in shown(app, "#welcome-error") and not (folder / FILE).exists()
        app.screen.query_one("#base", Input).value = "starter"
        app.screen.query_one("#fields", Input).value = "Mood=choice:calm,grim; Town, Tone"
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert isinstance(app.screen, WriteScreen)
    assert "Tiny Tavern Menu" in (folder / FILE).read_text()
    assert config.load(folder).task.fields == (Field("Mood", "choice", ("calm", "grim")), Field("Town"), Field("Tone"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[keys]\naccept = 'x'", "'x' to both"),
        ("[keys]\nfly = 'x'", "unknown action 'fly'"),
        ("[keys]", "line"),
    ],
)
def test_a_broken_setting_is_said_in_one_line_before_the_screen(workspace, capsys, line, said):
    path = workspace / FILE
    path.write_text(path.read_text().replace("[keys]", line) + ("\n[keys" if line == "[keys]" else ""))
    assert run_app(workspace) == 1
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


HOSTILE = [
    "a [/] b [bold]c[/bold]",
    "[@click=app.quit]press[/]",
    "[/",
    "\x1b]52;c;aGk=\x07 osc and \x1b[2J csi",
    "\x9b2J c1 \u202e rtl \u2066 isolate",
    "null \x00 and del \x7f",
    "[link='https://x']y[/link]",
    "$error on $x [$error on $x]z",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_texts_are_shown_as_they_are(workspace, text):
    from core.text import clean

    with Session(workspace) as session:
        session.write_example(text, {"Coast": text})
        add_candidates(session, [clean(text)], "base")
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(120, 40), notifications=True, tooltips=True) as pilot:
        await pilot.pause()
        for _ in TEXTS:
            if clean(text) not in shown(app):
                await pilot.press("space")
        assert clean(text) in shown(app)
        await pilot.press("a")
        app.say(text)
        for key in ("f2", "f4", "f5", "f3"):
            await pilot.press(key)
            await pilot.pause()
            for strip in app.screen._compositor.render_strips():
                for segment in strip:
                    assert segment.control or not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u2066" for c in segment.text)
    assert list(on_disk(workspace).examples.values())[-1].text == clean(text).strip()


@pytest.mark.parametrize("size", [(80, 24), (160, 50), (40, 12)])
async def test_every_screen_at_every_size(workspace, size):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=size) as pilot:
        for key in ("f2", "f3", "f4", "f5", "f6"):
            await pilot.press(key)
            await pilot.pause()
        await pilot.resize_terminal(100, 30)
        await pilot.pause()


async def test_an_unsaved_edit_is_offered_again_with_what_changed_since(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        card = app.screen.candidate()
        await pilot.press("e", *" Ten keys and more.")
        await pilot.pause()
        (draft,) = (workspace / "drafts").glob("edit-*")
        app._leave(1)  # as for SIGTERM: what is typed is kept
    with Session(workspace) as session:  # the candidate is accepted elsewhere meanwhile,
        session.decide(card.uid, "accept")
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.2)
        assert isinstance(app.screen, DraftsDialog)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, EditDialog)
        assert app.screen.query_one(TextArea).text == card.text + " Ten keys and more."
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert not draft.exists()
    store = on_disk(workspace)
    assert [example.text for example in store.examples.values() if example.candidate] == [card.text + " Ten keys and more."]


async def test_a_draft_shows_what_changed_in_its_row(workspace):
    with Session(workspace) as session:
        uid = next(iter(session.store.examples))
        before = session.store.examples[uid].text
        Draft(workspace, f"edit-{uid}").keep(Typed("My version.", {}, uid, before))
        session.change_example(uid, "Their version.", {})
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.2)
        await pilot.press("enter")
        await pilot.pause()
        said = str(app.screen.query_one("#dialog-draft Plain", Plain).content)
        assert f"- {before}" in said and "+ Their version." in said
        await pilot.press("escape", "escape")
        await pilot.pause()
    assert not list((workspace / "drafts").glob("edit-*"))


async def test_a_full_disk_while_editing_loses_nothing(workspace, monkeypatch):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        text = app.screen.candidate().text
        await pilot.press("e", *"Yes.")
        with monkeypatch.context() as patched:
            patched.setattr("dataset.journal.sync", no_room)
            await pilot.press("ctrl+s")
            await pilot.pause()
            assert isinstance(app.screen, EditDialog)
            assert "No space left" in str(app.screen.query_one("#dialog-error", Plain).content)
            app.screen.keep()
            assert list((workspace / "drafts").glob("edit-*"))
            await pilot.press("ctrl+q")  # nothing is lost by leaving either
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.2)
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen.query_one(TextArea).text == text + "Yes."


async def test_after_a_disk_error_a_copy_is_saved_elsewhere_or_writing_goes_on(workspace, tmp_path, monkeypatch):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        text = app.screen.candidate().text
        with monkeypatch.context() as patched:
            patched.setattr("dataset.journal.sync", no_room)
            patched.setattr("core.files.sync", no_room)  # drafts cannot be written either
            await pilot.press("a")
            assert text in shown(app) and "READ-ONLY" in shown(app, "#summary")
            await pilot.press("e", *"Yes.")
            await pilot.press("ctrl+r")
            await pilot.pause()
        app.screen.query_one("#rescue-folder", Input).value = str(tmp_path / "copy")
        await pilot.press("enter")
        await pilot.pause()
        assert on_disk(tmp_path / "copy").tables() == on_disk(workspace).tables()
        assert [typed.text for typed in kept_drafts(tmp_path / "copy")] == [text + "Yes."]
        await pilot.press("escape", "escape", "ctrl+r", "ctrl+s")
        await pilot.pause()
        await pilot.press("a")
        assert on_disk(workspace).counts["accepted"] == 1


def no_room(*_):
    raise OSError(28, "No space left on device")


async def test_light_and_dark_are_remembered(workspace):
    for first, after in (("textual-dark", "textual-light"), ("textual-light", "textual-dark")):
        app = FlavorApp(workspace, start_worker=False)
        async with app.run_test(size=(80, 24)) as pilot:
            assert app.theme == first
            await pilot.press("f2", "ctrl+t")  # also while typing
            assert app.theme == after
    path = workspace / FILE
    path.write_text(path.read_text().replace('# theme = "dark"', 'theme = "light"'))
    (workspace / "desk.json").unlink()
    assert FlavorApp(workspace, start_worker=False).theme == "textual-light"


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"accept": "yy"}, "the key 'yy', which there is not"),
        ({"accept": "ctl+s"}, "the key 'ctl+s'"),
        ({"accept": "y, z"}, "the key ' z'"),
        ({"accept": ""}, "the key ''"),
        ({"accept": "f6"}, "gives 'f6' to both accept and report"),
        ({"sweep_report": "m"}, "gives 'm' to both measure_report and sweep_report"),
        ({"acept": "y"}, "unknown action 'acept'"),
        ({"filter": "/"}, "gives '/' to both search and filter"),
        ({"stronger": "["}, "gives '[' to both weaker and stronger"),
        ({"accept": "?"}, "to both accept and help"),
        ({"quit": "Q"}, "gives quit the key 'Q', which could not be typed any more"),
        ({"theme": "f9,slash"}, "gives theme the key 'slash', which could not be typed"),
        ({"save_example": "space"}, "the key 'space', which could not be typed"),
        ({"write": "enter"}, "the key 'enter', which could not be typed"),
    ],
)
def test_a_keymap_that_cannot_work_is_refused(own, said):
    with pytest.raises(FlavorError) as error:
        keys.check(own)
    assert said in str(error.value)


def test_every_default_key_is_one_and_none_does_two_things():
    for screen, table in keys.KEYS.items():
        every = [single for key in (*table, *(keys.KEYS["app"] if screen != "app" else ())) for single in key.key.split(",")]
        assert all(map(keys.usable, every)), screen
        own = [single for key in table for single in key.key.split(",")]
        assert len(set(own)) == len(own), screen
    assert keys.check({"accept": "y,f9", "report": "ctrl+e", "skip": "shift+right", "search": "minus"})


@pytest.mark.parametrize("make", [CurveDialog, MomentsDialog, lambda: BlindScreen(["base"])])
async def test_a_screen_that_is_left_before_it_is_drawn_ends_nothing(workspace, make):
    """Two keys in a row, faster than a picture: the first opens it, the second leaves it."""
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.push_screen(make())
        app.screen.dismiss(None)
        await pilot.pause()
        await pilot.pause()
        assert isinstance(app.screen, CurateScreen) and app.is_running


async def test_no_column_of_the_library_is_out_of_sight_at_80(workspace):
    with Session(workspace) as session:
        for number in range(30):
            session.write_example(
                f"Tower {number}, with a keeper who counts whatever passes in the night.", {"Height": "2", "Coast": "Cliffs"}
            )
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f4")
        await pilot.pause()
        table = app.screen.query_one(DataTable)
        assert table.show_vertical_scrollbar and table.virtual_size.width <= table.size.width - 2


@pytest.mark.parametrize("task", [True, False])
async def test_a_search_finds_no_words_that_stand_for_nothing(workspace, task):
    """`no attributes` is said of rows, and stands in none."""
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        if not task:
            app.session.settings = msgspec.structs.replace(app.session.settings, task=msgspec.structs.replace(app.session.task, fields=()))
        app.session.write_example("A tower alone.", {})
        await pilot.press("f4", "slash", *"ribut", "enter")
        assert app.screen.query_one(DataTable).row_count == 0
        await pilot.press("slash", "home", "ctrl+k", *"no attributes", "enter")
        assert app.screen.query_one(DataTable).row_count == task


async def test_what_was_kept_after_all_is_not_taken_back_unasked_on_other_pages(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("x")
        app.session.decide(next(uid for uid, each in app.session.store.candidates.items() if each.state == "rejected"), "accept")
        for page in ("f3", "f5"):
            await pilot.press(page, "u")
            assert len(app.session.store.examples) == 4
        await pilot.press("f4", "u")
        assert len(app.session.store.examples) == 3


async def test_the_card_says_what_is_made_up(workspace):
    with Session(workspace) as session:
        for candidate in list(session.store.pending):
            session.decide(candidate, "reject")
        fields = {"Height": "3", "Keeper": "Odd", "Coast": "A shore of glass bottles"}
        add_candidates(session, ["The lamp of Sarn is a bottle.", "The lamp of Sarn is drunk."], fields=fields, invented=[1])
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        seen = {}
        for _ in range(2):
            await pilot.pause()
            seen[shown(app, "#text")] = shown(app, "#fields")
            await pilot.press("x")
    assert seen == {
        "The lamp of Sarn is a bottle.": "Height 3/5 · Keeper Odd · Coast A shore of glass bottles",
        "The lamp of Sarn is drunk.": "Height 3/5 · Keeper Odd · Coast A shore of glass bottles (made up)",
    }


async def test_a_key_of_habit_answers_no_question(workspace, monkeypatch):
    """Two taps, or a key that is held down: nobody has read it."""
    monkeypatch.setattr("tui.twice.HASTE", 0.3)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f3", "e", *"Mine.", *["escape"] * 8)
        assert isinstance(app.screen, EditDialog) and app.screen.query_one(TextArea).text.endswith("Mine.")
        await pilot.pause(0.4)
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, EditDialog)


async def test_a_line_about_a_checkpoint_stays_in_its_box_where_it_cannot_be_kept(workspace, monkeypatch):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f5", "n", *"smells of tar")

        def full(*_):
            raise FlavorError("choices.json cannot be written: No space left on device.", "Make room.", "disk")

        with monkeypatch.context() as disk:
            disk.setattr(app.session.choices, "set_note", full)
            await pilot.press("enter")
            await pilot.pause()
            assert "No space left" in shown(app, "#dialog-error") and app.screen.query_one("#note", Input).value == "smells of tar"
        await pilot.press("enter")
        await pilot.pause()
        assert app.session.choices.of("base").note == "smells of tar"


async def test_values_of_this_evening_are_offered(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f2", *"A tower.")
        box = app.screen.query_one("#field-2", Input)
        assert await box.suggester.get_suggestion("Sa") is None
        box.focus()
        await pilot.press(*"Sarn Head", "ctrl+s")
        await pilot.pause()
        assert await app.screen.query_one("#field-2", Input).suggester.get_suggestion("sa") == "Sarn Head"


async def test_the_library_stays_where_it_was_scrolled_to(workspace):
    """What is sampled behind changes none of its rows; a row that comes above moves what is seen along."""
    with Session(workspace) as session:
        write(session, 60)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("f4")
        await pilot.pause()
        table = app.screen.query_one(DataTable)
        table.scroll_to(y=30, animate=False)
        await pilot.pause()
        cleared, real = [], table.clear
        table.clear = lambda *a, **k: (cleared.append(1), real(*a, **k))
        add_candidates(app.session, ["A text that was sampled behind."])
        app.changed()
        await pilot.pause()
        assert table.scroll_y == 30 and cleared == []
        app.session.write_example("A new one, above all others.", {})
        app.changed()
        await pilot.pause()
        assert table.scroll_y == 31 and cleared == [1] and table.cursor_row == 1


async def test_a_recent_workspace_that_cannot_be_reached_keeps_none_from_being_opened(workspace, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    remember(gone)
    real = os.stat

    def stat(path, *rest, **named):
        if str(path).startswith(str(gone)):
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        return real(path, *rest, **named)

    monkeypatch.setattr(os, "stat", stat)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert recent() == [workspace.resolve()]
    remember(tmp_path / os.fsdecode(b"Caf\xe9"))  # no text, so that the list cannot hold it
    assert recent() == [workspace.resolve()]
    monkeypatch.setattr("tui.session.recent.read_json", no_room)
    remember(workspace)
    app = FlavorApp(gone, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, WelcomeScreen)
    for folder in (gone, tmp_path / ("x" * 300)):
        assert not FlavorApp(folder, start_worker=False).opened


async def test_another_form_throws_away_nothing_that_was_typed(tmp_path):
    app = FlavorApp(tmp_path / "fresh", start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        heading, fields, form = (app.screen.query_one(f"#{name}") for name in ("heading", "fields", "template"))
        one, other = list(config.TEMPLATES)[:2]
        form.value = one
        await pilot.pause()
        assert heading.value == config.template(one).heading
        form.value = other  # nothing was typed
        await pilot.pause()
        assert heading.value == config.template(other).heading
        heading.value = "Tiny Tavern Menu"
        form.value = one
        await pilot.pause()
        assert heading.value == "Tiny Tavern Menu" and fields.value.startswith(config.template(one).fields[0].name)
        form.value = BLANK
        await pilot.pause()
        assert (heading.value, fields.value) == ("Tiny Tavern Menu", "")


async def test_long_attributes_leave_room_for_the_text(tmp_path):
    folder = tmp_path / "long"
    config.create(folder, Task("A Tower", fields=(Field("Coast"), Field("Keeper"))))
    with Session(folder) as session:
        session.write_example("A tower.", {})
        add_candidates(session, ["A text of many words. " * 40], fields={"Coast": "cliffs and gulls " * 35, "Keeper": "counts ships " * 45})
    app = FlavorApp(folder, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f3")
        await pilot.pause()
        assert app.screen.query_one("#text-scroll").size.height >= 6
