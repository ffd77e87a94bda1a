"""F1 and `?` explain the dialog one is in: what it is for, and its keys."""

import importlib
import pkgutil
import re

import pytest
from textual.containers import VerticalScroll
from textual.widgets import Input, Markdown

from core import config
from tests.app.test_jobs import until
from tui import keys, screens
from tui.app import FlavorApp
from tui.leaving import way_back
from tui.say import program
from tui.screens.curve import CurveDialog
from tui.screens.dialog import Dialog
from tui.screens.help import HelpDialog
from tui.screens.importing import ImportDialog
from tui.screens.note import NoteDialog
from tui.screens.sweep import SweepDialog

for module in pkgutil.iter_modules(screens.__path__):
    importlib.import_module(f"tui.screens.{module.name}")


def said(screen):
    return " ".join(screen.query_one(Markdown).source.split())


@pytest.mark.parametrize("dialog", Dialog.__subclasses__(), ids=lambda dialog: dialog.__name__)
def test_every_dialog_says_what_it_is_for(dialog):
    words = dialog.__dict__["HELP"]
    assert words.endswith(".") and len(words) < 180


def test_no_key_is_explained_with_a_word_twice():
    assert not [key.tip for page in keys.KEYS.values() for key in page if re.search(r"\b(\w+) \1\b", key.tip)]


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda app: NoteDialog("0001/epoch-02", "", str), "f1"),
        (lambda app: ImportDialog(app.session), "f1"),
        (lambda app: SweepDialog(), "question_mark"),
        (lambda app: CurveDialog(), "question_mark"),
    ],
)
async def test_it_is_shown_and_goes_again(workspace, make, key):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = make(app)
        app.push_screen(dialog)
        await until(pilot, lambda: app.screen is dialog and dialog.focused)
        had = dialog.focused
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, HelpDialog) and app.screen.query(Markdown))
        assert said(app.screen) == " ".join(dialog.HELP.split())
        words = app.screen.query_one("#help-words").region
        assert words.height and app.screen.query_one("#help").region.contains_region(words)
        await pilot.press(key)
        await until(pilot, lambda: app.screen is dialog and dialog.focused is had)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not dialog)


async def test_where_something_is_typed_a_question_mark_is_a_character(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(NoteDialog("0001/epoch-02", "", str))
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press("o", "k", "question_mark")
        assert app.focused.value == "ok?" and not isinstance(app.screen, HelpDialog)


async def test_the_key_of_ones_own_helps_in_dialogs_too(workspace):
    path = workspace / config.FILE
    path.write_text(path.read_text().replace("[keys]", '[keys]\nhelp = "f9"'))
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = NoteDialog("0001/epoch-02", "", str)
        app.push_screen(dialog)
        await until(pilot, lambda: app.screen is dialog and dialog.focused)
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, HelpDialog))
        await pilot.press("f9")
        await until(pilot, lambda: app.screen is dialog)


async def test_the_screens_own_keys_come_before_those_that_move_about(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f5")
        await until(pilot, lambda: app.focused)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpDialog))
        told = [{rows[0].description for rows in part.values()} for part in (app.screen.own, app.screen.everywhere, app.screen.moving)]
        for part, (here, elsewhere) in zip(told, (("blind A/B", "quit"), ("quit", "use"), ("Cursor up", "use")), strict=True):
            assert here in part and elsewhere not in part


async def test_all_of_it_can_be_read_by_keys(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpDialog) and app.focused and app.focused.max_scroll_y > 9)
        assert "Accept the candidate as an example" in app.export_screenshot().replace("&#160;", " ")
        await pilot.press("end")
        await until(pilot, lambda: app.screen.query_one(VerticalScroll).scroll_y == app.screen.query_one(VerticalScroll).max_scroll_y)
        await pilot.press("x")  # decides nothing below
        assert not app.session.store.decisions


async def test_escape_closes_it_and_does_nothing_else(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: app.current_mode == "write")
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpDialog))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, HelpDialog))
        assert app.current_mode == "write"
        await pilot.press("escape")
        await until(pilot, lambda: app.current_mode == "curate")


async def test_ctrl_c_says_how_to_leave(workspace):
    app = FlavorApp(workspace, start_worker=False)
    said = []
    app.say = lambda text, *_, **__: said.append(text)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.current_mode == "curate")
        await pilot.press("ctrl+c")
        await until(pilot, lambda: said)
        assert said == ["^q leaves the program."]


@pytest.mark.parametrize(
    ("typed", "known", "said"),
    [
        ("/usr/bin/flavor-tui", "/usr/bin/flavor-tui", "flavor-tui"),
        (".venv/bin/flavor-tui", None, ".venv/bin/flavor-tui"),
        ("my folder/flavor-tui", None, "'my folder/flavor-tui'"),
        ("/x/tui/__main__.py", None, "flavor-tui"),
    ],
)
def test_the_program_is_named_as_it_can_be_called(monkeypatch, typed, known, said):
    monkeypatch.setattr("sys.argv", [typed, "demo"])
    monkeypatch.setattr("shutil.which", lambda name: known)
    assert program() == said


@pytest.mark.parametrize("broken", [False, True])
async def test_leaving_says_how_to_go_on(workspace, monkeypatch, broken):
    """Below the folder it was started in as a path, since a folder may be called as a command is; nothing where writing failed."""
    monkeypatch.chdir(workspace.parent)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.current_mode == "curate")
        if broken:
            monkeypatch.setattr(app.session.store.journal, "broken", "no room")
        said = way_back(app.session)
        assert said is None if broken else said.plain == f"To go on: flavor-tui ./{workspace.name}"
        monkeypatch.undo()
