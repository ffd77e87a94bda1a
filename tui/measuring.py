"""The losses of all examples, measured as a job of the app: what Library and Report show beside the rows."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.text import counted, duration
from tui import losses

if TYPE_CHECKING:
    from tui.jobs import Jobs


class MeasureJob:
    """Only a key asks for it, so it gives way to nothing. The losses are kept when all of them are there."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs, self._app, self._session = jobs, jobs.app, jobs.session

    def ask(self, done: Callable[[dict[str, float]], None]) -> None:
        """Measure the loss of every example with the active checkpoint."""
        if not self._jobs.make_room():
            self._jobs.not_ready()
            return
        text = f"measuring the loss of {counted(len(self._session.store.examples), 'example')}"
        self._jobs.start(functools.partial(self._measure, done, text), "measuring", text)

    async def _measure(self, done: Callable[[dict[str, float]], None], text: str) -> None:
        await asyncio.sleep(0)
        began = time.monotonic()
        async for told in losses.measure(self._session):
            if isinstance(told, dict):
                done(told)
            else:
                left = (time.monotonic() - began) * (1 - told) / max(told, 0.01)
                self._jobs.tell("measuring", f"{text}: {told:.0%}, about {duration(left)} left", force=False)
        self._jobs.rest()
        self._app.changed()
