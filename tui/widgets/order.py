"""Keys act on what was typed before them, however fast they come."""

from __future__ import annotations

import functools

from textual.app import App
from textual.binding import ActiveBinding
from textual.events import Event, Key, Paste
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, TextArea

PATIENCE = 1.0
"""Seconds that a key waits at most for what was typed before it."""
LAPS = 2
"""Ways from a box to the app that end a wait: on the first, keys that a box leaves to others arrive before it and are done; on the second,
what the box says of having changed."""


class InOrder(App[int]):
    """An app in which what a key of the screen or of the app does comes after the letters that were typed before it.

    Textual puts letters into the queue of the box they go to, but does at once what such a key means: a text that is saved with ctrl+s
    in the same moment would lose its end to the next one. So while a box has the focus a marker goes the way that its letters go, and the
    key, with all that is typed meanwhile, is held until it is back.
    """

    class Marker(Message):
        """On its way through a box."""

        def __init__(self, turn: int, box: Widget, lap: int = 1) -> None:
            super().__init__()
            self.turn, self.box, self.lap = turn, box, lap

    _turn = 0
    """The number of the wait that is going on, or of the last one."""
    _boxes: frozenset[Widget] = frozenset()
    """Those that its markers are not back from."""
    _held: tuple[Event, ...] = ()
    """The key that waits, and what was typed after it."""
    _let: Event | None = None
    """The key whose wait is over."""

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key | Paste) and not event.is_forwarded and event is not self._let and self._holds(event):
            return
        await super().on_event(event)

    def _holds(self, event: Key | Paste) -> bool:
        """Whether it is dealt with here."""
        if self._held:
            self._held += (event,)
            return True
        if isinstance(event, Paste) or not self.screen_stack or not self.app_focus:
            return False
        waits = isinstance(self.focused, Input | TextArea) and not event.is_printable
        if not waits and event.key not in ("tab", "shift+tab"):
            return False  # a letter, or a key that decides: its way is short
        bound = self.screen.active_bindings.get(event.key)
        return bound is not None and (self._moves_focus(bound) or (waits and bound.binding.priority and self._waits(event)))

    def _moves_focus(self, bound: ActiveBinding) -> bool:
        """Move the focus at once, where a key does that: Textual hands it to the widget first, and what is typed meanwhile goes there."""
        move = {"app.focus_next": self.action_focus_next, "app.focus_previous": self.action_focus_previous}.get(bound.binding.action)
        if move:
            move()
        return move is not None

    def _waits(self, event: Key) -> bool:
        """Hold a key until the markers are back; False where no box takes one."""
        self._turn += 1
        boxes = [box for box in self.screen.query("Input, TextArea") if box.post_message(self.Marker(self._turn, box))]
        if not boxes:
            return False
        self._boxes, self._held = frozenset(boxes), (event,)
        self.set_timer(PATIENCE, functools.partial(self._go_on, self._turn))
        return True

    async def on_in_order_marker(self, message: Marker) -> None:
        if message.turn != self._turn or message.box not in self._boxes:
            return
        if message.lap < LAPS and message.box.post_message(self.Marker(message.turn, message.box, message.lap + 1)):
            return
        self._boxes -= {message.box}
        if not self._boxes:
            await self._go_on(message.turn)

    async def _go_on(self, turn: int) -> None:
        """The wait is over, or took too long: the key acts, then what was held after it, which may wait again."""
        if turn != self._turn or not self._held:
            return
        first, *later = self._held
        self._held, self._boxes = (), frozenset()
        self._let = first
        try:
            await self.on_event(first)
        finally:
            self._let = None
        for event in later:
            await self.on_event(event)
