"""What is typed in one burst, as after a moment in which the machine was busy: each key acts on what was typed before it."""

from textual import events
from textual.widgets import Input, TextArea

from tui.app import FlavorApp
from tui.screens.edit import EditDialog
from tui.screens.note import NoteDialog
from tui.widgets.fields import FieldInputs

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


async def test_a_saved_example_has_all_that_was_typed_before_its_key(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f2")
        await pilot.pause()
        before = set(app.session.store.examples)
        burst(app, FIRST, ["ctrl+s"], SECOND)
        await pilot.pause(0.3)
        (uid,) = set(app.session.store.examples) - before
        assert app.session.store.examples[uid].text == FIRST
        assert app.screen.query_one(TextArea).text == SECOND


async def test_an_attribute_typed_after_the_text_is_the_texts(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f2")
        await pilot.pause()
        app.screen.query(Input).last().focus()
        await pilot.pause()
        before = set(app.session.store.examples)
        burst(app, "Cliffs", ["tab"], FIRST, ["ctrl+s"])
        await pilot.pause(0.3)
        (uid,) = set(app.session.store.examples) - before
        saved = app.session.store.examples[uid]
        assert saved.text == FIRST and saved.fields["Coast"] == "Cliffs"
        assert not any(app.screen.query_one(FieldInputs).values().values())


async def test_dialogs_keep_all_that_was_typed_before_their_key(workspace):
    app = FlavorApp(workspace, start_worker=False)
    kept = []
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(NoteDialog("0001/epoch-02", ""), kept.append)
        await pilot.pause()
        burst(app, SECOND, ["enter"])
        await pilot.pause(0.3)
        assert kept == [SECOND] and len(app.screen_stack) == 1
        await pilot.press("e")
        await pilot.pause()
        assert isinstance(app.screen, EditDialog)
        text = app.screen.query_one(TextArea).text
        burst(app, FIRST, ["ctrl+s"])
        await pilot.pause(0.3)
        assert f"{text}{FIRST}" in [example.text for example in app.session.store.examples.values()]


async def test_a_fault_of_a_key_that_waited_is_survived(workspace, monkeypatch):
    app = FlavorApp(workspace, start_worker=False)
    said = []
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f2")
        await pilot.pause()
        monkeypatch.setattr(app, "say", lambda text, *_: said.append(text))
        monkeypatch.setattr(app.session, "write_example", lambda *_: 1 / 0)
        await pilot.press("x", "ctrl+s")
        await pilot.pause(0.2)
        assert "ZeroDivisionError" in said[-1] and app.is_running and app._exception is None
