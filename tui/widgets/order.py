"""Keys and what they mean, in the order in which they were typed."""

from __future__ import annotations

import asyncio
import contextlib

from textual.app import App
from textual.binding import ActiveBinding
from textual.widget import Widget
from textual.widgets import Input, TextArea

PATIENCE = 1.0
"""Seconds that a key waits at most for letters that were typed into another box."""


class InOrder(App[int]):
    """An app in which a key acts on what was typed before it, however fast the keys come.

    Textual puts letters into the queue of the box they go to, but does at once what a key of the screen means: a text that is saved with ctrl+s
    in the same moment would lose its end to the next one.
    """

    def survive(self, error: Exception) -> None:
        """A key met a fault."""
        raise error

    def takes(self, key: str) -> bool:
        """Whether a key that was just typed is dealt with here."""
        if len(key) == 1 or not self.screen_stack or not self.app_focus:
            return False
        bound = self.screen.active_bindings.get(key)
        return bound is not None and (self._moves_focus(bound) or self._waits(bound))

    def _moves_focus(self, bound: ActiveBinding) -> bool:
        """Move the focus at once, where a key does that: Textual hands it to the widget first, and what is typed meanwhile goes there."""
        if bound.binding.key not in ("tab", "shift+tab"):
            return False
        move = {"app.focus_next": self.action_focus_next, "app.focus_previous": self.action_focus_previous}.get(bound.binding.action)
        if move:
            move()
        return move is not None

    def _waits(self, bound: ActiveBinding) -> bool:
        """Let a key of the screen wait behind the letters that are on their way to its boxes."""
        box = self.focused
        if not isinstance(box, Input | TextArea) or not bound.binding.priority or bound.node is not self.screen:
            return False
        others = [other for other in self.screen.query("Input, TextArea") if other is not box]
        return box.call_later(self._in_turn, bound, others)

    async def _in_turn(self, bound: ActiveBinding, others: list[Widget]) -> None:
        for other in others:
            came = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    if other.call_later(came.set):
                        await came.wait()
        try:
            await self.run_action(bound.binding.action, bound.node)
        except Exception as error:
            self.survive(error)
