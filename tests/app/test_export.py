"""The export dialog: what Library shows, as a file; nothing is overwritten, and what is wrong is said where it is typed."""

import csv

from textual.widgets import Input

from core import config
from tests.app.test_import import opened, shown
from tui.screens.exporting import ExportDialog
from tui.screens.library import LibraryScreen


async def written(app, pilot, place):
    """Type a place and press enter."""
    app.screen.query_one("#export-path", Input).value = str(place)
    await pilot.press("enter")
    await app.workers.wait_for_complete()
    await pilot.pause()


async def test_one_key_writes_what_the_library_shows(workspace, tmp_path):
    async with opened(workspace) as (app, pilot):
        texts = [row.text for row in app.session.store.examples.values()]
        await pilot.press("f4", "e")
        await pilot.pause()
        assert isinstance(app.screen, ExportDialog) and "3 examples that Library shows" in shown(app, "#dialog-title")
        beside = tmp_path / "lighthouses.csv"
        assert app.screen.query_one("#export-path", Input).value == str(beside)
        await written(app, pilot, beside)
        assert isinstance(app.screen, LibraryScreen)
        rows = list(csv.DictReader(beside.open(encoding="utf-8-sig")))
        assert [row["text"] for row in rows] == texts and {row["Height"] for row in rows} == {"2"}
        await pilot.press("slash", *"Example 1", "enter")
        await pilot.pause(0.4)
        await pilot.press("e")
        await pilot.pause()
        assert app.screen.query_one("#export-path", Input).value == str(tmp_path / "lighthouses-2.csv")
        await written(app, pilot, tmp_path / "one.txt")
        assert (tmp_path / "one.txt").read_text() == texts[1] + "\n"


async def test_values_of_attributes_that_are_no_more_are_named(workspace, tmp_path):
    settings = workspace / config.FILE
    settings.write_text(settings.read_text().replace('name = "Height"', 'name = "Storeys"'))
    async with opened(workspace) as (app, pilot):
        said = []
        app.say = lambda text, *_, **__: said.append(text)
        for name, left_out in (("x.csv", ", left out here"), ("x.jsonl", "")):
            await pilot.press("f4", "e")
            await pilot.pause()
            await written(app, pilot, tmp_path / name)
            assert said.pop() == f"3 examples in {tmp_path / name}. 3 rows have values of attributes that are no more{left_out}: Height."


async def test_what_is_wrong_is_said_and_the_dialog_stays(workspace, tmp_path):
    (tmp_path / "mine.csv").write_text("a person's own")
    async with opened(workspace) as (app, pilot):
        await pilot.press("f4", "e")
        await pilot.pause()
        for place, said in (
            (tmp_path / "mine.csv", "is there already"), (tmp_path / "x.docx", "no ending"), ("", "Where to?"), (tmp_path / "mine.csv/x.csv", "cannot be"),
        ):  # fmt: skip
            await written(app, pilot, place)
            assert isinstance(app.screen, ExportDialog) and said in shown(app, "#dialog-error")
        assert (tmp_path / "mine.csv").read_text() == "a person's own"
        await pilot.press("escape")
        for _ in range(5):  # to the rejected ones, of which there is none
            await pilot.press("o")
        await pilot.press("e")
        await pilot.pause()
        assert isinstance(app.screen, LibraryScreen) and not list(tmp_path.glob("*.txt"))
