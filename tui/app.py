"""The Textual app: it holds the session, runs the worker's jobs behind the screens, and tells the screens what changed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ScreenStackError
from textual.content import Content
from textual.events import Event, InputEvent, Key, MouseDown, Paste
from textual.filter import LineFilter
from textual.keys import key_to_character
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.worker import Worker, WorkerFailed, WorkerState

from core.config import FILE
from core.errors import FlavorError
from core.text import clean_line, short
from dataset.rows import Candidate, Op
from tui import keys
from tui.crash import CrashLog
from tui.desk import Desk
from tui.jobs.jobs import Jobs
from tui.screens.curate import CurateScreen
from tui.screens.page import Page
from tui.screens.whole import Whole
from tui.session.recent import remember
from tui.session.session import Session
from tui.styles import Styles
from tui.twice import Twice
from tui.widgets.notes import WithNotes
from tui.widgets.order import InOrder
from tui.widgets.plain import ControlFilter, line

if TYPE_CHECKING:
    from textual.widgets import TextArea


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


class FlavorApp(WithNotes, InOrder):
    """One workspace on five screens."""

    TITLE = "flavor-tui"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False  # Textual 8.2's looks for its own parts after it was closed, and ends the program with it
    BINDINGS = keys.bindings("app")
    MODES = {"write": _write, "curate": CurateScreen, "library": _library, "runs": _runs, "report": _report}  # imported when first gone to
    session: Session
    jobs: Jobs
    desk: Desk
    _TICK: ClassVar[float] = 2.0
    _LOOK: ClassVar[float] = 0.5
    _LEAVE: ClassVar[float] = 2.5

    def __init__(self, workspace: Path, *, start_worker: bool = True, life: int | None = None) -> None:
        """Open the workspace, or the welcome where there is none. Raises FlavorError where it cannot be opened.

        `life` is a descriptor that ends when the launcher is gone.
        """
        self._workspace = workspace
        self._life = life
        self._crash = CrashLog(workspace)
        self._start_worker = start_worker
        self._opened = False
        self._seq_seen = 0
        self.pressed = 0
        """Keys, pastes and clicks so far."""
        self._leaving = Twice(self)
        self.prefer_new = False
        """Show a card of the new checkpoint next, even if an older one is on the desk: it has just been retrained."""
        if (workspace / FILE).exists():
            self._take(workspace)
            self.DEFAULT_MODE = self._first_mode()  # type: ignore[misc]  # its screen is the first that is painted
        super().__init__()
        self.stylesheet = Styles(variables=self.get_css_variables())
        if self._opened:
            self._show_theme()

    def _show_theme(self) -> None:
        """What was last chosen here, else what flavor.toml says."""
        self.theme = THEMES.get(self.desk.theme, THEMES[self.session.settings.look.theme])

    def _take(self, workspace: Path) -> None:
        session = Session(workspace)
        try:
            self._own_keys = keys.check(session.settings.keys)
        except FlavorError:
            session.close()
            raise
        self.session = session
        self.jobs = Jobs(self)
        self.desk = Desk(session.folder, session.store.read_only)
        self._crash = CrashLog(session.folder)
        self._opened = True

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
        self._crash.watch_threads()
        loop.set_exception_handler(self._crash.lost_task)
        if self._opened:
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
        self.set_keymap(self._own_keys)
        self.title = clean_line(f"flavor-tui {self.session.folder.name}")
        self.set_interval(self._TICK, self._tick)
        self.set_interval(self._LOOK, self.jobs.watch)
        self.call_after_refresh(self._painted)

    def _painted(self) -> None:
        gc.freeze()  # what is imported stays anyway; looking through it would hold the picture back by 20 ms
        gc.enable()
        remember(self.session.folder)
        if self.session.held_by:
            self.say(f"Read-only: this workspace is open elsewhere ({self.session.held_by}).", "warning")
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

    def keep_typed(self) -> None:
        """Have each page and dialog write what is typed in it as a draft."""
        for mode in {self.current_mode, *self.MODES}:
            with contextlib.suppress(KeyError):  # never gone to
                for screen in self.get_screen_stack(mode):
                    if screen.is_mounted and (keep := getattr(screen, "keep", None)):
                        keep()

    async def action_quit(self) -> None:
        from tui.leaving import lost_by_leaving, way_back

        lost = lost_by_leaving(self) if self._opened else ""
        if lost and not self._leaving.sure():
            self.say(f"{self.key_for(*QUITS) or self.own_key('quit')} once more leaves without {lost}.", "warning")
            return
        self._leave(0, way_back(self.session) if self._opened else None)

    def action_help_quit(self) -> None:
        """What ctrl+c says, where there is nothing to copy."""
        if key := self.key_for(*QUITS):
            self.say(f"{key} leaves the program.")

    async def on_unmount(self) -> None:
        if self._opened:
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

    async def on_event(self, event: Event) -> None:
        await (self._survive(super().on_event, event) if isinstance(event, InputEvent | Paste) else super().on_event(event))

    async def in_turn(self, event: Event) -> None:
        self.pressed += isinstance(event, Key | Paste | MouseDown)
        await self._survive(super().in_turn, event)

    async def _survive(self, handle: Callable[[Event], Awaitable[None]], event: Event) -> None:
        """A key, a click or a paste that meets a fault, ours or Textual's, is said and survived: what was acknowledged before is on the disk."""
        if not self.screen_stack:
            return  # still on its way when the app ended
        try:
            await handle(event)
        except Exception as error:
            self.say(f"That met a fault of the program ({self.keep_fault(error)}); nothing was lost.", "error")

    # -- what the screens ask for --------------------------------------------------------------------------------------

    def say(self, text: str, severity: SeverityLevel = "information") -> None:
        """A passing note."""
        self.notify(short(text, 500), severity=severity, markup=False, timeout=6)

    def key_for(self, *actions: str) -> str:
        """The first key that does one of these here and now, as a person reads it; empty where none does, as while letters are typed."""
        into = self.focused
        shown = [
            self.get_key_display(active.binding)
            for key, active in self.active_bindings.items()
            if active.binding.action in actions and not (into and into.check_consume_key(key, key_to_character(key)))
        ]
        return shown[0] if shown else ""

    def own_key(self, action: str) -> str:
        """The first key of an action on its page, as `[keys]` has it."""
        default = next(key.key for table in keys.KEYS.values() for key in table if key.name == action)
        return self._own_keys.get(action, default).split(",")[0]

    def complain(self, error: FlavorError) -> None:
        """A failure, in one line."""
        broken = self._opened and self.session.store.journal.broken
        way_out = " ctrl+r: write again, or save a copy elsewhere." if broken else ""
        self.notify(short(f"{error}{way_out}", 500), severity="error", markup=False, timeout=10)
        if broken and isinstance(self.screen, Page):
            self.screen.renew_all()

    def changed(self) -> None:
        """Something in the session changed: redraw, and see that the queue is filled."""
        if isinstance(self.screen, Page):
            self.screen.renew_all()
        if self._opened:
            self.jobs.samples.fill()

    def checkpoint_changed(self) -> None:
        """Another checkpoint is active: its candidates come first from now on."""
        self.prefer_new = True
        self.jobs.samples.stop()
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
        self.say(f"Taken back: {op.told()}." if op else "There is nothing to take back.")
        if op and op.kind == "go":
            self.checkpoint_changed()
        return op

    def retrain(self, fresh: bool, again: str = "") -> None:
        self.jobs.retraining.ask(fresh, again)

    def taste(self) -> None:
        self.jobs.retraining.taste()

    def sample_more(self) -> None:
        self.jobs.samples.ask()

    def continue_text(self, area: TextArea, fields: dict[str, str]) -> None:
        self.jobs.samples.continue_text(area, fields)

    def measure_examples(self, done: Callable[[dict[str, float]], None]) -> None:
        self.jobs.losses.ask(done)

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
            if isinstance(self.screen, CurateScreen):
                self.screen.activity_changed()

    # -- keys ----------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a workspace none of the program's own keys but help and leaving does anything, nor is it shown."""
        return self._opened or action not in WITH_WORKSPACE

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

    def action_report(self) -> None:
        self._go("report")

    def action_theme(self) -> None:
        if self._opened:
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
        if self._opened and not self.session.held_by:
            self.jobs.model.restart()

    def action_download(self) -> None:
        if self._opened and not self.session.held_by:
            self.jobs.model.download()

    def action_models(self) -> None:
        from tui.screens.models import ModelsDialog

        if self._opened and not self.screen.is_modal:
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

    def action_weaker(self) -> None:
        self._bake(-1)

    def action_stronger(self) -> None:
        self._bake(1)

    def _bake(self, steps: int) -> None:
        if self._opened:
            from tui.bake import bake

            bake(self, steps)

    def action_cancel(self) -> None:
        if self._opened:
            self.jobs.cancel()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state == WorkerState.ERROR and event.worker.error is not None:
            self._crash.record(event.worker.error, "in a job")

    def keep_fault(self, error: BaseException) -> str:
        """Record a fault that the app survives; one line that says what it was."""
        return self._crash.record(error, "in a job")

    def _fatal_error(self) -> None:
        """The app met a fault and ends. Textual's own way prints the local variables of every frame, and with them texts."""
        error: BaseException = self._exception or RuntimeError("unknown")
        if isinstance(error, WorkerFailed):
            error = error.error  # which knows the place
        said = self._crash.record(error, "on the screen")
        place = "its folder's logs/screen.log says where"
        self._exit_renderables.append(Text(f"flavor-tui met a fault of its own ({said}); {place}. Every decision was on the disk."))
        self._close_messages_no_wait()


def run_app(workspace: Path | None, life: int | None = None) -> int:
    """Open the app on a workspace (default: this folder); the exit status. `life` is a descriptor that ends with the launcher."""
    folder = workspace or Path.cwd()
    try:
        if folder.exists() and not folder.is_dir():
            raise FlavorError(f"{folder} is a file.", "Give a folder.", "missing")
        app = FlavorApp(folder, life=life)
    except FlavorError as error:
        from tui.say import complain

        return complain(error, as_json=False)
    return app.run() or app.return_code or 0
