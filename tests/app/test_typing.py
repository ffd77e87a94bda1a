"""What is typed in one burst, as after a moment in which the machine was busy: each key acts on what was typed before it."""

import asyncio
import time

from textual import events
from textual.widgets import Input, TextArea

from dataset.store import Store
from tests.app.conftest import TEXTS
from tests.app.test_jobs import until
from tui.app import FlavorApp
from tui.screens.edit import EditDialog
from tui.screens.note import NoteDialog
from tui.widgets.fields import FieldInputs
from tui.widgets.order import InOrder

FIRST, SECOND = "The quilt is warm because it is still being worn.", "A music box that hums along."
NAMED = {" ": "space", ".": "full_stop"}


def burst(app, *typed):
    """Keys, posted before the first of them is taken: texts letter by letter, and names of keys in lists."""
    for part in typed:
        for key in part:
            letter = isinstance(part, str)
            event = events.Key(NAMED.get(key, key) if letter else key, key if letter else None)
            event.set_sender(app)
            app.post_message(event)


async def written(pilot, app):
    """On Write, ready to be typed into."""
    await pilot.press("f2")
    await until(pilot, lambda: isinstance(app.focused, TextArea))
    return set(app.session.store.examples)


def new(app, before):
    return [example for uid, example in app.session.store.examples.items() if uid not in before]


