"""A screen is as large as the terminal: sizes of before, still on their way, are not taken for new ones."""

from __future__ import annotations

from textual.events import Resize
from textual.message_pump import MessagePump


class Whole(MessagePump):
    """For screens. Of two sizes on their way to two screens, Textual 8.2 makes each screen tell the other its own, for ever."""

    async def _on_resize(self, event: Resize) -> None:
        if event.size != self.app.size:
            event.prevent_default()
            event.stop()
