"""The contact sheet as a job of the app: made after each run, behind the queue, the training and whatever the person asks for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from core.errors import FlavorError
from tui.sheet import ContactSheet, Lane

if TYPE_CHECKING:
    from tui.app import FlavorApp


class SheetJob:
    """Holds the checkpoints whose columns are wanted. What stops it for a moment leaves them; cancelling forgets them."""

    def __init__(
        self,
        app: FlavorApp,
        say: Callable[..., None],
        start: Callable[[Coroutine[Any, Any, None], str], None],
        over: Callable[[], None],
    ) -> None:
        """`say`, `start` and `over` are those of the jobs."""
        self._app, self._say, self._start, self._over = app, say, start, over
        self.contact = ContactSheet(app.session)
        self._wanted: list[str] = []
        self.made = 0
        """Grows with every column."""

    def ask(self, checkpoints: Iterable[str]) -> list[Lane]:
        """Make what is missing for these, now or when the worker is free. Returns what is missing."""
        if self._app.session.held_by:
            return []
        missing = self.contact.missing(self.contact.lanes(checkpoints))
        self._wanted = list(dict.fromkeys([*self._wanted, *(lane.checkpoint for lane in missing)]))
        self.go_on()
        return missing

    def go_on(self) -> None:
        """Begin if something is wanted and the worker is free."""
        if self._wanted and self._app.jobs.doing == "ready":
            self._start(self._make(), "sheet")

    def forget(self) -> None:
        """Do not begin again by itself."""
        self._wanted = []

    async def _make(self) -> None:
        await asyncio.sleep(0)
        wanted = list(self._wanted)
        self._say("sheeting", "contact sheet: beginning")
        try:
            async with contextlib.aclosing(self.contact.make(wanted)) as events:
                async for lane, done, count in events:
                    self._say("sheeting", f"contact sheet: {lane.name}, {done} of {count} texts", force=False)
                    self.made += done == count
        except FlavorError:
            self.forget()  # else it would fail again and again
            raise
        self._wanted = [name for name in self._wanted if name not in wanted]
        self._over()
        self._app.changed()
