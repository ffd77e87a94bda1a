"""A stand-in for the worker: it speaks the real protocol, holds no model, and breaks down in the way that FAKE_FAULT says.

A fault is `kind` or `kind:command`; it strikes in the middle of the first such command (default: sample).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time

from core import protocol as p
from core.worker.__main__ import be_modest

FAULT, _, WHERE = os.environ.get("FAKE_FAULT", "").partition(":")
TEXTS = os.environ.get("FAKE_TEXTS", "")
"""A file with a list of the texts to sample, as JSON."""
STRUCK = os.environ.get("FAKE_STRUCK", "")
"""A file for the instant of the fault, by the system's monotonic clock."""
wire = os.fdopen(os.dup(1), "wb", buffering=0)
os.dup2(2, 1)
lock = threading.Lock()


def say(event: p.Event) -> None:
    with lock:
        wire.write(p.encode(event))


def raw(data: bytes) -> None:
    with lock:
        wire.write(data)


def strike(number: int) -> None:
    """Break down as asked."""
    if STRUCK:
        with open(STRUCK, "w", encoding="ascii") as file:
            file.write(str(time.monotonic()))
    match FAULT:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "abort":
            os.abort()
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(3)
        case "exit well":
            os._exit(0)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "memory":
            say(
                p.Failed(id=number, message="The memory ran out; the old checkpoint still serves.", hint="Lower batch_size.", kind="memory")
            )
        case "garbage":
            raw(b"\x00\xffnot a message\x1b[2J\n")
        case "endless":
            while True:
                raw(b"x" * (1 << 16))
        case "half a line":
            raw(b'{"type":"candidate","id":')
            os.kill(os.getpid(), signal.SIGKILL)
        case "unknown":
            raw(b'{"type":"surprise","id":%d}\n' % number)
        case "senseless":
            say(p.Candidate(id=number, index=99, text="nobody asked", finish="stop", tokens=1))
        case "wrong answer":
            say(p.Evaluated(id=number, loss=1.0, tokens=1, rows=1, losses=[1.0]))
        case "flood":
            while True:
                say(p.Loading(id=number, stage="again"))
        case "close":
            os.close(wire.fileno())
            time.sleep(600)
        case "heir":  # dies, and leaves a process that holds its pipe open
            if not os.fork():
                time.sleep(600)
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            lock.acquire()
            time.sleep(600)
        case "failed":
            say(p.Failed(id=number, message="\x1b]52;c;aGk=\x07[/b] [@click=app.quit]no[/]", hint="\u202e", kind="fault"))


def work(command: p.AnyCommand) -> None:
    number = command.id
    here = FAULT and (WHERE or "sample") == command.__struct_config__.tag
    match command:
        case p.Load():
            say(p.Loading(id=number, stage="pretending to load"))
            if here:
                strike(number)
            say(p.Loaded(id=number, name="fake", fingerprint="f", parameters=1_000_000, trainable=1, device="cpu", form="no model"))
        case p.Sample():
            for index, seed in enumerate(command.seeds):
                if here and index == len(command.seeds) // 2:
                    strike(number)
                say(p.Candidate(id=number, index=index, text=text_of(seed), finish="stop", tokens=9))
            say(p.Sampled(id=number, tokens=9, seconds=0.1, first_token=0.01))
        case p.Train():
            for step in range(1, 9):
                if here and step == 4:
                    strike(number)
                say(p.Step(id=number, step=step, steps=8, epoch=1, loss=1.0, rate=1e-3, tokens=9, seconds=step / 10))
                time.sleep(0.02)
            say(p.Failed(id=number, message="This stand-in trains nothing.", hint="It is a fake.", kind="fake"))
        case p.Evaluate():
            if here:
                strike(number)
            say(p.Evaluated(id=number, loss=1.0, tokens=1, rows=len(command.rows), losses=[1.0] * len(command.rows)))
        case _:
            say(p.Failed(id=number, message="A fake does not do that."))


def text_of(seed: int) -> str:
    if TEXTS:
        with open(TEXTS, encoding="utf-8") as file:
            texts = json.load(file)
        return texts[seed % len(texts)]
    return f"Candidate {seed} has a lamp, a keeper and {seed % 97} ships."


def main() -> None:
    be_modest()
    for line in sys.stdin.buffer:
        command = p.decode_command(line)
        if isinstance(command, p.Ping):
            say(p.Pong(id=command.id, beats=0))
        elif not isinstance(command, p.Cancel):
            threading.Thread(target=work, args=(command,), daemon=True).start()
    os._exit(0)


if __name__ == "__main__":
    main()
