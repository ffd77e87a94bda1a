"""Write: what is taken back is typed again, and attributes are completed."""

import asyncio

import pytest
from textual.widgets import Input, TextArea

from core.task import Field
from dataset.store import Store
from tests.app.test_jobs import until
from tests.app.test_sheet_screen import _queue, load
from tests.made import sample
from tui.app import FlavorApp
from tui.screens.attributes import AttributesDialog
from tui.screens.edit import EditDialog, dialog_for
from tui.session.back import go
from tui.session.drafts import Draft
from tui.session.session import Session
from tui.widgets.boxes import CleanArea
from tui.widgets.fields import FieldInputs, meant
from tui.widgets.plain import Plain


def texts(workspace):
    return [example.text for example in Store(workspace, read_only=True).examples.values()]


def values(app):
    return list(app.screen.query_one(FieldInputs).values().values())


def area(app):
    return app.screen.query_one(TextArea)


def said(app):
    return [note.message for note in app._notifications]


def keys_shown(app):
    return [key.description for key in app.screen.query("Footer FooterKey")]


async def on_write(pilot, app):
    await pilot.press("f2")
    await until(pilot, lambda: app.focused is area(app) and app.screen.query("Footer FooterKey"))


async def saved(pilot, text, keeper="Kind"):
    """An example, typed and saved: its second attribute, then its text."""
    await pilot.press("shift+tab", "shift+tab", *keeper, "tab", "tab", *text, "ctrl+s")


