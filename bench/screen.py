"""What the person at the keys waits for: the first picture, and a decision while the worker trains.

`python -m bench.screen start` and `python -m bench.screen decide COUNT` print one JSON line each.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import select
import signal
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles

from bench.common import workspace
from core.files import new_uid, now
from dataset.rows import Batch, Candidate, Tables
from dataset.store import Store
from tui.app import FlavorApp
from tui.session.session import Session

EMPTY = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("Brief Description of an Alien Empire")
Empty().run()
"""


def _first_paint(argv: list[str]) -> float:
    """Seconds from the process's start until the heading is on its terminal; the process group is killed then."""
    began = time.perf_counter()
    pid, fd = pty.fork()
    if not pid:
        os.environ.update(TERM="xterm-256color", COLUMNS="80", LINES="24")
        os.execv(argv[0], argv)
    output = b""
    while b"Alien Empire" not in output:
        if select.select([fd], [], [], 60)[0]:
            output += os.read(fd, 1 << 16)
    seconds = time.perf_counter() - began
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(fd)
    time.sleep(1)  # the worker ends with its stdin
    return seconds


def start(rounds: int = 5) -> dict[str, list[float]]:
    """Ours and an empty Textual app by turns."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["FLAVOR_TUI_STATE"] = scratch
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as everywhere: the first pair leaves our own modules compiled, as Textual's are
        there = workspace(Path(scratch) / "evening", 36)
        ours, empty = [], []
        for _ in range(rounds + 1):
            empty.append(_first_paint([sys.executable, "-c", EMPTY]))
            ours.append(_first_paint([sys.executable, "-m", "tui", str(there)]))
    return {"ours": ours[1:], "empty": empty[1:]}  # the first pair filled the disk's cache


def _add_waiting(there: Path, count: int) -> None:
    """Candidates as sampling stores them."""
    store = Store(there)
    batch = Batch(new_uid(), "base", [], [], {}, now())
    text = "An empire of patient clerks who file the weather by colour and lend it out to farmers at a modest rate. " * 4
    made = {
        (uid := new_uid()): Candidate(uid, f"{number} {text}", {"Danger Level": "3"}, "base", batch.uid, 0, number, "stop", 90, [], now())
        for number in range(count)
    }
    store.commit("sample", Tables(candidates=dict(made), batches={batch.uid: batch}))
    store.close()


async def _decide(there: Path, keys: int) -> list[float]:
    """Milliseconds from a key to its decision fsynced and the next card painted, while the worker trains."""
    app = FlavorApp(there)
    times: list[float] = []
    async with app.run_test(size=(80, 24)) as pilot:
        while app.jobs.doing != "ready":
            await pilot.pause(0.2)
        app.session.settings = _long(app.session)
        await pilot.press("T")
        while app.jobs.doing != "training" or "step" not in app.jobs.line().plain:
            await pilot.pause(0.2)
        painted = asyncio.Event()
        for number in range(keys):
            before = app.screen.shown  # type: ignore[attr-defined]
            painted.clear()
            began = time.perf_counter()
            app.simulate_key("a" if number % 2 else "x")
            while app.screen.shown == before:  # type: ignore[attr-defined]
                await asyncio.sleep(0.0005)
            app.screen.call_after_refresh(painted.set)
            await painted.wait()
            times.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.15)
        assert app.jobs.doing == "training"
        app.jobs.cancel()
        await pilot.pause(1)
    return times


def _long(session: Session):  # type: ignore[no-untyped-def]  # noqa: ANN202
    import msgspec

    return msgspec.structs.replace(session.settings, training=msgspec.structs.replace(session.settings.training, epochs=50))


def decide(count: int, keys: int = 100) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["FLAVOR_TUI_STATE"] = scratch
        there = workspace(Path(scratch) / "evening", 36)
        _add_waiting(there, count)
        times = asyncio.run(_decide(there, keys))
    cuts = quantiles(times, n=100, method="inclusive")
    return {"p50": cuts[49], "p99": cuts[98], "keys": keys}


if __name__ == "__main__":
    print(json.dumps(start() if sys.argv[1] == "start" else decide(int(sys.argv[2]))))
