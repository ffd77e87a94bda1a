"""Dialogs and pages that are left: once, not in another's place, and whatever is still at work for them is no fault."""

import asyncio
import contextlib
import functools

import pytest
from textual.css.query import NoMatches
from textual.dom import NoScreen
from textual.worker import WorkerFailed

from tests.app.test_jobs import until
from tui.app import FlavorApp
from tui.screens.help import HelpDialog
from tui.screens.importing import ImportDialog
from tui.screens.note import NoteDialog
from tui.widgets.chrome import TopBar


@pytest.mark.parametrize("left", [True, False])
async def test_work_for_a_dialog_that_was_left_does_not_end_the_program(workspace, left):
    app = FlavorApp(workspace, start_worker=False)

    async def look_too_late(dialog):
        dialog.left = left
        dialog.query_one("#gone")

    with contextlib.nullcontext() if left else pytest.raises(WorkerFailed, match="gone"):
        async with app.run_test(size=(80, 24)) as pilot:
            await app.push_screen(dialog := ImportDialog(app.session))
            await pilot.pause()
            dialog.run_worker(functools.partial(look_too_late, dialog))
            await pilot.pause(0.1)
            assert app.is_running and app._exception is None


async def test_work_for_a_page_that_is_still_going_on_when_the_program_ends_is_no_fault(workspace):
    app = FlavorApp(workspace, start_worker=False)
    ended = []

    async def look_too_late(page):
        with contextlib.suppress(asyncio.CancelledError):  # comes when its widgets are gone
            await asyncio.Event().wait()
        try:
            assert page.query_one(TopBar).screen
        except (NoMatches, NoScreen) as error:
            ended.append(error)
            raise

    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f6")
        await pilot.pause()
        app.screen.run_worker(functools.partial(look_too_late, app.screen))
        await pilot.pause()
    assert ended and app._exception is None


async def test_a_dialog_knows_that_it_was_left(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(dialog := ImportDialog(app.session))
        await pilot.pause()
        await pilot.press("escape")
        assert dialog.left and app.screen is not dialog


async def test_a_dialog_that_ends_behind_its_help_leaves_after_it(workspace):
    """What ends it, enter or its own work, may still have been on its way: Textual would take the help away in its place, and end the
    program when the dialog is left for a second time."""
    app = FlavorApp(workspace, start_worker=False)
    kept = []
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = NoteDialog("0001/epoch-02", "", str)
        app.push_screen(dialog, kept.append)
        await until(pilot, lambda: app.screen is dialog and dialog.focused)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpDialog) and app.screen.is_mounted)
        dialog.dismiss("as it was typed")
        dialog.dismiss("and once more")
        await pilot.pause()
        assert isinstance(app.screen, HelpDialog) and not kept
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.screen_stack[0] and kept)
        dialog.dismiss("and afterwards")
        await pilot.pause()
        assert kept == ["as it was typed"] and len(app.screen_stack) == 1
