"""The handle on the worker process: start it, send commands, iterate over their events, end it. Knows nothing of torch."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import msgspec

from core import environment
from core.conduct import Nonsense, check
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
    Loaded,
    Ping,
    Pong,
    Row,
    Sample,
    Train,
    Usable,
    Wanted,
    decode_event,
    encode,
)  # fmt: skip
from core.task import Segment, Task
from core.text import short

SILENT = 10.0
"""Seconds without an answer to a ping from which a worker that was asked for something counts as hung."""
STALLED = 120.0
"""Seconds without any progress of a command, while pings are answered. More where one step takes long, see `_learn`."""
STEP = 4 * 512
"""Tokens of a large step: some long rows at once."""
PATIENCE = 1.0
"""Seconds that a worker has to end by itself."""
GRACE = 0.3
"""Seconds between the two signs of a death, the end of its pipe and that of the process, after which the one alone is enough."""
FLOOD = 3000
"""Events in a second that are no answer any more."""


class WorkerDied(FlavorError):
    """The worker process ended on its own."""


def _cause(code: int) -> str:
    if code == -signal.SIGKILL:
        return "it was killed, most likely because the memory ran out"
    if code < 0:
        with contextlib.suppress(ValueError):  # real-time signals have no name
            return f"it was ended by {signal.Signals(-code).name}"
        return f"it was ended by signal {-code}"
    return f"it ended with code {code}"


def _open_log(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


class WorkerClient:
    """One worker process. Events of a command arrive in order; commands are carried out one after another, but for a `Sample`, which
    takes its turn within a `Train`, and within a `Load` from `Usable` on."""

    def __init__(self, log: Path, python: list[str] | None = None) -> None:
        self.log = log
        self.command = python or [sys.executable, "-P", "-m", "core.worker"]
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._queues: dict[int, asyncio.Queue[AnyEvent]] = {}
        self._commands: dict[int, tuple[Command, set[int]]] = {}
        """What was asked and is not answered yet, and the candidates that came."""
        self._next = 0
        self._examples: list[str] | None = None
        """What the worker knows of the examples."""
        self._dead: WorkerDied | None = None
        self._closing = False
        self._recent = (0, 0)
        """How many events came in which second."""
        self._ping = 0
        """The ping that is not answered yet."""
        self._beats = -1
        self._heard = self._moved = self._looked = 0.0
        """When it last gave a sign of life, when its work last got on, when we last looked."""
        self.stalled = STALLED

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
        log = _open_log(self.log)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                limit=MAX_LINE,
                cwd=environment.empty_folder(),
                env=environment.of_worker(),
            )
        finally:
            os.close(log)
        self._dead = None
        self._closing = False
        self._examples = None
        self._ping, self._beats = 0, -1
        self._heard = self._moved = self._looked = time.monotonic()
        self._watcher = asyncio.create_task(self._watch(self._process), name="worker-watcher")

    async def _read(self, process: asyncio.subprocess.Process) -> str:
        """Hand out events until the pipe ends; what was wrong with them, if anything."""
        assert process.stdout is not None
        count = 0
        try:
            while (line := await process.stdout.readline()).endswith(b"\n"):  # else its writer died within the line
                self._hand_out(decode_event(line))
                count += 1
                if not count % 100:
                    await asyncio.sleep(0)  # a flood does not hold up the screen
        except Nonsense as error:
            return f"it sent something senseless ({error})"
        except (msgspec.MsgspecError, ValueError, RecursionError):  # no message, a line that does not end, or nothing but brackets
            return "it sent something unreadable"
        return ""

    def _hand_out(self, event: AnyEvent) -> None:
        self._heard = time.monotonic()
        self._recent = self._recent[0] + 1 if self._recent[1] == int(self._heard) else 1, int(self._heard)
        if self._recent[0] > FLOOD:
            raise Nonsense("too much at once")
        if isinstance(event, Pong):
            if event.id == self._ping:
                self._ping = 0
            if event.beats != self._beats:
                self._beats, self._moved = event.beats, self._heard
            return
        if event.id in self._commands:
            command, seen = self._commands[event.id]
            check(command, event, seen)
            self._moved = self._heard
            if isinstance(event, Loaded | Usable):
                self._learn(event.loaded if isinstance(event, Usable) else event)
            if isinstance(event, LAST):
                del self._commands[event.id]
        if queue := self._queues.get(event.id):
            queue.put_nowait(event)

    def _learn(self, loaded: Loaded) -> None:
        """How long a step of this base may take: a large one on a slow machine gets nowhere for minutes, and is well."""
        self.stalled = max(STALLED, STEP / loaded.train_speed) if loaded.train_speed > 0 else STALLED

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Wait until the worker has ended, or must be ended, and name the cause to everyone who waits for it."""
        reading = asyncio.create_task(self._read(process))
        while process.returncode is None and not reading.done():  # its own `wait` also waits for heirs of its pipes
            await asyncio.wait([reading], timeout=0.2)
        if process.returncode is None and not reading.result():
            await self._ended(process, GRACE)
        open_ended = process.returncode is None
        await asyncio.wait([reading], timeout=GRACE)  # what it wrote before it died
        self._kill(process)
        reason = reading.result() if reading.done() else ""
        reading.cancel()
        await self._ended(process, PATIENCE)
        ours = open_ended and process.returncode in (None, -signal.SIGKILL)  # what it died of by itself meanwhile is still told
        reason = reason or ("it closed its pipe" if ours else _cause(process.returncode or 0))
        self._dead = WorkerDied(f"The worker stopped: {reason}.", f"Restart it with R; its log is {self.log}.", "worker")
        self._commands.clear()
        for number, queue in self._queues.items():
            queue.put_nowait(Failed(id=number, message=self._dead.message, hint=self._dead.hint, kind="worker"))

    async def _ended(self, process: asyncio.subprocess.Process, seconds: float) -> bool:
        """Whether the process ends within that time."""
        end = time.monotonic() + seconds
        while process.returncode is None and time.monotonic() < end:  # noqa: ASYNC110  # what there is to wait for also waits for heirs
            await asyncio.sleep(0.01)
        return process.returncode is not None

    def _kill(self, process: asyncio.subprocess.Process) -> None:
        """End its whole process group, which may outlive it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)

    def _stopped(self) -> bool:
        """Whether the process was stopped by a signal. Where the system cannot say so, pings do."""
        if self._process is None or not hasattr(os, "waitid"):
            return False
        with contextlib.suppress(ChildProcessError):
            found = os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
            return found is not None and found.si_code == os.CLD_STOPPED
        return False

    def trouble(self) -> str:
        """Why a worker that lives does not work, in words; empty where all seems well. To be asked about twice a second."""
        now = time.monotonic()
        if now - self._looked > 3:  # we slept ourselves: a suspended program, a busy machine
            self._heard = self._moved = now
        self._looked = now
        if not self.alive or self._closing:
            return ""
        if self._stopped():
            return "The worker was stopped by a signal"
        if not self._commands:
            self._heard = self._moved = now
            return ""
        if now - self._heard > SILENT:
            return f"The worker has not answered for {now - self._heard:.0f} seconds"
        loads = any(isinstance(command, Load) for command, _ in self._commands.values())  # a large base takes minutes, without a word
        if now - self._moved > self.stalled and not loads:
            return f"The worker has got nowhere for {now - self._moved:.0f} seconds"
        if not self._ping and now - self._heard > 1 and self._process and self._process.stdin:
            self._ping = self._number()
            with contextlib.suppress(OSError, RuntimeError):
                self._process.stdin.write(encode(Ping(id=self._ping)))
        return ""

    async def _send(self, command: Command) -> None:
        process = self._process
        if self._dead:
            raise self._dead
        if process is None or process.stdin is None:
            raise FlavorError("The worker is not running.", "Restart it with R.", "worker")
        try:
            line = encode(command)
        except UnicodeEncodeError as error:  # the bytes of a name on the disk, as Python holds them
            name = short(error.object.encode(errors="backslashreplace").decode(), 200)
            raise FlavorError(f"{name} is not UTF-8, and cannot be sent to the worker.", "Rename it.", "name") from None
        try:
            process.stdin.write(line)
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            if self._watcher:
                await asyncio.wait([self._watcher], timeout=3 * PATIENCE)  # it names the cause
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
        self._commands[command.id] = (command, set())
        if len(self._commands) == 1:
            self._heard = self._moved = time.monotonic()
        ended = False
        try:
            try:
                await self._send(command)
            except FlavorError:
                ended = True
                self._commands.pop(command.id, None)  # nobody was asked: there is nothing to wait for
                raise
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

    def load(self, base: str, quantization: str, lora: Lora, calibrate: bool = False, early: bool = False) -> AsyncIterator[AnyEvent]:
        number = self._number()
        return self._run(Load(id=number, base=base, quantization=quantization, lora=lora, calibrate=calibrate, early=early))

    async def sample(
        self,
        checkpoint: Path | None,
        prompts: list[list[Segment]],
        seeds: list[int],
        settings: Sampling,
        examples: list[str] | None = None,
        free: list[str] | None = None,
        strength: float = 1.0,
        without: list[list[Segment]] | None = None,
    ) -> AsyncIterator[AnyEvent]:
        """The examples travel only where they are not those that the worker has."""
        where = str(checkpoint) if checkpoint else None
        examples = examples or []
        command = Sample(
            id=self._number(), checkpoint=where, prompts=prompts, seeds=seeds, settings=settings,
            examples=None if examples == self._examples else examples, free=free or [], strength=strength, without=without or [],
        )  # fmt: skip
        self._examples = None  # until it is known to have arrived
        async with contextlib.aclosing(self._run(command)) as events:
            async for event in events:
                self._examples = examples
                yield event

    def train(self, run: Path, sinks: list[str] | None = None) -> AsyncGenerator[AnyEvent]:
        return self._run(Train(id=self._number(), run=str(run), sinks=sinks or []))

    def evaluate(self, checkpoint: Path | None, rows: list[Row], max_tokens: int) -> AsyncIterator[AnyEvent]:
        folder = str(checkpoint) if checkpoint else None
        return self._run(Evaluate(id=self._number(), checkpoint=folder, rows=rows, max_tokens=max_tokens))

    def curve(
        self, rows: list[Row], points: list[Wanted], training: Training, task: Task, budget: float, speed: float
    ) -> AsyncGenerator[AnyEvent]:
        number = self._number()
        return self._run(Curve(id=number, rows=rows, points=points, training=training, task=task, budget=budget, speed=speed))

    async def close(self) -> None:
        """End the worker: close its stdin, and where that is not enough, its process group."""
        process = self._process
        if process is None:
            return
        hung = bool(self.trouble())
        self._closing = True
        if process.stdin:
            process.stdin.close()
        if hung or not await self._ended(process, PATIENCE):
            self._kill(process)
        if self._watcher:
            await asyncio.wait([self._watcher], timeout=3 * PATIENCE)
        self._process = None
