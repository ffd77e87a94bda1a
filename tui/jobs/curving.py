"""The learning curve, and a sweep, as jobs of the app: they run while nothing else is to do, and give way to whatever the person asks for."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol

from core.errors import FlavorError
from core.protocol import AnyEvent, Curved, Curving
from core.text import duration

if TYPE_CHECKING:
    from tui.jobs.jobs import Jobs

WORTH = 15.0
"""Seconds of its time below which it does not begin again after a pause."""
NO_MODEL = ("none", "dead")
"""What `Jobs.doing` says where no model is there, nor on its way."""


class Measures(Protocol):
    """What can be measured point by point, and says what is known so far."""

    def check(self) -> None: ...

    def missing(self) -> int: ...

    def measure(self, *, budget: float) -> AsyncIterator[AnyEvent]: ...

    async def sentence(self) -> str: ...


class CurveJob:
    """Holds the time that the person granted. Who stops it takes the time away; a pause, for what comes first, leaves it the rest."""

    def __init__(self, jobs: Jobs, doing: str, title: str, key: str) -> None:
        """`doing` is what `Jobs.doing` says while it is measured, `title` what that is in words, `key` what opens its dialog on Report."""
        self._jobs, self._app, self._doing, self._title, self._key = jobs, jobs.app, doing, title, key
        self._subject: Measures | None = None
        self._left = 0.0
        self._paused = False

    @property
    def going(self) -> bool:
        """Whether it is measured, or is to be as soon as the model is free."""
        return self._left > 0 or self._jobs.doing == self._doing

    def ask(self, subject: Measures, budget: float) -> None:
        """Begin, or go on where it was stopped: now, or when what is going on is over. Nothing where nothing is missing."""
        try:
            self._app.session.must_write()
            subject.check()
        except FlavorError as error:
            self._app.complain(error)
            return
        goes_on = self._jobs.doing == self._doing
        if (goes_on and subject == self._subject) or not subject.missing():
            return
        self._subject, self._left = subject, budget
        if goes_on:
            self._paused = False  # what is stopped here leaves its time to nobody
            self._app.say(f"The {self._title} goes on with what you ask for now; what was measured is kept.")
            self._jobs.give_way()  # it begins as soon as that has ended, as whatever waits does
        elif self._jobs.doing in NO_MODEL:
            self._app.say(f"The {self._title} waits for a model: {self._jobs.said}", "warning")
        elif self._jobs.doing != "ready":
            self._app.say(f"The {self._title} begins when the model is free.")
        self.go_on()

    def go_on(self) -> bool:
        """Begin if there is time granted and the worker is free; whether it does."""
        if self._left > 0 and self._subject and self._jobs.doing == "ready":
            self._jobs.start(functools.partial(self._measure, self._subject), self._doing, f"{self._title}: beginning")
            return True
        return False

    def stop(self) -> None:
        """Measure no more, neither now nor later, for the key in its dialog: whatever else goes on is not meant."""
        waited = self._left > 0
        self.forget()
        if self._jobs.doing == self._doing:
            self._jobs.halt()
        elif waited:
            self._app.say(f"The {self._title} waits no more; it does when you ask for it again.")
        else:
            self._app.say(f"The {self._title} is not being measured: there is nothing to stop.")

    def forget(self) -> None:
        """Do not begin again by itself."""
        self._left, self._paused = 0.0, False

    def pause(self) -> None:
        """Called where it is about to be stopped for a moment only."""
        self._paused = True

    async def _measure(self, subject: Measures) -> None:
        budget, self._left, self._paused = self._left, 0.0, False
        began = time.monotonic()
        try:
            async for event in subject.measure(budget=budget):
                match event:
                    case Curving():
                        self._jobs.tell(
                            self._doing, f"{self._title}: {event.done} of {event.of}, about {duration(event.left)} left", force=False
                        )
                    case Curved(missing=missing) if missing:
                        left = f"{missing} {'is' if missing == 1 else 'are'} missing"
                        self._app.say(
                            f"The {self._title} has {event.done} more; {left}. {self._app.own_key(self._key)} on Report, then enter, goes on."
                        )
        except asyncio.CancelledError:
            rest = budget - (time.monotonic() - began)
            if self._paused and rest > WORTH:
                self._left = rest
            raise
        self._app.say(await subject.sentence())
        self._jobs.rest()
        self._jobs.changed()
