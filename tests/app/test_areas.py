"""The text area: what is taken back in it, however much it was."""

from textual.app import App

from tests.app.test_jobs import until
from tui.app import FlavorApp
from tui.screens.edit import EditDialog
from tui.widgets.boxes import CleanArea, CleanInput
from tui.widgets.plain import Plain


class OneArea(App):
    CSS = "#text { height: 8; }"

    def compose(self):
        yield CleanArea("", id="text")


async def test_undo_of_more_than_fits_leaves_what_was_there():
    """Textual asks for the cursor while it still stands in lines that are gone, as soon as the scrollbar goes with them."""
    app = OneArea()
    async with app.run_test(size=(80, 24)) as pilot:
        area = app.query_one(CleanArea)
        await pilot.press(*"one two")
        area.insert("\nMore." + " words here" * 70, area.document.end)
        area.move_cursor(area.document.end)
        await pilot.pause()
        await pilot.press("ctrl+z")
        assert area.text == "one two" and area.cursor_location == (0, 7)
        await pilot.press("ctrl+y")
        assert area.text.startswith("one two\nMore.")


async def test_a_candidate_is_edited_beside_its_attributes(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        dialog = EditDialog("Edit, then accept", "none", "A text.", {"Keeper": "Kind"}, app.session, lambda text, fields: None)
        app.push_screen(dialog)
        await until(pilot, lambda: app.screen is dialog and dialog.focused)
        assert [box.value for box in dialog.query(CleanInput)] == ["", "Kind", ""]
        await pilot.press("shift+tab", "shift+tab", "ctrl+u", *"cruel", "tab", "ctrl+s")
        await until(pilot, lambda: "Keeper cannot be 'cruel'" in str(dialog.query_one("#dialog-error", Plain).content))
        assert dialog.focused.id == "field-1"  # where it is mended
