"""What a command yields: lines, data for machines and words for people (the last one is the result), and progress on the way."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from core.protocol import Loaded, Loading
from core.text import clean_line, counted
from tui.say import Told, hear, told
from tui.session.session import Session


@dataclass(frozen=True)
class Line:
    """One line of output: `data` for --json, `text` for people (empty: nothing to say)."""

    data: dict[str, Any]
    text: str = ""


@dataclass(frozen=True)
class Progress:
    """Something that is under way; shown on a terminal's stderr only."""

    text: str


Output = AsyncIterator[Line | Progress]


def _tell(number: int, _: object) -> NoReturn:
    hear(number)
    raise Told(number)


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """A signal ends what is done in here at once, also where it waits for standard input or another process: asyncio only cancels what comes
    to a turn of its own. Raises KeyboardInterrupt or Told then; Told also where a signal came before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, _tell)
    try:
        if told:
            raise Told(told[0])
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if number in told else handler)


def _model_progress(event: Loading) -> Progress:
    share = f" {event.share:.0%}" if event.share is not None else ""
    return Progress(f"{event.stage}{share}")


async def start(session: Session) -> AsyncIterator[Progress]:
    """Start the worker and load the base, with progress."""
    async for event in session.start_worker():
        if isinstance(event, Loading):
            yield _model_progress(event)
        elif isinstance(event, Loaded) and event.note:
            print(clean_line(event.note), file=sys.stderr)  # noqa: T201


def left_out(skipped: list[str]) -> str:
    """Which rows were too long, at the end of a sentence."""
    return f"; {counted(len(skipped), 'row')} too long and left out: {', '.join(skipped)}" if skipped else ""
