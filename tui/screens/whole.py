"""A screen is as large as the terminal, and is made ready only where it was drawn."""

from __future__ import annotations

from typing import Any, cast

from textual.events import Event, Mount, Resize
from textual.message_pump import MessagePump


class Whole(MessagePump):
    """For screens, before Textual's own class, whose styles and keys are inherited by the first base that has any."""

    async def _on_resize(self, event: Resize) -> None:
        """Of two sizes on their way to two screens, Textual 8.2 makes each screen tell the other its own, for ever: sizes of before, still
        on their way, are not taken for new ones."""
        if event.size != self.app.size:
            event.prevent_default()
            event.stop()

    async def on_event(self, event: Event) -> None:
        """A screen that is left, with the program or without, before it is drawn has none of its widgets: `on_mount` would miss them."""
        if not (isinstance(event, Mount) and not cast(Any, self).children):
            await super().on_event(event)