async def test_saved_examples_have_all_that_was_typed_before_their_key(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        before = await written(pilot, app)
        burst(app, FIRST, "x", ["backspace", "ctrl+s"], SECOND, ["ctrl+s"], "more")
        await until(pilot, lambda: app.screen.query_one(TextArea).text == "more")
        assert [example.text for example in new(app, before)] == [FIRST, SECOND]


async def test_an_attribute_typed_before_the_text_is_the_texts(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        before = await written(pilot, app)
        app.screen.query(Input).last().focus()
        await until(pilot, lambda: app.focused is app.screen.query(Input).last())
        burst(app, "Cliffs", ["tab"], FIRST, ["ctrl+s"])
        await until(pilot, lambda: new(app, before))
        assert (new(app, before)[0].text, new(app, before)[0].fields) == (FIRST, {"Coast": "Cliffs"})
        assert not any(app.screen.query_one(FieldInputs).values().values())


async def test_two_boxes_never_wait_for_each_other(workspace, monkeypatch):
    monkeypatch.setattr("tui.widgets.order.PATIENCE", 30_000)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        before = await written(pilot, app)
        burst(app, FIRST, ["ctrl+s", "shift+tab", "ctrl+s"], "Cape", ["tab"], SECOND, ["ctrl+s"])
        await until(pilot, lambda: len(new(app, before)) == 2)
        assert [example.fields for example in new(app, before)] == [{}, {"Coast": "Cape"}]


async def test_a_dialogs_key_has_all_before_it_and_nothing_after_it(workspace):
    """And no draft is left of what was saved."""
    app = FlavorApp(workspace, start_worker=False)
    kept = []
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(NoteDialog("0001/epoch-02", "", str), kept.append)
        await until(pilot, lambda: isinstance(app.focused, Input))
        burst(app, SECOND, ["enter", "e"])
        await until(pilot, lambda: kept and isinstance(app.screen, EditDialog) and app.focused)
        text = app.screen.query_one(TextArea).text
        assert kept == [SECOND] and text in TEXTS
        burst(app, FIRST, "x", ["backspace", "ctrl+s", "x"])
        await until(pilot, lambda: app.session.store.counts["rejected"])
        assert f"{text}{FIRST}" in [example.text for example in app.session.store.examples.values()]
        assert not [path for path in (workspace / "drafts").glob("*") if "edit" in path.name]


async def test_a_key_that_leaves_comes_after_one_that_saves(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EditDialog) and isinstance(app.focused, TextArea))
        text = app.screen.query_one(TextArea).text
        burst(app, FIRST, ["ctrl+s", "ctrl+q"])
        await until(pilot, lambda: app._exit)
    assert app._exception is None
    assert f"{text}{FIRST}" in [example.text for example in Store(workspace, read_only=True).examples.values()]


async def test_letters_come_after_the_key_before_them(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await written(pilot, app)
        burst(app, "onf", ["backspace", "backspace"], "e", ["left", "left"], "n", ["home"], "O", ["delete", "end"], "!")
        await until(pilot, lambda: app.screen.query_one(TextArea).text.endswith("!"))
        assert app.screen.query_one(TextArea).text == "Ooe!"


async def test_a_click_comes_after_what_was_typed_before_it(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await written(pilot, app)
        box = app.screen.query(Input).last()
        place = box.region.offset
        burst(app, "abc", ["left"], "X")
        for kind in (events.MouseDown, events.MouseUp):
            app.post_message(kind(None, place.x, place.y, 0, 0, 1, False, False, False))
        burst(app, "def")
        await until(pilot, lambda: box.value)
        assert (app.screen.query_one(TextArea).text, box.value) == ("abXc", "def")


async def test_a_stopped_program_ends_no_wait(workspace, monkeypatch):
    app, marked = FlavorApp(workspace, start_worker=False), []
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        mark = app._mark

        def stopped(widget, looks):
            if not marked:
                asyncio.get_running_loop().call_soon(time.sleep, 1.2)
            marked.append(widget)
            return mark(widget, looks)

        monkeypatch.setattr(app, "_mark", stopped)
        burst(app, ["e"], "xaZ")
        await until(pilot, lambda: app.screen.query(TextArea) and app.screen.query_one(TextArea).text.endswith("Z"))
        assert app.screen.query_one(TextArea).text.endswith("xaZ") and app.session.store.counts["pending"] == 3 and marked


async def test_what_is_typed_before_a_dialog_is_drawn_is_for_it(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        card = app.screen.shown
        burst(app, "f", ["enter"], "f4", ["tab", "tab"], "Cliffs", ["enter"], "x")
        await until(pilot, lambda: app.session.store.counts["rejected"])
        assert app.session.fixed == {"Height": "4", "Coast": "Cliffs"} and app.session.store.candidates[card].state == "rejected"
    assert app._exception is None and not (workspace / "logs" / "screen.log").exists()


async def test_a_key_goes_on_where_a_screen_is_never_drawn(workspace, monkeypatch):
    monkeypatch.setattr("tui.widgets.order.DRAWING", 1)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        monkeypatch.setattr(NoteDialog, "is_mounted", False)
        monkeypatch.setattr(InOrder, "on_in_order_marker", lambda app, message: None)
        app.push_screen(NoteDialog("0001/epoch-02", "", str))
        await until(pilot, lambda: isinstance(app.focused, Input))
        burst(app, ["ctrl+q"])
        await until(pilot, lambda: app._exit)


async def test_a_key_goes_on_where_a_box_never_answers(workspace, monkeypatch):
    app, lost = FlavorApp(workspace, start_worker=False), []
    async with app.run_test(size=(80, 24)) as pilot:
        before = await written(pilot, app)
        monkeypatch.setattr(InOrder, "on_in_order_marker", lambda app, message: lost.append(message))
        burst(app, FIRST, ["ctrl+s"], SECOND)
        await until(pilot, lambda: app.screen.query_one(TextArea).text == SECOND)
        assert [example.text for example in new(app, before)] == [FIRST] and lost


async def test_a_fault_of_a_key_that_waited_is_survived(workspace, monkeypatch):
    app = FlavorApp(workspace, start_worker=False)
    said = []
    async with app.run_test(size=(80, 24)) as pilot:
        await written(pilot, app)
        monkeypatch.setattr(app, "say", lambda text, *_, **__: said.append(text))
        monkeypatch.setattr(app.session, "write_example", lambda *_: 1 / 0)
        burst(app, "x", ["ctrl+s"], "y")
        await until(pilot, lambda: said and app.screen.query_one(TextArea).text == "xy")
        assert "ZeroDivisionError" in said[-1] and app.is_running and app._exception is None
