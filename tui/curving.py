"""The learning curve as a job of the app: it runs while nothing else is to do, and gives way to whatever the person asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from core.errors import FlavorError
from core.protocol import Curved, Curving
from tui.learning import BUDGET, SEEDS
from tui.session import duration

if TYPE_CHECKING:
    from tui.app import FlavorApp

WORTH = 15.0
"""Seconds of its time below which it does not begin again after a pause."""


class CurveJob:
    """Holds the time that the person granted. What stops it takes the time away; a pause, to fill the queue, leaves it the rest."""

    def __init__(
        self,
        app: FlavorApp,
        say: Callable[..., None],
        start: Callable[[Coroutine[Any, Any, None], str], None],
        over: Callable[[], None],
    ) -> None:
        """`say`, `start` and `over` are those of the jobs."""
        self._app, self._say, self._start, self._over = app, say, start, over
        self._left = 0.0
        self._paused = False

    def ask(self) -> None:
        """Begin, or go on where it was stopped: now, or when what is going on is over. Nothing where nothing is missing."""
        learning = self._app.session.learning
        try:
            self._app.session.must_write()
            learning.check()
        except FlavorError as error:
            self._app.complain(error)
            return
        if self._app.jobs.doing == "curving" or not learning.missing():
            return
        self._left = BUDGET
        if self._app.jobs.doing not in ("ready", "curving"):
            self._app.say("The learning curve begins when the model is free.")
        self.go_on()

    def go_on(self) -> None:
        """Begin if there is time granted and the worker is free."""
        if self._left > 0 and self._app.jobs.doing == "ready":
            self._start(self._measure(), "curve")

    def forget(self) -> None:
        """Do not begin again by itself."""
        self._left = 0.0

    def pause(self) -> None:
        """Called where it is about to be stopped for a moment only."""
        self._paused = True

    async def _measure(self) -> None:
        budget, self._left, self._paused = self._left, 0.0, False
        began = time.monotonic()
        self._say("curving", "learning curve: beginning")
        try:
            async for event in self._app.session.learning.measure(SEEDS, budget):
                match event:
                    case Curving():
                        self._say(
                            "curving", f"learning curve: {event.done} of {event.of} points, about {duration(event.left)} left", force=False
                        )
                    case Curved(missing=missing) if missing:
                        self._app.say(f"The learning curve has {event.done} more points; {missing} are missing, l goes on.")
        except asyncio.CancelledError:
            rest = budget - (time.monotonic() - began)
            if self._paused and rest > WORTH:
                self._left = rest
            raise
        outlook = await self._app.session.learning.look()
        self._app.say(outlook.forecast.sentence)
        self._over()
        self._app.changed()
