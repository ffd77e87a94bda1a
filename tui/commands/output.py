"""What a command yields: lines, data for machines and words for people (the last one is the result), and progress on the way."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from core.errors import FlavorError
from core.protocol import Loaded, Loading
from core.text import clean_line, counted, short
from tui.say import Told, hear, silence, told
from tui.session.session import Session
from tui.session.warnings import warnings


@dataclass(frozen=True)
class Line:
    """One line of output: `data` for --json, `text` for people (empty: nothing to say)."""

    data: dict[str, Any]
    text: str = ""


@dataclass(frozen=True)
class Progress:
    """Something that is under way; shown on a terminal's stderr only."""

    text: str


class Note(Progress):
    """What a person should know meanwhile; it stays, and is said on stderr wherever that goes."""


Output = AsyncIterator[Line | Progress]


class Standing:
    """The line on a terminal's stderr that says what is under way. One takes the place of the other; nothing else is written behind it."""

    def __init__(self) -> None:
        self._live, self._stands = sys.stderr.isatty(), False

    def show(self, said: Progress) -> None:
        """Raises OSError where the terminal is gone."""
        if isinstance(said, Note):
            self.clear()
            print(clean_line(said.text), file=sys.stderr)  # noqa: T201
        elif self._live:
            columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80  # 0: the terminal does not say
            sys.stderr.write(f"\r\x1b[2K{_fitting(said.text, columns - 1)}")  # one that wraps could not be taken away whole
            sys.stderr.flush()
            self._stands = True

    def clear(self) -> None:
        """Take it away; a terminal that is gone shows nothing any more."""
        if self._stands:
            self._stands = False
            with contextlib.suppress(OSError):
                sys.stderr.write("\r\x1b[2K")
                sys.stderr.flush()


def _fitting(text: str, cells: int) -> str:
    """`text` as a line of at most so many cells: of some scripts a character takes two."""
    from rich.cells import cell_len, set_cell_size  # only where somebody watches

    line = short(text, cells)
    return line if cell_len(line) <= cells else set_cell_size(line, cells - 1).rstrip() + "…"


def pour(text: str) -> None:
    """Data on standard output, with the bytes of a file that holds it. Raises FlavorError where that cannot be written, and BrokenPipeError where
    whoever read it is gone."""
    try:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        silence(1)
        raise FlavorError(f"Standard output cannot be written: {error.strerror}.", "Make room there.", "disk") from None


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
    heeded = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _tell, signal.SIGHUP: _tell}
    before = {number: signal.getsignal(number) for number in heeded}
    for number, handler in heeded.items():
        if before[number] is not signal.SIG_IGN:  # as of what a script starts with &
            signal.signal(number, handler)
    try:
        if told:
            raise Told(told[0])
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, signal.SIG_DFL if number in told else former)


def opened(workspace: Path, read_only: bool = False) -> Session:
    """The session of a command; what a person should know of the workspace was said on stderr. Raises FlavorError where it cannot be opened."""
    session = Session(workspace, read_only)
    for line in warnings(session):
        print(clean_line(line), file=sys.stderr)  # noqa: T201
    return session


def _model_progress(event: Loading) -> Progress:
    share = f" {event.share:.0%}" if event.share is not None else ""
    return Progress(f"{event.stage}{share}")


async def start(session: Session) -> AsyncIterator[Progress]:
    """Start the worker and load the base, with progress, and a note where there is one of the base."""
    async for event in session.start_worker():
        if isinstance(event, Loading):
            yield _model_progress(event)
        elif isinstance(event, Loaded) and event.note:
            yield Note(event.note)


def left_out(skipped: list[str]) -> str:
    """Which rows were too long, at the end of a sentence."""
    return f"; {counted(len(skipped), 'row')} too long and left out: {', '.join(skipped)}" if skipped else ""
