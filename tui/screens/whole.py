"""A screen is as large as the terminal, is drawn when it will be seen, is made ready only where it was drawn, and its work ends with it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

from textual.css.query import NoMatches
from textual.dom import NoScreen
from textual.events import Event, Mount, Resize
from textual.message_pump import MessagePump
from textual.widget import MountError
from textual.worker import Worker

if TYPE_CHECKING:
    from tui.host import Host


class Whole(MessagePump):
    """For screens, before Textual's own class, whose styles and keys are inherited by the first base that has any."""

    left = False
    """Whether it has ended: what is still at work for it finds its widgets no more."""
    seen = False
    """Whether a picture of it was made."""

    @property
    def flavor(self) -> Host:
        """The app that it belongs to."""
        return cast("Host", self.app)

    def run_worker(self, work: Any, *args: Any, **options: Any) -> Worker[Any]:
        """Textual takes a screen's widgets away before it ends the screen's work, which then ended the program. Work that is
        given as a function is not left unawaited where the screen ends first."""
        if not args:
            options.setdefault("name", getattr(work, "__name__", ""))
        work = work if options.get("thread") else functools.partial(self._until_left, work)
        return cast("Worker[Any]", cast(Any, super()).run_worker(work, *args, **options))

    async def _until_left(self, work: Any) -> Any:
        try:
            return await (work() if callable(work) else work)
        except (NoMatches, MountError, NoScreen):
            if self.app.is_running and not self.left:
                raise
            return None

    def _compositor_refresh(self) -> None:
        """Make the picture. Inside a batch, as while the program starts, Textual 8.2 makes one and throws it away."""
        screen = cast(Any, self)
        if self.app._batch_count:
            screen.refresh()
            return
        cast(Any, super())._compositor_refresh()
        if not self.seen:
            self.seen = True
            self.call_later(self.first_seen)

    async def first_seen(self) -> None:
        """For what can wait until the first picture is on the terminal."""

    def show_now(self) -> None:
        """Make the picture without waiting for the next turn of the clock, if every widget has its place."""
        if not cast(Any, self)._layout_required:
            self._compositor_refresh()

    async def _on_resize(self, event: Resize) -> None:
        """Of two sizes on their way to two screens, Textual 8.2 makes each screen tell the other its own, for ever: sizes of before, still
        on their way, are not taken for new ones."""
        if event.size != self.app.size:
            event.prevent_default()
            event.stop()

    async def on_event(self, event: Event) -> None:
        """A screen that is left, with the program or without, before it is drawn has none of its widgets, or not all: `on_mount` would miss
        them."""
        if not (isinstance(event, Mount) and (not cast(Any, self).children or self.app._exit)):
            await super().on_event(event)
