"""Runs with its verdicts and the evidence behind them, by its keys; hostile text in what is shown as evidence."""

import asyncio
import shutil
from types import SimpleNamespace

import pytest
from textual.widgets import DataTable

from core import config, runfiles
from core.config import FILE
from core.runfiles import Result
from core.text import clean
from tests.app.conftest import TASK
from tests.app.test_jobs import until
from tests.app.test_screens import HOSTILE, shown
from tests.made import bake, sample, write
from tui.app import FlavorApp
from tui.screens.curate import CurateScreen
from tui.screens.evidence import EvidenceDialog
from tui.screens.runs import RunsScreen
from tui.session.runlist import unfolded
from tui.session.session import Session


@pytest.fixture
def baked(tmp_path):
    """A workspace with a run of three epochs: too few, enough, too many."""
    folder = tmp_path / "lighthouses"
    config.create(folder, TASK)
    with Session(folder) as session:
        write(session, 12)
        bake(session, [4.0, 3.4, 3.19, 3.5])
    return folder


def column(app, key):
    table = app.screen.query_one(DataTable)
    return [str(table.get_cell(row, key)) for row in table.rows]


async def to_runs(pilot):
    await pilot.pause()
    await pilot.press("f5")
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def test_the_table_shows_verdicts_and_the_panel_says_why(baked):
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await to_runs(pilot)
        assert isinstance(app.screen, RunsScreen)
        assert column(app, "verdict") == ["✓ done", "! overbaked", "✓ good", "○ underbaked", ""]
        await pilot.press("up")
        assert shown(app, "#run-verdict") == ""  # a run has none
        await pilot.press("down")
        assert "Held-out loss has risen by 10 % since 0001/epoch-02, on 3 held-out rows only." in shown(app, "#run-verdict")
        await pilot.press("down")
        assert shown(app, "#run-verdict").startswith("✓ good\nHeld-out loss, 3.190, is at its lowest, on 3 held-out rows only.")
        assert "✓ held-out loss 3.190\n" in shown(app, "#run-verdict")
        await pilot.press("ctrl+end")
        assert "This is the base" in shown(app, "#run-verdict")


async def test_evidence_is_one_key_away(baked):
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        await pilot.press("v")
        await pilot.pause()
        assert isinstance(app.screen, EvidenceDialog)
        table = app.screen_stack[-2].query_one("#runs-table")
        assert table.virtual_size.width <= table.size.width - 2  # every column is seen, beside a scrollbar too
        assert "! held-out loss  3.500, against 3.190  ← decided" in shown(app, "#evidence-text")
        assert "· 0001/epoch-02: 3.190" in shown(app, "#evidence-text")
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, RunsScreen)


async def test_the_evidence_of_many_texts_scrolls(baked):
    with Session(baked) as session:
        sample(session, "0001/epoch-03", [f"Every lamp of number {n} tells the sea what the sea told lamp {n} before." for n in range(20)])
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        await pilot.press("v")
        await pilot.pause()
        await pilot.press("pagedown", "down")
        await pilot.pause(0.1)
        assert app.screen.query_one("#evidence").scroll_y > 0


async def test_a_run_without_a_checkpoint_has_no_evidence(baked):
    with Session(baked) as session:
        plan = session.plan(seed=2)
        session.registry.create(plan.spec, plan.rows)
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await to_runs(pilot)
        assert column(app, "verdict")[0] == "! interrupted"
        await pilot.press("ctrl+home", "v")
        assert isinstance(app.screen, RunsScreen)


async def test_hostile_texts_are_evidence_like_any_other(baked):
    """Copied from a row, repeated in texts, at their ends and in their attributes: everywhere evidence is taken from."""
    with Session(baked) as session:
        rows = [(f"{clean(text)} the lamp burns whale fat and gossip {text}", {}) for text in HOSTILE]
        session.import_rows([(clean(text), fields) for text, fields in rows], "rows", [f"bad{n}" for n in range(len(rows))])
        last = bake(session, [3.5, 3.4])
        for text, _ in rows:
            sample(session, last, [clean(f"{text} {text}"), clean(f"{text}")], finish="length")
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(120, 50)) as pilot:
        await to_runs(pilot)
        await pilot.press("v")
        for _ in range(2):
            await pilot.press("pagedown")
            await pilot.pause(0.05)
            for strip in app.screen._compositor.render_strips():
                for segment in strip:
                    assert segment.control or not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u2066" for c in segment.text)
        everything = shown(app, "#evidence-text")
        assert "[/link]" in everything and "[bold]" in everything  # as it is, obeyed by nothing


