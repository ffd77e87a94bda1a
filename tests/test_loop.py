"""The whole evening on the real starter, shortened: write, sample, decide, retrain, sample again; by commands, and by keys in a pty."""

import asyncio
import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from importlib import resources
from itertools import permutations

import pytest

from core import config
from core.config import FILE
from core.protocol import Sampled
from core.task import Task
from dataset.rows import Candidate
from dataset.store import Store
from runs.registry import Registry
from tests.made import top_up
from tests.safety.terminal import lives
from tui.session.intake import import_files
from tui.session.session import Session

pytestmark = pytest.mark.starter
SHORT = "[sampling]\nmax_tokens = 24\nbatch = 2\nkeep_ready = 2\n"


def command(*words, code=0):
    """A command of the real program; the objects it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "tui", *map(str, words), "--json"], capture_output=True, text=True, timeout=1800, check=False
    )
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def demo_rows(path, count):
    """The first two sentences of some of the demo's texts as a file, without their attributes: what the loop does is the same over short rows."""
    rows = resources.files("dataset").joinpath("demo/alien-empires.jsonl").read_text().splitlines()[:count]
    texts = [" ".join(re.split(r"(?<=[.!?])\s", json.loads(row)["text"])[:2]) for row in rows]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def shorten(workspace):
    """Settings for a short evening."""
    path = workspace / FILE
    path.write_text(re.sub(r"\[sampling\]\n", SHORT, path.read_text()))


def test_the_loop_by_commands(tmp_path):
    there = tmp_path / "evening"
    command("new", there, "--heading", "Brief Description of an Alien Empire")
    shorten(there)
    command("import", there, demo_rows(tmp_path / "rows.jsonl", 10))
    unseen = tmp_path / "unseen.jsonl"
    unseen.write_text("\n".join(demo_rows(tmp_path / "more.jsonl", 14).read_text().splitlines()[10:]))

    *before, result = command("generate", there, "-n", 3, "--seed", 7)
    assert result["candidates"] == 3 and sorted(c["seed"] for c in before) == [7, 8, 9]
    assert all(c["checkpoint"] == "base" and c["finish"] in ("stop", "length") for c in before)
    edited = tmp_path / "edited.txt"
    edited.write_text("The Brin keep their empire in a jar, and the jar on a high shelf.\n")
    assert command("decide", there, before[0]["id"], "accept", "--text", edited)[-1]["verdict"] == "edit"
    command("decide", there, before[1]["id"], "reject")
    command("decide", there, before[2]["id"], "skip")
    assert command("status", there)[-1] | {"examples": 11, "edited": 1, "rejected": 1} == command("status", there)[-1]

    *_, trained = command("retrain", there, "--epochs", 1, "--seed", 3)
    assert trained["checkpoint"] == "0001/refit-01" == Registry(there).current() and trained["measured_by"] == "0001/epoch-01"
    start, end = (epoch["held_out_loss"] for epoch in trained["epochs"])
    assert end < start
    *after, _ = command("generate", there, "-n", 2, "--seed", 7, "--ranked")
    assert {c["checkpoint"] for c in after} == {"0001/refit-01"}
    assert not {c["text"] for c in after} & {c["text"] for c in before}
    assert {c["slot"] for c in after} <= {"gauges", "random"} and all(c["p_accept"] is None for c in after)
    plain = subprocess.run(
        [sys.executable, "-m", "tui", "generate", there, "-n", "2", "--seed", "7", "--plain"], capture_output=True, text=True, check=True
    )
    # as they come: the one that ends first is first, and which that is differs from machine to machine
    assert plain.stdout in {"".join(f"{text}\n\n" for text in texts) for texts in permutations(c["text"] for c in after)}
    tuned = command("evaluate", there, unseen)[-1]
    base = command("evaluate", there, unseen, "--checkpoint", "base")[-1]
    assert tuned["rows"] == base["rows"] == 4 and tuned["tokens"] == base["tokens"]
    assert tuned["loss"] < base["loss"]


