"""The losses of all examples, measured as a job of the app: what Library and Report show beside the rows."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.text import counted, duration
from tui.session import losses

if TYPE_CHECKING:
    from tui.jobs.jobs import Jobs
    from tui.session.session import Session


class MeasureJob:
    """Only a key asks for it, so it gives way to nothing. The losses are kept when all of them are there, and the pages look for them then."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs, self._app, self._session = jobs, jobs.app, jobs.session

    def ask(self) -> None:
        """Measure the loss of every example with the active checkpoint."""
        if not self._jobs.make_room():
            self._jobs.not_ready()
            return
        text = f"measuring the loss of {counted(len(self._session.store.examples), 'example')}"
        self._jobs.start(functools.partial(self._measure, text), "measuring", text)

    async def _measure(self, text: str) -> None:
        await asyncio.sleep(0)
        began, asked = time.monotonic(), list(self._session.store.examples)
        async for told in losses.measure(self._session):
            if not isinstance(told, dict):
                left = (time.monotonic() - began) * (1 - told) / max(told, 0.01)
                self._jobs.tell("measuring", f"{text}: {told:.0%}, about {duration(left)} left", force=False)
            elif skipped := [uid for uid in asked if uid not in told]:
                library, opens = self._app.own_key("library"), self._app.own_key("open")
                self._app.say(f"Measured.{left_out(self._session, skipped)} {library} shows the examples, {opens} opens one to shorten it.")
        self._jobs.rest()
        self._jobs.changed()


def left_out(session: Session, uids: Sequence[str]) -> str:
    """Which examples are longer than a run takes, by their first words, as a sentence to be added; empty where there is none."""
    examples = session.store.examples
    heads = [" ".join(examples[uid].text.split())[:30] for uid in uids if uid in examples]
    more = f" and {len(heads) - 3} more" if len(heads) > 3 else ""
    return f" Too long and left out: {', '.join(f'“{head}…”' for head in heads[:3])}{more}." if heads else ""