async def test_verdicts_come_in_one_by_one(baked):
    """A slow gauge must not hold the screen: the table is there before any verdict is, and keys are answered between two."""
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        screen = app.screen
        screen._words.clear()
        screen.renew()
        assert column(app, "verdict") == ["✓ done", "…", "…", "…", ""]
        states = set()
        while "…" in column(app, "verdict"):
            states.add(tuple(column(app, "verdict")))
            await asyncio.sleep(0)
        assert ("✓ done", "! overbaked", "…", "…", "") in states
        assert column(app, "verdict") == ["✓ done", "! overbaked", "✓ good", "○ underbaked", ""]


def names(app):
    return [key.value for key in app.screen.query_one(DataTable).rows]


async def test_a_run_is_folded_and_enter_on_it_uses_its_chosen_checkpoint(baked):
    with Session(baked) as session:
        session.registry.use("base")
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        await pilot.press("ctrl+home", "down", "left")
        await pilot.pause()
        assert names(app) == ["0001/", "base"] and column(app, "verdict") == ["→ epoch-03", ""]
        await pilot.press("enter")
        await pilot.pause()
        assert app.session.registry.current() == "0001/epoch-03"
        await pilot.press("right")
        await pilot.pause()
        assert names(app) == ["0001/", "0001/epoch-03", "0001/epoch-02", "0001/epoch-01", "base"]
        assert column(app, "name")[1].lstrip().startswith("▶")
        await pilot.press("down", "down", "enter")
        await pilot.pause()
        assert app.session.registry.current() == "0001/epoch-02"


async def test_marked_runs_are_drawn_together(baked):
    with Session(baked) as session:
        bake(session, [3.5, 3.3, 3.2])
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(160, 50)) as pilot:
        await to_runs(pilot)
        await until(pilot, lambda: app.screen._plot is not None)
        assert shown(app, "#run-legend").startswith("● 0002  held-out 3.50 → 3.20\nby step")  # the one under the cursor
        await pilot.press("space", *["down"] * 3, "space")
        await pilot.pause()
        assert "● 0002  held-out 3.50 → 3.20\n▲ 0001  held-out 4.00 → 3.19" in shown(app, "#run-legend")
        assert column(app, "name")[0].startswith("● ") and column(app, "name")[3].startswith("▲ ")
        signs = "".join(str(segment.text) for strip in app.screen._compositor.render_strips() for segment in strip)
        assert signs.count("▲") >= 4  # in the table, in the legend, and on the picture at its epochs
        await pilot.press("space")
        assert "0001" not in shown(app, "#run-legend")


async def test_a_note_is_kept_and_shown(baked):
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await to_runs(pilot)
        await pilot.press("n")
        await pilot.pause()
        await pilot.press(*"too dry", "enter")
        await pilot.pause()
        assert column(app, "note")[1] == "too dry"
        await pilot.press("n")
        await pilot.pause()
        await pilot.press(*" and long", "escape")
        await pilot.pause()
    with Session(baked) as session:
        assert session.choices.of("0001/epoch-03").note == "too dry"


@pytest.mark.parametrize(("begun", "then"), [(80, 160), (160, 80), (80, 120)])
async def test_the_tables_fit_when_the_window_changes(baked, begun, then):
    with Session(baked) as session:
        session.use("0001/epoch-02")
        session.choices.set_note("0001/epoch-02", "too dry, and of one mind with the first")
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(begun, 40)) as pilot:
        await to_runs(pilot)
        await pilot.press("z")
        await until(pilot, lambda: app.screen.query("#moments-table") and app.screen.query_one(DataTable).row_count == 2)
        await pilot.resize_terminal(then, 40)
        await pilot.pause()
        moments = app.screen.query_one(DataTable)
        await until(pilot, lambda: moments.virtual_size.width == moments.size.width - moments.styles.scrollbar_size_vertical)
        await pilot.press("escape")
        await pilot.pause()
        table = app.screen.query_one(DataTable)
        rest = table.size.width - table.styles.scrollbar_size_vertical
        await until(pilot, lambda: table.virtual_size.width == max(76, rest))
        if then == 160:
            assert "too dry, and of one mind with the" in app.export_screenshot().replace("&#160;", " ")


async def test_only_what_is_ours_has_a_note(baked):
    (baked / "runs/theirs").mkdir()
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await to_runs(pilot)
        table = app.screen.query_one("#runs-table")
        table.move_cursor(row=table.get_row_index("theirs//"))
        await pilot.press("n")
        assert "Only runs and checkpoints can have a note." in [note.message for note in app._notifications]


