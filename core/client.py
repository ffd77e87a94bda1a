"""The handle on the worker process: start it, send commands, iterate over their events, end it. Knows nothing of torch."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import msgspec

from core.config import Lora, Sampling, Training
from core.errors import FlavorError
from core.protocol import (
    LAST,
    MAX_LINE,
    AnyEvent,
    Cancel,
    Command,
    Curve,
    Evaluate,
    Failed,
    Load,
    Row,
    Sample,
    Train,
    Wanted,
    decode_event,
    encode,
)
from core.task import Segment, Task
from core.text import strip_controls

_ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONFAULTHANDLER": "1",
    "PYTHONUNBUFFERED": "1",
    "MALLOC_MMAP_THRESHOLD_": "4000000",  # glibc gives large tensors back at once: 150 MB less at the starter's peak, no slower
    "MALLOC_ARENA_MAX": "2",
}


class WorkerDied(FlavorError):
    """The worker process ended on its own."""


def _cause(code: int) -> str:
    if code == -signal.SIGKILL:
        return "it was killed, most likely because the memory ran out"
    if code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    return f"it ended with code {code}"


class WorkerClient:
    """One worker process. Events of a command arrive in order; commands are carried out one after another."""

    def __init__(self, log: Path, python: list[str] | None = None) -> None:
        self.log = log
        self.command = python or [sys.executable, "-P", "-m", "core.worker"]
        self._process: asyncio.subprocess.Process | None = None
        self._pump: asyncio.Task[None] | None = None
        self._queues: dict[int, asyncio.Queue[AnyEvent]] = {}
        self._next = 0
        self._examples: list[str] | None = None
        """What the worker knows of the examples."""
        self._dead: WorkerDied | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None and self._dead is None

    @property
    def death(self) -> FlavorError | None:
        """Why the worker ended on its own, once it has."""
        return self._dead

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the process. All three of its descriptors are ours: nothing it prints reaches the terminal."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                limit=MAX_LINE,
                env={**os.environ, **_ENVIRONMENT},
            )
        self._dead = None
        self._examples = None
        self._pump = asyncio.create_task(self._read(self._process), name="worker-pump")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        reason = ""
        try:
            while line := await process.stdout.readline():
                event = decode_event(line)
                if queue := self._queues.get(event.id):
                    queue.put_nowait(event)
        except (msgspec.MsgspecError, ValueError) as error:
            reason = f"it sent something unreadable ({type(error).__name__})"
            self._signal(signal.SIGKILL)
        code = await process.wait()
        self._dead = WorkerDied(f"The worker stopped: {reason or _cause(code)}.", f"Restart it with R; its log is {self.log}.", "worker")
        for number, queue in self._queues.items():
            queue.put_nowait(Failed(id=number, message=self._dead.message, hint=self._dead.hint, kind="worker"))

    def tail(self, lines: int = 8) -> str:
        """The end of the worker's log, harmless to show."""
        with contextlib.suppress(OSError), open(self.log, "rb") as file:
            file.seek(max(0, self.log.stat().st_size - 8192))
            return strip_controls("\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:]))
        return ""

    async def _send(self, command: Command) -> None:
        process = self._process
        if self._dead:
            raise self._dead
        if process is None or process.stdin is None:
            raise FlavorError("The worker is not running.", "Restart it with R.", "worker")
        try:
            process.stdin.write(encode(command))
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            await asyncio.sleep(0)  # the pump names the cause
            raise self._dead or WorkerDied("The worker stopped.", f"Its log is {self.log}.", "worker") from None

    def _number(self) -> int:
        self._next += 1
        return self._next

    async def _run(self, command: Command) -> AsyncGenerator[AnyEvent]:
        """Send `command` and yield its events up to the last. Leaving early cancels it in the worker.

        Raises FlavorError where the command failed, or the worker died.
        """
        queue: asyncio.Queue[AnyEvent] = asyncio.Queue()
        self._queues[command.id] = queue
        ended = False
        try:
            await self._send(command)
            while not ended:
                event = await queue.get()
                ended = isinstance(event, LAST)
                if isinstance(event, Failed):
                    raise FlavorError(event.message, event.hint, event.kind)
                yield event
        finally:
            del self._queues[command.id]
            if not ended and self.alive:
                with contextlib.suppress(FlavorError):
                    await self._send(Cancel(id=self._number(), of=command.id))

    def load(self, base: str, quantization: str, lora: Lora, calibrate: bool = False) -> AsyncIterator[AnyEvent]:
        return self._run(Load(id=self._number(), base=base, quantization=quantization, lora=lora, calibrate=calibrate))

    async def sample(
        self,
        checkpoint: Path | None,
        prompts: list[list[Segment]],
        seeds: list[int],
        settings: Sampling,
        examples: list[str] | None = None,
        free: list[str] | None = None,
    ) -> AsyncIterator[AnyEvent]:
        """The examples travel only where they are not those that the worker has."""
        where = str(checkpoint) if checkpoint else None
        examples = examples or []
        command = Sample(
            id=self._number(), checkpoint=where, prompts=prompts, seeds=seeds, settings=settings,
            examples=None if examples == self._examples else examples, free=free or [],
        )  # fmt: skip
        self._examples = None  # until it is known to have arrived
        async with contextlib.aclosing(self._run(command)) as events:
            async for event in events:
                self._examples = examples
                yield event

    def train(self, run: Path) -> AsyncIterator[AnyEvent]:
        return self._run(Train(id=self._number(), run=str(run)))

    def evaluate(self, checkpoint: Path | None, rows: list[Row]) -> AsyncIterator[AnyEvent]:
        return self._run(Evaluate(id=self._number(), checkpoint=str(checkpoint) if checkpoint else None, rows=rows))

    def curve(
        self, rows: list[Row], points: list[Wanted], training: Training, task: Task, budget: float, speed: float
    ) -> AsyncGenerator[AnyEvent]:
        number = self._number()
        return self._run(Curve(id=number, rows=rows, points=points, training=training, task=task, budget=budget, speed=speed))

    async def cancel_all(self) -> None:
        """Stop whatever is going on and all that waits."""
        for number in list(self._queues):
            with contextlib.suppress(FlavorError):
                await self._send(Cancel(id=self._number(), of=number))

    def _signal(self, number: int) -> None:
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    async def close(self) -> None:
        """End the worker: close its stdin, and where that is not enough, its process group."""
        process = self._process
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL, None):
            try:
                await asyncio.wait_for(process.wait(), 2.0)
                break
            except TimeoutError:
                if number:
                    self._signal(number)
        if self._pump:
            await asyncio.wait([self._pump], timeout=1)
        self._process = None