async def test_while_a_text_is_typed_its_key_deletes_to_the_lines_start(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_write(pilot, app)
        await saved(pilot, "A tower.")
        area(app).focus()
        await pilot.press(*"One", "enter", *"two", "ctrl+u")
        assert area(app).text == "One\n" and len(texts(workspace)) == 4
        assert "undo save" not in keys_shown(app)
        await pilot.press("backspace", "ctrl+u", "ctrl+z")
        assert area(app).text == "One" and len(texts(workspace)) == 4


async def test_an_attribute_that_is_typed_is_deleted_in_its_box_and_never_lost(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await on_write(pilot, app)
        await saved(pilot, "A tower.")
        assert app.focused is area(app)
        await pilot.press("tab", "4", "ctrl+u")
        assert values(app) == ["", "", ""] and len(texts(workspace)) == 4
        await pilot.press("4", "tab", "ctrl+u")  # in an empty box, beside one that is not
        assert values(app) == ["4", "", ""] and len(texts(workspace)) == 4
        assert "The attributes that are typed would be lost. ^u with empty boxes takes the last saved example back." in said(app)


async def test_what_is_taken_back_stands_in_the_boxes_to_be_mended(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await on_write(pilot, app)
        await saved(pilot, "A towr, alone.")
        assert "undo save" in keys_shown(app)
        await pilot.press("ctrl+u")
        assert area(app).text == "A towr, alone." and values(app) == ["", "Kind", ""]
        assert app.focused is area(app) and len(texts(workspace)) == 3
        assert "Taken back: example written, “A towr, alone.”." in said(app)
        kept = Draft(workspace, "write").read()  # at once
        assert (kept.text, kept.fields["Keeper"]) == ("A towr, alone.", "Kind")
        await pilot.press("ctrl+u")  # once too often: nothing is lost
        assert area(app).text == "A towr, alone." and len(texts(workspace)) == 3
        await until(pilot, lambda: "undo save" not in keys_shown(app))
        await pilot.press(*["right"] * 5, "e", "ctrl+s")
        assert texts(workspace)[-1] == "A tower, alone."
        assert list(app.session.store.examples.values())[-1].fields == {"Keeper": "Kind"}


@pytest.mark.parametrize(
    ("added", "typed", "text", "notes"),
    [
        (" burns.", "", "A lamp burns.", []),
        ("", "", "A lamp", ["The model would end the text here."]),
        (" burns.", " is", "A lamp is", ["The text has changed meanwhile: what the model wrote was left out."]),
        (" burns.", ["ctrl+s"], "", ["Saved: 4 examples.", "The text has changed meanwhile: what the model wrote was left out."]),
    ],
)
async def test_what_the_model_adds_or_does_not(workspace, monkeypatch, added, typed, text, notes):
    """And who had stopped the sampling has nothing of it back by that."""
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await on_write(pilot, app)
        load(app)
        app.jobs.samples.give_up()
        go = asyncio.Event()

        async def go_on(*_):
            await go.wait()
            return added

        monkeypatch.setattr(app.session.candidates, "continue_text", go_on)
        await pilot.press(*"A lamp", "ctrl+g")
        await until(pilot, lambda: "going on with your text" in app.jobs.line().plain)
        await pilot.press(*typed)
        go.set()
        await until(pilot, lambda: app.jobs.doing == "ready")
        assert area(app).text == text and said(app) == notes
        assert app.jobs.samples._stopped and app.session.worker.asked == []


async def test_who_stops_a_text_that_is_gone_on_with_has_candidates_all_the_same(workspace, monkeypatch):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await on_write(pilot, app)
        worker = load(app)
        app.session.settings = _queue(app.session.settings, 6)

        async def go_on(*_):
            await asyncio.sleep(3600)

        monkeypatch.setattr(app.session.candidates, "continue_text", go_on)
        await pilot.press(*"A lamp", "ctrl+g")
        await until(pilot, lambda: "going on with your text" in app.jobs.line().plain)
        await pilot.press("escape", "c")
        await until(pilot, lambda: len(worker.asked) == 1)
        assert said(app)[-1] == "The sampling was stopped; everything is as it was."
        await pilot.press("c")  # and now it is the queue's
        assert said(app)[-1].endswith("No candidates come by themselves now; g samples some.")


async def test_what_was_taken_back_is_there_at_the_next_start(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_write(pilot, app)
        await pilot.press(*"A tower.", "ctrl+s", "ctrl+u", "ctrl+q")
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_write(pilot, app)
        assert area(app).text == "A tower." and len(texts(workspace)) == 3


async def test_the_page_that_takes_it_back_is_named(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("f4", "d")
        await on_write(pilot, app)
        await pilot.press("ctrl+u")
        assert "Something else was done last: example deleted. u on Library takes it back." in said(app)


async def test_the_next_example_begins_in_the_text_whatever_the_last_one_had(workspace):
    """And tab goes round, to the first attribute."""
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_write(pilot, app)
        await pilot.press(*"No attributes.", "ctrl+s")
        assert app.focused is area(app)
        await saved(pilot, "One attribute.")
        assert app.focused is area(app)
        await pilot.press("tab")
        assert app.focused.id == "field-0"


async def test_a_refused_save_names_the_box_that_it_goes_to(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await on_write(pilot, app)
        await saved(pilot, "A tower.", "cruel")
        assert app.focused.id == "field-1"
        assert said(app)[-1] == "Keeper cannot be 'cruel'. It is one of Kind, Odd. The cursor is in Keeper now."


@pytest.mark.parametrize("way_out", ["tab", "shift+tab", "ctrl+s"])
async def test_the_beginning_of_a_choice_is_taken_for_it_when_its_box_is_left(workspace, way_out):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_write(pilot, app)
        area(app).load_text("A tower.")
        await pilot.press("shift+tab", "shift+tab", *"ki")
        assert values(app) == ["", "ki", ""]
        await pilot.press(way_out)
        await pilot.pause()
        if way_out == "ctrl+s":
            assert list(app.session.store.examples.values())[-1].fields == {"Keeper": "Kind"}
        else:
            assert values(app) == ["", "Kind", ""]


async def test_known_values_of_free_text_are_taken_by_the_arrow_only(workspace):
    with Session(workspace) as session:
        session.write_example("A tower.", {"Coast": "Cliffs"})
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_write(pilot, app)
        await pilot.press("shift+tab", *"Cliff", "tab")
        assert values(app)[2] == "Cliff"  # it may be what is meant
        app.screen.query_one("#field-2", Input).focus()
        await pilot.press("end", "backspace")
        await until(pilot, lambda: app.focused._suggestion)
        await pilot.press("right")
        assert values(app)[2] == "Cliffs"


@pytest.mark.parametrize(
    ("typed", "taken"),
    [("re", "re"), ("red", "Red"), ("red b", "Red brown"), (" BL ", "Blue"), ("", ""), ("x", "x"), ("bluer", "bluer")],
)
def test_only_one_meaning_is_taken(typed, taken):
    assert meant(Field("Colour", "choice", ("Red", "Red brown", "Blue")), typed) == taken


async def test_dialogs_take_what_is_meant_as_well(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f3", "f")
        await until(pilot, lambda: isinstance(app.screen, AttributesDialog) and app.focused)
        await pilot.press("tab", *"ki", "enter")
        await until(pilot, lambda: app.session.fixed == {"Keeper": "Kind"})
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EditDialog) and app.focused)
        await pilot.press("shift+tab", "shift+tab", "ctrl+u", *"ki", "ctrl+s")
        await until(pilot, lambda: app.session.store.decisions)
        assert list(app.session.store.examples.values())[-1].fields["Keeper"] == "Kind"


async def test_a_value_that_nobody_typed_stays_as_it_is(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        dialog = EditDialog("Edit", "none", "A text.", {"Keeper": "odd"}, app.session, lambda text, fields: None)
        app.push_screen(dialog)
        await until(pilot, lambda: app.screen is dialog and isinstance(dialog.focused, CleanArea))
        await pilot.press("shift+tab", "shift+tab", "shift+tab")
        assert values(app)[1] == "odd" and not dialog._changed()


async def test_tokens_are_counted_as_they_came(workspace):
    with Session(workspace) as session:
        sample(session, "base", ["Ein Turm, das ist."] * 64)  # nine tokens each
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await on_write(pilot, app)
        area(app).load_text("Ein Turm und das Moor.")
        await until(pilot, lambda: "5 words, about 11 tokens" in str(app.screen.query_one("#measure", Plain).render()))


async def test_a_wording_that_is_there_again_is_not_offered(workspace):
    """It was taken back, and the moment after it gone to."""
    with Session(workspace) as session:
        uid = session.write_example("A tower.", {}).uid
        session.change_example(uid, "A tower, alone.", {})
        changed = session.store.journal.seq
        session.undo()
        assert dialog_for(session, uid)._kept.text == "A tower, alone."
        go(session, changed)
        assert dialog_for(session, uid)._kept is None
        session.change_example(uid, "A tower and a bell.", {})
        assert dialog_for(session, uid)._kept.text == "A tower, alone."


async def test_the_page_says_what_tab_does(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_write(pilot, app)
        measure = app.screen.query_one("#measure", Plain)
        assert "tab: the next box, completing a choice" in str(measure.content) and measure.size.height == 1