async def test_a_run_that_is_being_trained_can_be_folded(baked):
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await to_runs(pilot)
        app.session.registry.live = "0001"
        app.screen.renew_all()
        await pilot.press("left")
        app.screen.renew_all()
        assert names(app) == ["0001/", "base"]
        app.session.registry.live = ""


async def test_going_to_now_goes_nowhere(baked):
    with Session(baked) as session:
        session.use("0001/epoch-02")
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        seq = app.session.store.journal.seq
        await pilot.press("z")
        await until(pilot, lambda: app.screen.query("#moments-table") and app.screen.query_one(DataTable).row_count == 2)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, RunsScreen) and app.session.store.journal.seq == seq


async def test_folders_that_vanish_or_break_while_one_looks(baked):
    with Session(baked) as session:
        bake(session, [3.5, 3.3])
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await to_runs(pilot)
        shutil.rmtree(baked / "runs/0002/checkpoints")
        (baked / "runs/0001/checkpoints/epoch-02/checkpoint.json").write_bytes(b"\0" * 40)
        await pilot.press("down", "v", "n", "escape", "enter", "space")
        app.screen.renew_all()
        await pilot.pause()
        assert names(app)[:2] == ["0002/", "0001/"] and column(app, "verdict")[3] == "! unreadable"
        shutil.rmtree(baked / "runs/0001")
        app.screen.renew_all()
        await pilot.pause()
        assert names(app) == ["0002/", "base"]


async def test_a_run_that_goes_on_is_drawn_as_it_grows(baked):
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await to_runs(pilot)
        plan = app.session.plan(seed=4)
        folder = app.session.registry.create(plan.spec, plan.rows)
        app.session.registry.live, app.jobs.doing = plan.spec.name, "training"
        step = '{"type": "step", "step": %d, "loss": %f, "celsius": 61, "device_memory": 3000000000}\n'
        (folder / "metrics.jsonl").write_text(step % (1, 3.5) + step % (2, 3.25))
        await until(pilot, lambda: names(app)[0] == "0002/" and "● running" in column(app, "verdict"))
        await pilot.press("ctrl+home")
        await pilot.pause()
        assert "0002  loss 3.50 → 3.25" in shown(app, "#run-legend") and "61 °C  3.0 GB" in shown(app, "#run-legend")
        with (folder / "metrics.jsonl").open("a") as file:
            file.write(step % (3, 3.0))
        await until(pilot, lambda: "0002  loss 3.50 → 3.00" in shown(app, "#run-legend"))


async def test_how_a_stopped_run_ended_is_seen_when_its_worker_has_written_it(baked):
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await to_runs(pilot)
        plan = app.session.plan(seed=4)
        folder = app.session.registry.create(plan.spec, plan.rows)
        app.changed()
        await until(pilot, lambda: "! interrupted" in column(app, "verdict"))
        runfiles.write(folder / "result.json", Result("cancelled"))
        await until(pilot, lambda: "· cancelled" in column(app, "verdict"), tries=100)


async def test_a_moments_checkpoint_is_read_whole_in_a_long_list(baked):
    with Session(baked) as session:
        for number in range(30):
            session.use(f"0001/epoch-0{1 + number % 3}")
            session.write_example(f"炭火 and no. {number}: a stew that was told to wait, and waited.", {})
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        await pilot.press("z")
        await until(pilot, lambda: app.screen.query("#moments-table") and app.screen.query_one(DataTable).row_count == 61)
        await pilot.pause()
        table = app.screen.query_one(DataTable)
        assert table.show_vertical_scrollbar and table.max_scroll_x == 0
        picture = app.export_screenshot().replace("&#160;", " ")
        assert "0001/epoch-03" in picture and "example written, “炭火 and no." in picture


async def test_z_goes_to_a_moment_and_u_comes_back(baked):
    with Session(baked) as session:
        session.use("0001/epoch-02")
        session.delete_example("row03")
    with (baked / FILE).open("a", encoding="utf-8") as file:  # a new one ends with [keys]
        file.write('back = "B"\nundo_runs = "w"\n')
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await to_runs(pilot)
        await pilot.press("B")
        await until(pilot, lambda: app.screen.query("#moments-table") and app.screen.query_one(DataTable).row_count == 3)
        assert column(app, "what") == ["example deleted, “Dish 3 is a ste… ← now", "0001/epoch-02 is active", "rows"]
        await pilot.press("down", "down", "enter")
        await pilot.pause()
        assert app.session.registry.current() == "base" and len(app.session.store.examples) == 12
        said = [note.message for note in app._notifications][-1]
        assert said.startswith("As it was at ") and said.endswith(": 12 examples, base. w takes that back, B goes anywhere else.")
        given_up = []
        app.jobs.samples.stop = lambda: given_up.append(app.session.registry.current())
        await pilot.press("w", "f3")
        await pilot.pause()
        assert app.session.registry.current() == "0001/epoch-02" and len(app.session.store.examples) == 11
        said = [note.message for note in app._notifications][-1]
        assert said.startswith("Taken back: to ") and said.endswith(". 0001/epoch-02 is active again.")
        assert given_up == ["0001/epoch-02"]  # what the base was writing
        assert isinstance(app.screen, CurateScreen)


