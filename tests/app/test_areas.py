"""The text area: what is taken back in it, however much it was."""

from textual.app import App

from tui.widgets.plain import CleanArea


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
