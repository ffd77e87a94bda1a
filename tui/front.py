"""The app as the jobs behind it know it: a session, passing notes, the names of keys, a screen that is told what changed, and faults survived."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from rich.text import Text
from textual.events import Event, InputEvent, Key, MouseDown, Paste
from textual.keys import format_key, key_to_character
from textual.notifications import SeverityLevel
from textual.worker import Worker, WorkerFailed, WorkerState

from core.errors import FlavorError
from core.text import short
from tui import keys
from tui.crash import CrashLog
from tui.session.session import Session
from tui.widgets.notes import WithNotes
from tui.widgets.order import InOrder

AWAY = 3600.0
"""Seconds for which a note stays that tells what happened meanwhile."""


class Front(WithNotes, InOrder):
    """What is drawn, without what it is drawn of. Subclasses set `session`, and `opened` where there is one."""

    session: Session
    opened = False
    pressed = 0
    """Keys, pastes and clicks so far."""
    last_key = ""
    """The key that was pressed last; empty after a paste or a click."""
    prefer_new = False
    """Show a card of the new checkpoint next, even if an older one is on the desk: it has just been retrained."""
    crash: CrashLog
    own_keys: dict[str, str]

    # -- what is said --------------------------------------------------------------------------------------------------

    def say(self, text: str, severity: SeverityLevel = "information", *, about: str = "", waits: bool = False) -> None:
        """A passing note, in the place of one `about` the same. One that `waits` is there until a key after it was read, for a person who was away."""
        self.notify(short(text, 500), severity=severity, markup=False, timeout=AWAY if waits else 6, about=about)

    def ask(self, text: str) -> None:
        """A question that the same key answers (`Twice`), and any other takes back."""
        self.question = short(text, 500)
        self.say(self.question, "warning")

    def key_for(self, *actions: str) -> str:
        """The key that does one of these here and now, as a person reads it: the one that was just pressed, else the first; empty where none does,
        as while letters are typed."""
        into = self.focused
        shown = {
            key: self.get_key_display(active.binding)
            for key, active in self.active_bindings.items()
            if active.binding.action in actions and not (into and into.check_consume_key(key, key_to_character(key)))
        }
        return shown.get(self.last_key) or next(iter(shown.values()), "")

    def own_key(self, action: str) -> str:
        """The first key of an action on its page, `[keys]` heeded, by the name that the footer has for it; but `ctrl+r` in words, `F2` as on the keyboard."""
        default = next(key.key for table in keys.KEYS.values() for key in table if key.name == action)
        key = self.own_keys.get(action, default).split(",")[0]
        return key.upper() if key[0] == "f" and key[1:].isdigit() else format_key(key)

    def complain(self, error: FlavorError) -> None:
        """A failure, in one line."""
        broken = self.opened and self.session.store.journal.broken
        way_out = f" {self.own_key('rescue')}: write again, or save a copy elsewhere." if broken else ""
        if error.kind == "worker" and not self.key_for("restart_worker"):  # letters are typed here, and the hint names one
            way_out += f" {self.own_key('restart_worker')} does so on Curate."
        self.notify(short(f"{error}{way_out}", 500), severity="error", markup=False, timeout=10)
        if broken:
            self.tell_screen("renew_all")

    # -- what the screen is told ---------------------------------------------------------------------------------------

    def tell_screen(self, what: str) -> None:
        """Call a method of the screen that is seen, where there is one and it has one of that name."""
        if self._screen_stack and (tell := getattr(self.screen, what, None)):
            tell()

    def renew(self) -> None:
        """Something in the session changed: redraw."""
        self.tell_screen("renew_all")

    def arrived(self) -> None:
        """A candidate was sampled and stored."""
        self.tell_screen("candidate_arrived")

    def redraw_activity(self) -> None:
        """The line of activity changed, nothing else."""
        self.tell_screen("activity_changed")

    def keep_typed(self) -> None:
        """Have each page and dialog write what is typed in it as a draft."""
        for mode in {self.current_mode, *self.MODES}:
            with contextlib.suppress(KeyError):  # never gone to
                for screen in self.get_screen_stack(mode):
                    if screen.is_mounted and (keep := getattr(screen, "keep", None)):
                        keep()

    # -- faults --------------------------------------------------------------------------------------------------------

    async def on_event(self, event: Event) -> None:
        await (self._survive(super().on_event, event) if isinstance(event, InputEvent | Paste) else super().on_event(event))

    async def in_turn(self, event: Event) -> None:
        if isinstance(event, Key | Paste | MouseDown):
            self.pressed += 1
            self.last_key = event.key if isinstance(event, Key) else ""
            self.put_away_read()
        await self._survive(super().in_turn, event)

    async def _survive(self, handle: Callable[[Event], Awaitable[None]], event: Event) -> None:
        """A key, a click or a paste that meets a fault, ours or Textual's, is said and survived: what was acknowledged before is on the disk."""
        if not self.screen_stack:
            return  # still on its way when the app ended
        try:
            await handle(event)
        except Exception as error:
            self.say(f"That met a fault of the program ({self.keep_fault(error)}); nothing was lost.", "error")

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state == WorkerState.ERROR and event.worker.error is not None:
            self.crash.record(event.worker.error, "in a job")

    def keep_fault(self, error: BaseException) -> str:
        """Record a fault that the app survives; one line that says what it was."""
        return self.crash.record(error, "in a job")

    def _fatal_error(self) -> None:
        """The app met a fault and ends. Textual's own way prints the local variables of every frame, and with them texts."""
        error: BaseException = self._exception or RuntimeError("unknown")
        if isinstance(error, WorkerFailed):
            error = error.error  # which knows the place
        said = self.crash.record(error, "on the screen")
        place = "its folder's logs/screen.log says where"
        self._exit_renderables.append(Text(f"flavor-tui met a fault of its own ({said}); {place}. Every decision was on the disk."))
        self._close_messages_no_wait()
