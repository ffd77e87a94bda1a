"""Keys act one after another, however fast they come."""

from __future__ import annotations

import asyncio
from collections import deque

from textual.app import App
from textual.events import Event, InputEvent, Key, MouseMove, Paste
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

LOOK = 0.02
"""Seconds after which a wait looks whether what it waits for is still there."""
PATIENCE = 50
"""Looks that a key waits at most for the key before it: a second of those in which the program runs, since while it is stopped or busy the
markers stand still as well."""
DRAWING = 500
"""Looks that it waits at most for its screen to be drawn: a key for what is not there yet would be a fault."""
LAPS = 2
"""Ways from a widget to the app that end a wait: on the first, a key that widgets leave to others arrives before the marker and is done;
on the second, what they say of having changed."""


class InOrder(App[int]):
    """An app in which a key is done when the one before it is.

    Textual puts letters into the queue of the box they go to, sends a key that no widget wants from queue to queue up to the app, and does
    at once what a priority key means. In one burst (or a busy moment of the machine) ctrl+s would save a text without its end, letters
    would come before the backspace that was typed before them, and what follows a key that opens a dialog would go to the page below it.
    So before a key acts, a marker goes the way that the key before it went, and the key, with all that is typed meanwhile, is held until the
    marker is back; before a new screen, until it is drawn. Letters that follow letters into one box need no marker: it takes them in turn.
    Clicks wait as keys do, since they move the focus; they are done at once when their turn comes.
    """

    class Marker(Message):
        """On its way through what a key went to."""

        def __init__(self, turn: int, widget: Widget, lap: int = 1) -> None:
            super().__init__()
            self.turn, self.widget, self.lap = turn, widget, lap

    _turn = 0
    """The number of the wait that is going on, or of the last one."""
    _waiting = False
    _last: Widget | None = None
    """Where the last key went, while no marker has followed it."""
    _typing = False
    """Whether it was a letter into a box."""
    _undrawn: Screen[object] | None = None
    """The screen that was waited for last: for none it is done twice."""

    def __init__(self) -> None:
        super().__init__()
        self._held: deque[Event] = deque()

    async def on_event(self, event: Event) -> None:
        if not isinstance(event, InputEvent | Paste) or isinstance(event, MouseMove) or event.is_forwarded:
            await super().on_event(event)
            return
        self._held.append(event)
        if not self._waiting:
            await self._go_on()

    async def _go_on(self) -> None:
        """Do what is held, as far as nothing is to be waited for."""
        while self._held and not self._waits(self._held[0]):
            event = self._held.popleft()
            if isinstance(event, Key | Paste) and self.screen_stack:
                self._last, self._typing = self.focused or self.screen, self._types(event)
            await self.in_turn(event)

    async def in_turn(self, event: Event) -> None:
        """A key or a click whose turn it is."""
        await super().on_event(event)

    def _types(self, event: Event) -> bool:
        into = self.focused
        if into is None or not isinstance(event, Key | Paste):
            return False
        return into.check_consume_key(*((event.key, event.character) if isinstance(event, Key) else ("a", "a")))

    def _waits(self, event: Event) -> bool:
        """Send a marker where something comes before this event; False where nothing does."""
        if not self.screen_stack:
            return False
        last, screen = self._last, self.screen
        if last is not None and not (self._typing and self._types(event) and self.focused is last):
            self._last = None
            if self._mark(last, PATIENCE):
                return True
        if not screen.is_mounted and screen is not self._undrawn:
            self._undrawn = screen
            return self._mark(screen, DRAWING)
        return False

    def _mark(self, widget: Widget, patience: int) -> bool:
        self._turn += 1
        self._waiting = widget.post_message(self.Marker(self._turn, widget))
        if self._waiting:
            self._look_later(self._turn, widget, patience)
        return self._waiting

    def _look(self, turn: int, widget: Widget, looks: int) -> None:
        """End a wait that took too long, or whose widget went away with the marker."""
        if turn != self._turn or not self._waiting:
            return
        if looks and widget.is_running:
            self._look_later(turn, widget, looks - 1)
        else:
            self.call_later(self._answered, turn)

    def _look_later(self, turn: int, widget: Widget, looks: int) -> None:
        asyncio.get_running_loop().call_later(LOOK, self._look, turn, widget, looks)

    async def on_in_order_marker(self, message: Marker) -> None:
        if message.lap == LAPS or not message.widget.post_message(self.Marker(message.turn, message.widget, message.lap + 1)):
            await self._answered(message.turn)

    async def _answered(self, turn: int) -> None:
        if turn == self._turn and self._waiting:
            self._waiting = False
            await self._go_on()