async def test_one_worker_samples_trains_and_tops_up(tmp_path):
    """Nothing is reloaded in between; a candidate can be sampled again from its record; a cancelled run changes nothing."""
    there = tmp_path / "evening"
    config.create(there, Task("Brief Description of an Alien Empire"))
    shorten(there)
    with Session(there) as session:
        import_files(session, demo_rows(tmp_path / "rows.jsonl", 4))
        async for _ in session.start_worker():
            pass
        pid = session.worker.pid
        try:
            plan = session.plan(epochs=1)
            assert plan.steps == 2 and plan.held == 0
            trained = [event async for event in session.retrain(plan)][-1]
            assert session.registry.current() == trained.checkpoint == "0001/epoch-01"
            made = [event async for event in session.sample(2, {}) if isinstance(event, Candidate)]
            assert {c.checkpoint for c in made} == {"0001/epoch-01"}

            session.write_example("The Odd of Mere sail in teacups and are never late.", {})
            assert session.plan().spec.parent is None  # so few rows learn better afresh
            top_up(session)
            plan = session.plan()
            assert (plan.spec.parent, plan.spec.new_rows, plan.steps) == ("0001/epoch-01", 1, 6)
            with contextlib.suppress(asyncio.CancelledError):
                async with asyncio.timeout(120):
                    events = session.retrain(plan)
                    async for event in events:
                        if type(event).__name__ == "Step":
                            break
                    await events.aclose()
            assert session.registry.current() == "0001/epoch-01"
            assert await session.candidates.reproduce(made[1].uid) == made[1].text
            assert session.registry.run("0002").status == "cancelled"
            topped = [event async for event in session.retrain(session.plan())][-1]
            assert topped.checkpoint.startswith("0003/epoch-") and topped.checkpoint == session.registry.current()
            last = [event async for event in session.sample(1, {})][-1]
            assert isinstance(last, Sampled) and session.worker.pid == pid
        finally:
            await session.stop_worker()


class Terminal:
    """The real program in a real pty. Keys go in; what it writes is read and kept."""

    def __init__(self, *words):
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ.update(TERM="xterm-256color", COLUMNS="80", LINES="24")
            os.execv(sys.executable, [sys.executable, "-m", "tui", *map(str, words)])
        self.output = b""

    def wait(self, condition, seconds=600):
        """Read until `condition()` holds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self.output += os.read(self.fd, 1 << 16)
            if condition():
                return
        raise AssertionError(f"waited {seconds} s; the end of the screen: {self.output[-2000:]!r}")

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self.fd)


def children_of(pid):
    """The program's processes, worker included."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout.split()
    pairs = list(zip(map(int, listing[::2]), map(int, listing[1::2]), strict=True))
    found = [pid]
    for parent in found:
        found += [child for child, of in pairs if of == parent]
    return found


def test_the_loop_by_keys_in_a_terminal(tmp_path):
    there = tmp_path / "evening"
    config.create(there, Task("Brief Description of an Alien Empire"))
    shorten(there)
    with Session(there) as session:
        import_files(session, demo_rows(tmp_path / "rows.jsonl", 3))

    def store():
        return Store(there, read_only=True)

    terminal = Terminal(there)
    try:
        terminal.wait(lambda: b"Alien Empire" in terminal.output)
        terminal.wait(lambda: store().counts["pending"] >= 2)
        terminal.press("a")
        terminal.wait(lambda: store().counts["accepted"] == 1, 20)
        terminal.press("x")
        terminal.wait(lambda: store().counts["rejected"] == 1, 20)
        terminal.press("T")
        terminal.wait(lambda: Registry(there).current() != "base")
        terminal.wait(lambda: any(c.checkpoint.startswith("0001/") for c in store().pending.values()))
        terminal.press("u")
        terminal.wait(lambda: store().counts["rejected"] == 0, 20)
        everyone = children_of(terminal.pid)
        assert len(everyone) == 3  # the launcher, the screen, the worker
        os.kill(everyone[1], signal.SIGKILL)
        terminal.wait(lambda: b"ended by SIGKILL" in terminal.output, 20)
        assert b"\x1b[?1049l" in terminal.output  # the terminal was restored
        terminal.wait(lambda: not any(map(lives, everyone[2:])), 20)  # no orphan
        assert len(store().examples) == 4
    finally:
        terminal.end()
