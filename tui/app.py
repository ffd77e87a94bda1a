"""The Textual app: it holds the session, runs the worker's jobs behind the screens, and tells the screens what changed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import App
from textual.content import Content
from textual.filter import LineFilter
from textual.screen import Screen
from textual.worker import Worker

from core.config import FILE
from core.errors import FlavorError
from dataset.rows import Candidate, Op
from tui import keys
from tui.jobs import Jobs
from tui.recent import remember
from tui.screens.curate import CurateScreen
from tui.screens.page import Page
from tui.session import Session
from tui.widgets.plain import ControlFilter, line

if TYPE_CHECKING:
    from textual.widgets import TextArea


def _write() -> Screen[None]:
    from tui.screens.write import WriteScreen

    return WriteScreen()


def _library() -> Screen[None]:
    from tui.screens.library import LibraryScreen

    return LibraryScreen()


def _runs() -> Screen[None]:
    from tui.screens.runs import RunsScreen

    return RunsScreen()


class FlavorApp(App[int]):
    """One workspace on four screens."""

    TITLE = "flavor-tui"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = keys.bindings("app")
    MODES = {"write": _write, "curate": CurateScreen, "library": _library, "runs": _runs}  # imported when first gone to
    session: Session
    jobs: Jobs
    _TICK: ClassVar[float] = 2.0

    def __init__(self, workspace: Path, *, start_worker: bool = True) -> None:
        """Open the workspace, or the welcome where there is none. Raises FlavorError where it cannot be opened."""
        self._workspace = workspace
        self._start_worker = start_worker
        self._opened = False
        self._seq_seen = 0
        self.prefer_new = False
        """Show a card of the new checkpoint next, even if an older one is on the desk: it has just been retrained."""
        if (workspace / FILE).exists():
            self._take(workspace)
            self.DEFAULT_MODE = self._first_mode()  # type: ignore[misc]  # its screen is the first that is painted
        super().__init__()

    def _take(self, workspace: Path) -> None:
        session = Session(workspace)
        try:
            self._own_keys = keys.check(session.settings.keys)
        except FlavorError:
            session.close()
            raise
        self.session = session
        self.jobs = Jobs(self)
        self._opened = True

    def _first_mode(self) -> str:
        return "curate" if self.session.store.examples else "write"

    def get_line_filters(self) -> list[LineFilter]:
        return [*super().get_line_filters(), ControlFilter()]

    # -- opening and closing -------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self._leave, 128 + number)
        if self._opened:
            self._settle()
        else:
            from tui.screens.welcome import WelcomeScreen

            self.push_screen(WelcomeScreen(self._workspace), self._chosen)

    def on_ready(self) -> None:
        """Textual draws its first picture inside a batch, which throws it away; without this the next one comes 20 ms later."""
        self.screen.refresh()

    def _chosen(self, workspace: Path | None) -> None:
        if workspace is None:
            self._leave(0)
            return
        try:
            self._take(workspace)
        except FlavorError as error:
            self.exit(1, return_code=1, message=f"flavor-tui: {error}")
            return
        self.switch_mode(self._first_mode())
        self._settle()

    def _settle(self) -> None:
        """What an open workspace needs besides its screen; the worker starts when that has been painted."""
        self.set_keymap(self._own_keys)
        self.title = f"flavor-tui {self.session.workspace.name}"
        self.set_interval(self._TICK, self._tick)
        self.call_after_refresh(self._painted)

    def _painted(self) -> None:
        gc.freeze()  # what is imported stays anyway; looking through it would hold the picture back by 20 ms
        gc.enable()
        remember(self.session.workspace)
        if self.session.held_by:
            self.say(f"Read-only: this workspace is open elsewhere ({self.session.held_by}).", "warning")
        elif self._start_worker:
            self.jobs.load()

    def _leave(self, code: int) -> None:
        if isinstance(self.screen, Page):
            self.screen.leave()
        self.exit(code)

    async def action_quit(self) -> None:
        self._leave(0)

    async def on_unmount(self) -> None:
        if self._opened:
            await self.session.stop_worker()
            with contextlib.suppress(FlavorError):
                self.session.close()

    async def _tick(self) -> None:
        """See that the worker lives; bring dataset.json up to date when the person pauses, since encoding ten thousand rows
        would hold up a key."""
        self.jobs.watch()
        seq = self.session.store.journal.seq
        if seq == self._seq_seen and not self.session.store.read_only:
            await self.session.write_view()
        self._seq_seen = seq

    # -- what the screens ask for --------------------------------------------------------------------------------------

    def say(self, text: str, severity: str = "information") -> None:
        """A passing note."""
        self.notify(text, severity=severity, markup=False, timeout=6)  # type: ignore[arg-type]

    def complain(self, error: FlavorError) -> None:
        """A failure, in one line."""
        self.notify(str(error), severity="error", markup=False, timeout=10)

    def changed(self) -> None:
        """Something in the session changed: redraw, and see that the queue is filled."""
        if isinstance(self.screen, Page):
            self.screen.renew_all()
        if self._opened:
            self.jobs.fill()

    def checkpoint_changed(self) -> None:
        """Another checkpoint is active: its candidates come first from now on."""
        self.prefer_new = True
        self.jobs.stop_sampling()
        self.changed()

    def activity_line(self) -> Content:
        """What is going on behind, with a sign and a word."""
        if self.session.held_by:
            return line(("○ read-only", "$text-warning"))
        return self.jobs.line()

    def undo(self) -> Op | None:
        """Take the last thing back and say so."""
        try:
            op = self.session.undo()
        except FlavorError as error:
            self.complain(error)
            return None
        self.say(f"Taken back: {op.note or op.kind}." if op else "There is nothing to take back.")
        return op

    def retrain(self, fresh: bool) -> None:
        self.jobs.retrain(fresh)

    def taste(self) -> None:
        self.jobs.retrain(fresh=False, taste=True)

    def sample_more(self) -> None:
        self.jobs.sample()

    def continue_text(self, area: TextArea, fields: dict[str, str]) -> None:
        self.jobs.continue_text(area, fields)

    def measure_examples(self, done: Callable[[dict[str, float]], None]) -> None:
        self.jobs.measure(done)

    def arrived(self, candidate: Candidate) -> None:
        """A candidate was sampled and stored."""
        if isinstance(self.screen, CurateScreen):
            self.screen.renew_all()

    def redraw_activity(self) -> None:
        """The line of activity changed, nothing else."""
        if isinstance(self.screen, Page):
            from tui.widgets.chrome import Activity

            for activity in self.screen.query(Activity):
                activity.show(self.activity_line())

    # -- keys ----------------------------------------------------------------------------------------------------------

    def _go(self, mode: str) -> None:
        if self._opened and self.current_mode != mode and not self.screen.is_modal:
            self.switch_mode(mode)

    def action_write(self) -> None:
        self._go("write")

    def action_curate(self) -> None:
        self._go("curate")

    def action_library(self) -> None:
        self._go("library")

    def action_runs(self) -> None:
        self._go("runs")

    def action_help(self) -> None:
        if self.screen.query("HelpPanel"):
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()

    def action_restart_worker(self) -> None:
        if self._opened and not self.session.held_by:
            self.jobs.restart()

    def action_cancel(self) -> None:
        if self._opened:
            self.jobs.cancel()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.worker.error is not None:
            self.log.error(event.worker.error)


def run_app(workspace: Path | None) -> int:
    """Open the app on a workspace (default: this folder); the exit status."""
    folder = workspace or Path.cwd()
    try:
        if folder.exists() and not folder.is_dir():
            raise FlavorError(f"{folder} is a file.", "Give a folder.", "missing")
        app = FlavorApp(folder)
    except FlavorError as error:
        from tui.say import complain

        return complain(error, as_json=False)
    return app.run() or app.return_code or 0
