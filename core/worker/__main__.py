"""The worker process: commands on stdin, events on a private copy of stdout, everything that anyone prints in the log.

One thread reads commands and marks cancelled ones; the main thread works, at one command after another. Only sampling does not wait for
a run to end: it takes its turn between two steps. The end of stdin ends the process: no orphans.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import functools
import logging
import os
import queue
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO


def _private_stdout() -> BinaryIO:
    """The pipe to the client, for this module alone: descriptor 1 then is the log, for Python and for C."""
    wire = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return wire


if __name__ == "__main__":
    _wire = _private_stdout()  # before any import that may print

import msgspec

from core.environment import mask
from core.errors import FlavorError, out_of_memory
from core.protocol import (
    LAST,
    AnyCommand,
    Cancel,
    Cancelled,
    Curve,
    Evaluate,
    Event,
    Failed,
    Load,
    Loading,
    Ping,
    Pong,
    Sample,
    Train,
    decode_command,
    encode,
)  # fmt: skip
from core.text import short
from core.worker.lean import prepare

if TYPE_CHECKING:
    from core.worker.engine import Engine

log = logging.getLogger("worker")
PR_SET_PDEATHSIG = 1
"""From <sys/prctl.h>."""


class Worker:
    """Reads commands in one thread, carries them out in another."""

    def __init__(self, commands: BinaryIO, wire: BinaryIO) -> None:
        self._commands = commands
        self._wire = wire
        self._todo: queue.SimpleQueue[AnyCommand] = queue.SimpleQueue()
        self._later: deque[AnyCommand] = deque()
        """What was taken from there and does not get a turn within a run."""
        self._cancelled: set[int] = set()
        self._beats = 0
        self._writing = threading.Lock()

    def _read(self) -> None:
        try:
            for line in self._commands:
                try:
                    command = decode_command(line)
                except msgspec.MsgspecError as error:
                    log.error("unreadable command: %s", error)
                    continue
                if isinstance(command, Cancel):
                    self._cancelled.add(command.of)
                elif isinstance(command, Ping):
                    self._send(Pong(id=command.id, beats=self._beats))
                else:
                    self._todo.put(command)
        except OSError:
            pass  # it went while it was answered
        except Exception:
            log.exception("commands cannot be read any more")
        finally:
            os._exit(0)  # the client is gone, however it went

    def _send(self, event: Event) -> None:
        line = memoryview(encode(event))
        with self._writing:
            while line:
                line = line[self._wire.write(line) :]

    def run(self) -> None:
        """Work until stdin ends."""
        threading.Thread(target=self._read, daemon=True).start()
        engine = None
        while True:
            command = self._later.popleft() if self._later else self._todo.get()
            with self._failures_sent(command.id):
                if engine is None:
                    self._send(Loading(id=command.id, stage="starting torch"))
                    prepare()
                    from core.worker.engine import Engine

                    engine = Engine()
                match command:
                    case Load():
                        self._carry_out(command.id, engine.load(command), functools.partial(self._take_turns, engine))
                    case Sample():
                        self._carry_out(command.id, engine.sample(command))
                    case Train():
                        self._carry_out(command.id, engine.train(command), functools.partial(self._take_turns, engine))
                    case Evaluate():
                        self._carry_out(command.id, engine.evaluate(command))
                    case Curve():
                        self._carry_out(command.id, engine.curve(command))

    @contextlib.contextmanager
    def _failures_sent(self, number: int) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            log.error("command %s failed\n%s", number, traceback.format_exc())
            self._send(_failure(number, error))
        finally:
            self._cancelled.discard(number)

    def _take_turns(self, engine: Engine) -> None:
        """Between two steps of a run, or of what makes a base ready: sample what was asked for meanwhile."""
        while engine.usable and not self._todo.empty():
            command = self._todo.get()
            if isinstance(command, Sample):
                with self._failures_sent(command.id):
                    self._carry_out(command.id, engine.between(command))
            else:
                self._later.append(command)

    def _carry_out(self, number: int, events: Iterator[Event | None], between: Callable[[], None] | None = None) -> None:
        """Send a command's events until it ends or is cancelled; closing the generator runs its clean-up. `between` is called after each
        but the last."""
        with contextlib.closing(events):  # type: ignore[type-var]
            if number in self._cancelled:
                self._send(Cancelled(id=number))
                return
            for event in events:
                self._beats += 1
                if event is not None:
                    self._send(event)
                if isinstance(event, LAST):
                    continue
                if number not in self._cancelled and between:
                    between()
                if number in self._cancelled:
                    break
            else:
                return
        self._send(Cancelled(id=number))


def _failure(number: int, error: Exception) -> Failed:
    if isinstance(error, FlavorError):
        return Failed(id=number, message=error.message, hint=error.hint, kind=error.kind)
    name, text = type(error).__name__, mask(short(str(error), 200))
    if out_of_memory(error):
        return Failed(
            id=number,
            message="The memory ran out; the checkpoints that are there still serve.",
            hint="Lower batch_size or max_tokens in flavor.toml, or choose a smaller base.",
            kind="memory",
        )
    if name == "AcceleratorError" or text.startswith("CUDA error"):  # as after a suspend: nothing in this process reaches the GPU any more
        return Failed(
            id=number,
            message=f"The GPU does not answer the worker any more ({text.partition(chr(10))[0]}).",
            hint="R starts it again, which mends that as a rule; its log says more.",
            kind="worker",
        )
    if isinstance(error, OSError) and error.strerror:
        return Failed(id=number, message=f"{error.filename or 'A file'}: {error.strerror}.", hint="Mend that, then try again.", kind="disk")
    return Failed(id=number, message=f"{name}: {text}", hint="The worker's log has the details.", kind="fault")


class Masked(logging.Formatter):
    """Log lines without tokens."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


def _start_log() -> None:
    faulthandler.enable()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Masked("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(True)


def be_modest() -> None:
    """Where something must go, it is this process: after the screen in turn, before it when memory runs out, and never without it.

    Its own end is asked of the kernel too (Linux), since a process that was stopped does not see its stdin end.
    """
    os.umask(0o077)
    with contextlib.suppress(OSError):
        os.nice(5)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    _start_log()
    be_modest()
    Worker(sys.stdin.buffer, _wire).run()


if __name__ == "__main__":
    main()