async def test_the_cursor_is_on_what_is_active_until_it_is_moved(baked):
    with Session(baked) as session:
        bake(session, [3.5, 3.3])
        session.use("0001/epoch-02")
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        table = app.screen.query_one("#runs-table")
        assert table.selected == "0001/epoch-02"
        await pilot.press("f3")
        app.session.use("0002/epoch-01")
        await pilot.press("f5")
        assert table.selected == "0002/epoch-01"
        plan = app.session.plan(seed=4)
        app.session.registry.create(plan.spec, plan.rows)
        app.session.registry.live = plan.spec.name
        app.screen.renew_all()
        assert table.selected == "0003/"
        await pilot.press("down", "down", "f3")
        app.session.registry.live = ""
        app.session.use("0001/epoch-03")
        await pilot.press("f5")
        assert table.selected == "0002/epoch-01"  # where the person put it


async def test_the_cursor_stays_under_a_finger(baked):
    """The next key is meant for the row that it is on, though another checkpoint is active meanwhile."""
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        table = app.screen.query_one("#runs-table")
        before = table.selected
        await pilot.press("down", "up")
        app.session.use("0001/epoch-01" if before != "0001/epoch-01" else "0001/epoch-02")
        app.screen.renew_all()
        assert table.selected == before


async def test_before_a_run_has_a_curve_the_last_one_is_drawn_and_named(baked):
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await to_runs(pilot)
        await until(pilot, lambda: app.screen._plot is not None)
        plan = app.session.plan(seed=4)
        folder = app.session.registry.create(plan.spec, plan.rows)
        app.session.registry.live, app.jobs.doing = plan.spec.name, "training"
        app.screen.renew_all()
        await pilot.pause()
        said = shown(app, "#run-legend")
        assert said.startswith("0002 has nothing measured yet; the last that has:\n● 0001  held-out 4.00 → 3.19\n")
        assert app.screen._plot.display
        (folder / "metrics.jsonl").write_text('{"type": "epoch", "epoch": 0, "held_out_loss": 3.1}\n')
        await until(pilot, lambda: shown(app, "#run-legend").startswith("● 0002  held-out 3.10"))
        app.jobs.doing = "none"


async def test_nothing_folds_the_base(baked):
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        app.session.use("base")
        app.screen.renew_all()
        assert app.screen._open == {"0001"}
        app.screen._open.add("")  # whatever else may have put it there
        await pilot.press("ctrl+end", "left", "right")
        await pilot.pause()
        assert "base" in names(app) and app._exception is None
    assert unfolded([], "base") == set() and "" not in unfolded(many(70), "base")


def many(count):
    """Runs of one checkpoint each, too many to show them all."""
    return [SimpleNamespace(name=f"{number:04}", epochs=["epoch-01"]) for number in range(count)]


async def test_what_was_now_is_not_when_something_has_happened_since(baked):
    with Session(baked) as session:
        session.use("0001/epoch-02")
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        await pilot.press("z")
        await until(pilot, lambda: app.screen.query("#moments-table") and app.screen.query_one(DataTable).row_count == 2)
        dialog, table = app.screen, app.screen.query_one(DataTable)
        assert column(app, "what")[0].endswith("← now")
        app.session.registry.use("0001/epoch-03")  # as a retraining does that has just ended
        dialog.query_one(DataTable).action_select_cursor()  # before the dialog has looked
        await pilot.pause()
        assert app.screen is dialog and app.session.registry.current() == "0001/epoch-03"
        await until(pilot, lambda: table.row_count == 2 and "← now" not in " ".join(column(app, "what")))
        await pilot.press("down")
        app.session.use("0001/epoch-01")
        await until(pilot, lambda: table.row_count == 3 and column(app, "what")[0].endswith("← now"))
        assert table.cursor_row == 2  # on the moment that it was on
