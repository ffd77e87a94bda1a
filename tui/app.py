"""The Textual app: it holds the session, runs the worker's jobs behind the screens, and tells the screens what changed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ScreenStackError
from textual.filter import LineFilter
from textual.screen import Screen

from core.config import FILE
from core.errors import FlavorError
from core.text import clean_line, short
from tui import keys
from tui.crash import CrashLog
from tui.desk import Desk
from tui.host import Host
from tui.jobs.jobs import Jobs
from tui.screens.curate import CurateScreen
from tui.screens.whole import Whole
from tui.session.recent import remember
from tui.session.session import Session
from tui.styles import Styles
from tui.twice import Twice
from tui.widgets.plain import ControlFilter

WITH_WORKSPACE = frozenset(key.name for key in keys.KEYS["app"]) - {"help", "quit"}
QUITS = ("quit", "app.quit")
"""The action of the key that leaves, as our table and as Textual names it."""


def _write() -> Screen[None]:
    from tui.screens.write import WriteScreen

    return WriteScreen()


def _library() -> Screen[None]:
    from tui.screens.library import LibraryScreen

    return LibraryScreen()


def _runs() -> Screen[None]:
    from tui.screens.runs import RunsScreen

    return RunsScreen()


def _report() -> Screen[None]:
    from tui.screens.report import ReportScreen

    return ReportScreen()


THEMES = {"dark": "textual-dark", "light": "textual-light"}


class FlavorApp(Host):
    """One workspace on five screens."""

    TITLE = "flavor-tui"
    CSS_PATH = "app.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-low"), (20, "-high")]
    ENABLE_COMMAND_PALETTE = False  # Textual 8.2's looks for its own parts after it was closed, and ends the program with it
    BINDINGS = keys.bindings("app")
    MODES = {"write": _write, "curate": CurateScreen, "library": _library, "runs": _runs, "report": _report}  # imported when first gone to
    _TICK: ClassVar[float] = 2.0
    _LOOK: ClassVar[float] = 0.5
    _LEAVE: ClassVar[float] = 2.5

    def __init__(self, workspace: Path, *, start_worker: bool = True, life: int | None = None) -> None:
        """Open the workspace, or the welcome where there is none. Raises FlavorError where it cannot be opened.

        `life` is a descriptor that ends when the launcher is gone.
        """
        self._workspace = workspace
        self._life = life
        self.crash = CrashLog(workspace)
        self._start_worker = start_worker
        self._seq_seen = 0
        self._leaving = Twice(self)
        if os.path.exists(workspace / FILE):  # `Path.exists` raises where a name is too long, or a folder may not be entered
            self._take(workspace)
            self.DEFAULT_MODE = self._first_mode()  # type: ignore[misc]  # its screen is the first that is painted
        super().__init__()
        self.stylesheet = Styles(variables=self.get_css_variables())
        if self.opened:
            self._show_theme()

    def _show_theme(self) -> None:
        """What was last chosen here, else what flavor.toml says."""
        self.theme = THEMES.get(self.desk.theme, THEMES[self.session.settings.look.theme])

    def _take(self, workspace: Path) -> None:
        session = Session(workspace)
        try:
            self.own_keys = keys.check(session.settings.keys)
        except FlavorError:
            session.close()
            raise
        self.session = session
        self.jobs = Jobs(self)
        self.desk = Desk(session.folder, session.store.read_only)
        fixed: dict[str, str] = {}
        for name, value in self.desk.fixed.items():
            with contextlib.suppress(FlavorError):  # the attributes may be others now
                fixed |= session.task.check({name: value})
        session.fix(session.task.only(fixed), self.desk.since)
        self.crash = CrashLog(session.folder)
        self.opened = True

    def _first_mode(self) -> str:
        if self.desk.mode in self.MODES:
            return self.desk.mode
        return "curate" if self.session.store.examples else "write"

    def get_line_filters(self) -> list[LineFilter]:
        return [*super().get_line_filters(), ControlFilter()]

    # -- opening and closing -------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self._leave_soon, 128 + number)
        if self._life is not None:
            loop.add_reader(self._life, self._leave_soon, 128 + signal.SIGHUP)
        self.crash.watch_threads()
        loop.set_exception_handler(self.crash.lost_task)
        if self.opened:
            self._settle()
        else:
            from tui.screens.welcome import WelcomeScreen

            self.push_screen(WelcomeScreen(self._workspace), self._chosen)

    def watch_app_focus(self, focus: bool) -> None:
        """Textual's footer takes no note of its keys while the app has no focus, nor of getting it: in a browser it would stay empty."""
        if focus and self.is_running:
            with contextlib.suppress(ScreenStackError):
                self.screen.refresh_bindings()

    def on_ready(self) -> None:
        """Textual draws its first picture inside a batch, which throws it away; without this the next one comes 20 ms later."""
        if isinstance(self.screen, Whole):
            self.screen.show_now()
        else:
            self.screen.refresh()

    def _chosen(self, workspace: Path | None) -> None:
        if workspace is None:
            self._leave(0)
            return
        try:
            self._take(workspace)
        except FlavorError as error:
            self.exit(1, return_code=1, message=Text(short(f"flavor-tui: {error}", 500)))
            return
        self._show_theme()
        self.switch_mode(self._first_mode())
        self._settle()

    def _settle(self) -> None:
        """What an open workspace needs besides its screen; the worker starts when that has been painted."""
        self.set_keymap(self.own_keys)
        self.title = clean_line(f"flavor-tui {self.session.folder.name}")
        self.set_interval(self._TICK, self._tick)
        self.set_interval(self._LOOK, self.jobs.watch)
        self.call_after_refresh(self._painted)

    def _painted(self) -> None:
        gc.freeze()  # what is imported stays anyway; looking through it would hold the picture back by 20 ms
        gc.enable()
        remember(self.session.folder)
        if refusal := self.session.refused:
            self.say(f"Read-only: {refusal.message}", "warning")
        elif self._start_worker:
            self.jobs.model.load()
        from tui.offers import offer

        offer(self)

    def _leave_soon(self, code: int) -> None:
        """Leave as if by a key; at the latest, when whoever asked for it has waited long enough. The launcher restores the terminal."""
        loop = asyncio.get_running_loop()
        if self._life is not None:
            loop.remove_reader(self._life)
        loop.call_later(self._LEAVE, os._exit, code)
        self._leave(code)

    def _leave(self, code: int, message: Text | None = None) -> None:
        self.keep_typed()
        self.exit(code, message=message)

    async def action_quit(self) -> None:
        from tui.leaving import lost_by_leaving, way_back

        lost = lost_by_leaving(self) if self.opened else ""
        if lost and not self._leaving.sure():
            self.ask(f"{self.key_for(*QUITS) or self.own_key('quit')} once more leaves without {lost}.")
            return
        self._leave(0, way_back(self.session) if self.opened else None)

    def action_help_quit(self) -> None:
        """What ctrl+c says, where there is nothing to copy."""
        if key := self.key_for(*QUITS):
            self.say(f"{key} leaves the program.")

    async def on_unmount(self) -> None:
        if self.opened:
            await self.session.stop_worker()
            with contextlib.suppress(FlavorError):
                self.session.close()

    async def _tick(self) -> None:
        """Bring dataset.json up to date when the person pauses, since encoding ten thousand rows
        would hold up a key."""
        seq = self.session.store.journal.seq
        if seq == self._seq_seen and not self.session.store.read_only:
            await self.session.write_view()
        self._seq_seen = seq

    # -- keys ----------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a workspace none of the program's own keys but help and leaving does anything, nor is it shown."""
        return self.opened or action not in WITH_WORKSPACE

    def _go(self, mode: str) -> None:
        if self.opened and self.current_mode != mode and not self.screen.is_modal:
            self.switch_mode(mode)

    def action_write(self) -> None:
        self._go("write")

    def action_curate(self) -> None:
        self._go("curate")

    def action_library(self) -> None:
        self._go("library")

    def action_runs(self) -> None:
        self._go("runs")

    def action_report(self) -> None:
        self._go("report")

    def action_theme(self) -> None:
        if self.opened:
            self.desk.keep(theme="dark" if self.theme == THEMES["light"] else "light")
            self._show_theme()

    def action_help(self) -> None:
        from tui.screens.help import HelpDialog

        if isinstance(self.screen, HelpDialog):
            self.screen.action_leave()
        else:
            self.push_screen(HelpDialog(self.screen))

    def action_rescue(self) -> None:
        from tui.offers import rescue

        rescue(self)

    def action_restart_worker(self) -> None:
        if self.opened and not self.session.held_by:
            self.jobs.model.restart()

    def action_download(self) -> None:
        if self.opened and not self.session.held_by:
            self.jobs.model.download()

    def action_models(self) -> None:
        from tui.screens.models import ModelsDialog

        if self.opened and not self.screen.is_modal:
            self.push_screen(ModelsDialog(self.session.base_stays), self._model_chosen)

    def _model_chosen(self, name: str | None) -> None:
        if not name:
            return
        try:
            self.session.take_base(name)
        except FlavorError as error:
            self.complain(error)
            return
        self.say(f"{name} is the base of this workspace now, as {FILE} says.")
        if self._start_worker:
            self.jobs.model.other_base()
        self.want_others()

    def action_weaker(self) -> None:
        self._bake(-1)

    def action_stronger(self) -> None:
        self._bake(1)

    def _bake(self, steps: int) -> None:
        if self.opened:
            from tui.bake import bake

            bake(self, steps)

    def action_cancel(self) -> None:
        if self.opened:
            self.jobs.cancel()


def run_app(workspace: Path | None, life: int | None = None) -> int:
    """Open the app on a workspace (default: this folder); the exit status. `life` is a descriptor that ends with the launcher."""
    folder = workspace or Path.cwd()
    try:
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise FlavorError(f"{folder} is a file.", "Give a folder.", "missing")
        app = FlavorApp(folder, life=life)
    except FlavorError as error:
        from tui.say import complain

        return complain(error, as_json=False)
    return app.run() or app.return_code or 0
