"""The import dialog: nothing is kept before its key, and then all or nothing; columns are asked for; what is pasted are rows."""

import contextlib
import json
import shlex
import time

import pytest
from textual.events import Paste
from textual.widgets import DataTable, Input, Select

from core.files import typed_path
from tui.app import FlavorApp
from tui.screens import importing
from tui.screens.importing import ImportDialog
from tui.widgets.plain import Plain


@contextlib.asynccontextmanager
async def opened(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        yield app, pilot


def shown(app, where):
    return str(app.screen.query_one(where).render())


async def look_at(app, pilot, source):
    """Open the dialog on a source; its preview."""
    await pilot.press("f4", "i")
    await pilot.pause()
    app.screen.query_one("#import-source", Input).value = str(source)
    await pilot.press("enter")
    return await settled(app, pilot)


async def settled(app, pilot):
    await app.workers.wait_for_complete()
    await pilot.pause()
    return shown(app, "#import-text")


async def test_one_key_imports_what_was_looked_at_and_undo_takes_it_back(workspace, tmp_path):
    rows = [{"story": "A tower with a light and a keeper who counts ships.", "height": 3}, {"story": "The lamp burns gossip.", "height": 5}]
    (tmp_path / "towers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    async with opened(workspace) as (app, pilot):
        before = dict(app.session.store.examples)
        said = await look_at(app, pilot, tmp_path / "towers.jsonl")
        assert (
            "2 examples" in said
            and "1 near-duplicate (1 of examples that are here)" in said
            and "The lamp burns gossip. [Height 5]" in said
        )
        assert app.session.store.examples == before
        await pilot.press("ctrl+d", "ctrl+s")
        await pilot.pause()
        assert [row.text for row in app.session.store.examples.values()][3:] == ["The lamp burns gossip."]
        assert app.screen.query_one(DataTable).row_count == 4
        await pilot.press("u")
        assert app.session.store.examples == before


async def test_a_column_is_asked_for(workspace, tmp_path):
    (tmp_path / "x.csv").write_text("headline,what,Height\nA,The tower at Sarn was found.,2\nB,Nobody asked.,3\n")
    async with opened(workspace) as (app, pilot):
        said = await look_at(app, pilot, tmp_path / "x.csv")
        assert "choose the column of the text" in said and "Choose it above." in said and "--text" not in said
        await pilot.press("ctrl+s")
        assert "--" not in shown(app, "#dialog-error")
        assert isinstance(app.screen, ImportDialog) and len(app.session.store.examples) == 3
        app.screen.query_one("#column-0", Select).value = "what"
        await pilot.pause()
        said = await settled(app, pilot)
        assert "2 examples" in said and "The tower at Sarn was found. [Height 2]" in said
        app.screen.query_one("#column-1", Select).value = ""
        await pilot.pause()
        assert "[Height" not in await settled(app, pilot)
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert [(row.text, row.fields) for row in app.session.store.examples.values()][3:] == [
            ("The tower at Sarn was found.", {}),
            ("Nobody asked.", {}),
        ]


async def test_no_option_of_the_command_line_is_asked_for(workspace, tmp_path):
    (tmp_path / "x.rtf").write_text("A tower.")
    async with opened(workspace) as (app, pilot):
        await look_at(app, pilot, tmp_path / "x.rtf")
        assert "unknown ending; known are .jsonl" in shown(app, "#dialog-error") and "--" not in shown(app, "#dialog-error")


async def test_faults_are_shown_and_nothing_is_imported(workspace, tmp_path):
    (tmp_path / "x.csv").write_text("text,Height\nfine,2\n,3\nalso,9\n[red]bold[/red],1\n")
    async with opened(workspace) as (app, pilot):
        said = await look_at(app, pilot, tmp_path / "x.csv")
        assert (
            "2 at fault" in said
            and "line 3: The text is empty." in said
            and "line 4: Height cannot be '9'." in said
            and "[red]bold[/red]" in said
        )
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert "Nothing was imported" in shown(app, "#dialog-error") and len(app.session.store.examples) == 3
        app.screen.query_one("#import-source", Input).value = str(tmp_path / "absent.csv")
        await pilot.pause()
        assert not shown(app, "#dialog-error")  # that was of another source
        await pilot.press("enter")
        await settled(app, pilot)
        assert "cannot be opened" in shown(app, "#dialog-error")
        await pilot.press("ctrl+s", "escape")
        await pilot.pause()
        assert len(app.session.store.examples) == 3


async def test_a_file_that_was_mended_meanwhile_is_read_again(workspace, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("text,Height\nThe lamp burns gossip.,9\n")
    async with opened(workspace) as (app, pilot):
        assert "mend it there, and ctrl+s reads it again" in await look_at(app, pilot, path)
        for text, said in (
            ("The lamp burns gossip.,8", "! It was read anew, and nothing"),
            ("The lamp burns whale fat.,5", "It was read anew; ctrl+s"),
        ):
            path.write_text(f"text,Height\n{text}\n")
            await pilot.press("ctrl+s")
            await settled(app, pilot)
            assert said in shown(app, "#dialog-error") and len(app.session.store.examples) == 3
        assert "whale fat. [Height 5]" in shown(app, "#import-text")
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert [row.text for row in app.session.store.examples.values()][3:] == ["The lamp burns whale fat."]


async def test_a_file_of_a_folder_that_was_mended_is_read_again(workspace, tmp_path):
    (tmp_path / "rows").mkdir()
    path = tmp_path / "rows/x.csv"
    path.write_text("text,Height\nThe lamp burns gossip.,9\n")
    async with opened(workspace) as (app, pilot):
        await look_at(app, pilot, path.parent)
        path.write_text("text,Height\nThe lamp burns gossip.,5\n")
        await pilot.press("ctrl+s")
        await settled(app, pilot)
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert len(app.session.store.examples) == 4


async def test_first_rows_are_those_that_would_be_imported_with_their_lines(workspace, tmp_path):
    async with opened(workspace) as (app, pilot):
        there = next(iter(app.session.store.examples.values())).text
        (tmp_path / "x.json").write_text(json.dumps([{"text": there}, {"text": "Roses are red,\nthe lamp is dead."}]))
        said = await look_at(app, pilot, tmp_path / "x.json")
        assert "↵ ends a line" in said and "Roses are red, ↵ the lamp is dead." in said and said.count(there[:12]) > 1
        await pilot.press("ctrl+d")
        first = shown(app, "#import-text").partition("first rows")[2].partition("near-duplicates")[0]
        assert "Roses" in first and there[:12] not in first
        (tmp_path / "x.json").write_text(json.dumps([{"text": there}]))
        await pilot.press("enter")
        assert "0 examples" in (said := await settled(app, pilot)) and "first rows" not in said


async def test_what_is_pasted_are_rows(workspace):
    async with opened(workspace) as (app, pilot):
        await pilot.press("f4", "i")
        await pilot.pause()
        await pilot.press("ctrl+s")
        await settled(app, pilot)
        assert "There is nothing to look at yet" in shown(app, "#dialog-error")
        app.screen.query_one("#import-source").post_message(Paste("A tower.\n\nAnother tower, of two\nlines.\n"))
        await pilot.pause()
        assert "From the clipboard: 2 examples" in await settled(app, pilot)
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert [row.text for row in app.session.store.examples.values()][3:] == ["A tower.", "Another tower, of two\nlines."]


async def test_what_was_not_looked_at_is_not_imported(workspace, tmp_path):
    for name in ("first", "second"):
        (tmp_path / f"{name}.txt").write_text(f"The {name} tower.")
    async with opened(workspace) as (app, pilot):
        assert "The first tower." in await look_at(app, pilot, tmp_path / "first.txt")
        app.screen.query_one("#import-source", Input).value = str(tmp_path / "second.txt")
        await pilot.pause()
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert isinstance(app.screen, ImportDialog) and len(app.session.store.examples) == 3
        assert "The second tower." in await settled(app, pilot)
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert list(app.session.store.examples.values())[-1].text == "The second tower."


@pytest.mark.parametrize("source", ["x" * 5000, "~nobody-of-that-name/rows.jsonl", "a\x00b", "id [b] 'words' " * 40])
async def test_no_path_ends_the_program(workspace, source):
    """What is typed or pasted where a path should be may be longer than any name, or name the home of nobody."""
    async with opened(workspace) as (app, pilot):
        await pilot.press("f4", "i")
        await pilot.pause()
        app.screen.query_one("#import-source", Input).value = source
        await pilot.pause(1.2)  # it looks by itself where there is such a file
        await pilot.press("enter")
        await settled(app, pilot)
        assert isinstance(app.screen, ImportDialog)
        assert "! " in " ".join(str(line.render()) for line in app.screen.query(Plain))


async def test_what_is_being_read_is_not_imported_yet(workspace, tmp_path, monkeypatch):
    """Neither it, nor what was seen before it."""
    (tmp_path / "first.txt").write_text("The first tower.")
    slow = importing.look_at_text

    def look(*args):
        time.sleep(0.5)
        return slow(*args)

    monkeypatch.setattr(importing, "look_at_text", look)
    async with opened(workspace) as (app, pilot):
        assert "The first tower." in await look_at(app, pilot, tmp_path / "first.txt")
        app.screen.query_one("#import-source").post_message(Paste("A pasted tower,\nof two lines.\n"))
        await pilot.pause()
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert isinstance(app.screen, ImportDialog) and len(app.session.store.examples) == 3
        await pilot.pause(0.6)
        assert "A pasted tower," in await settled(app, pilot)
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert list(app.session.store.examples.values())[-1].text == "A pasted tower,\nof two lines."


async def test_a_path_that_was_dropped_on_the_terminal_is_read(workspace, tmp_path):
    (tmp_path / "two words").mkdir()
    (tmp_path / "two words" / "it's.txt").write_text("A dropped tower.")
    path = str(tmp_path / "two words" / "it's.txt")
    for typed in (path, shlex.quote(path), path.replace(" ", "\\ ").replace("'", "\\'")):
        assert str(typed_path(typed)) == path
    for name in ("Tom's and Ann's.csv", "notes\\2024.csv"):  # to be written: it is not there yet
        assert str(typed_path(name)) == name
    async with opened(workspace) as (app, pilot):
        assert "A dropped tower." in await look_at(app, pilot, shlex.quote(path))


async def test_the_selects_show_what_is_in_force_for_another_source_with_the_same_columns(workspace, tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"text,what\nThe tower {name} was found.,Nobody asked {name}.\n")
    async with opened(workspace) as (app, pilot):
        await look_at(app, pilot, tmp_path / "a.csv")
        app.screen.query_one("#column-0", Select).value = "what"
        await pilot.pause()
        assert "Nobody asked a." in await settled(app, pilot) and app.screen.query_one("#column-0", Select).value == "what"
        app.screen.query_one("#import-source", Input).value = str(tmp_path / "b.csv")
        await pilot.press("enter")
        assert "The tower b" in await settled(app, pilot) and app.screen.query_one("#column-0", Select).value == "text"
        app.screen.query_one("#column-0", Select).value = "what"
        await pilot.pause()
        assert "Nobody asked b." in await settled(app, pilot)
        app.screen.post_message(importing.Pasted("text,what\nThe tower c was found.,Nobody asked c.\n"))
        await pilot.pause()
        await settled(app, pilot)
        assert app.screen.query_one("#column-0", Select).value == "text"
