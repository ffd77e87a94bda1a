"""What Runs costs: `python -m bench.runs open`, `redraw` (no model) and `switch` (the starter); one JSON line each, milliseconds.

open: Runs opened with 200 runs of 10 checkpoints; redraw: 20 marked runs drawn anew, as often as the screen is drawn (60 times a second);
both also in processor time, which other programs do not lengthen. switch: the active checkpoint or the strength of its adapter changed in
a loaded engine, up to the form that samples.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec

from bench.common import fill, workspace
from core.runfiles import CheckpointInfo, Result, RunSpec
from tui.app import FlavorApp
from tui.session.session import Session

RUNS, EPOCHS, STEPS = 200, 10, 120


def many_runs(there: Path) -> None:
    """Runs as the worker leaves them, without tensors: every third afresh, the others grown from the one before."""
    with Session(there) as session:
        spec = session.plan(fresh=True, seed=1).spec
    data = b""
    spec = msgspec.structs.replace(spec, rows_sha256=hashlib.sha256(data).hexdigest())
    draw = random.Random(1)
    for number in range(1, RUNS + 1):
        name = f"{number:04}"
        parent = f"{number - 1:04}/epoch-{EPOCHS:02}" if number % 3 else None
        _one(there / "runs" / name, msgspec.structs.replace(spec, name=name, parent=parent), data, draw)


def _one(folder: Path, spec: RunSpec, data: bytes, draw: random.Random) -> None:
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_bytes(data)
    lines, per = [], STEPS // EPOCHS
    for step in range(1, STEPS + 1):
        epoch = 1 + (step - 1) // per
        loss = 3 * math.exp(-step / 60) + 1 + draw.random() / 4
        lines.append(
            {"type": "step", "step": step, "steps": STEPS, "epoch": epoch, "loss": loss, "rate": 1e-4, "tokens": 90, "seconds": step}
        )
        if step % per == 0:
            lines.append({"type": "epoch", "epoch": epoch, "held_out_loss": 3 + math.exp(-epoch / 3) + draw.random() / 9})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for epoch in range(1, EPOCHS + 1):
        name = f"{spec.name}/epoch-{epoch:02}"
        where = folder / "checkpoints" / f"epoch-{epoch:02}"
        where.mkdir(parents=True)
        info = CheckpointInfo(
            name, epoch, spec.base, "f", "0" * 64, 3 + math.exp(-epoch / 3), 2.0, "now", recall=0.02, recall_held_out=0.02
        )
        (where / "checkpoint.json").write_bytes(msgspec.json.encode(info))
    (folder / "run.json").write_bytes(msgspec.json.encode(spec))
    done = Result("done", checkpoint=f"{spec.name}/epoch-{EPOCHS:02}", steps=STEPS, seconds=90.0)
    (folder / "result.json").write_bytes(msgspec.json.encode(done))


Took = tuple[float, float]
"""Milliseconds by the clock and of the processor."""


def _now() -> Took:
    return time.perf_counter() * 1000, time.process_time() * 1000


def _since(began: Took) -> Took:
    clock, processor = _now()
    return clock - began[0], processor - began[1]


async def _painted(app: FlavorApp, act: Callable[[], object]) -> Took:
    """From an action to its picture."""
    done = asyncio.Event()
    began = _now()
    act()
    app.screen.call_after_refresh(done.set)
    await done.wait()
    return _since(began)


async def _open(there: Path) -> Took:
    """From the key to the table on the screen, in an app that has not looked at Runs before."""
    app = FlavorApp(there, start_worker=False)
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.press("f3")
        await pilot.pause(0.3)
        began = _now()
        app.action_runs()
        while not (app.current_mode == "runs" and app.screen.is_mounted and app.screen.query("#runs-table")):
            await asyncio.sleep(0)
        while app.screen.query_one("#runs-table").row_count < RUNS:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        done = asyncio.Event()
        app.screen.call_after_refresh(done.set)
        await done.wait()
        return _since(began)


async def _redraw(there: Path, runs: int, times: int = 20) -> list[Took]:
    app = FlavorApp(there, start_worker=False)
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.press("f5")
        await pilot.pause(2)
        screen = app.screen
        screen.marked = [f"{number:04}" for number in range(1, runs + 1)]  # type: ignore[attr-defined]
        screen.renew()  # type: ignore[attr-defined]
        await pilot.pause(1)
        return [await _painted(app, screen._picture) for _ in range(times)]  # type: ignore[attr-defined]


def _with_many(act: Callable[[Path], list[Took]]) -> dict[str, float]:
    """Medians and the worst of what `act` measures in a workspace of many runs."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.update(FLAVOR_TUI_STATE=scratch, TEXTUAL_ANIMATIONS="none")
        there = workspace(Path(scratch) / "evening", 36)
        many_runs(there)
        took = act(there)
    kinds = zip(("clock", "processor"), zip(*took, strict=True), strict=True)
    return {name: value for kind, values in kinds for name, value in ((kind, median(values)), (f"{kind}_worst", max(values)))}


def opened() -> dict[str, float]:
    """Runs opened five times, each in a new app, after one that brings the imports."""
    return _with_many(lambda there: [asyncio.run(_open(there)) for _ in range(6)][1:])


def redrawn() -> dict[str, float]:
    """Curves of 20 runs, drawn 20 times in one app."""
    return _with_many(lambda there: asyncio.run(_redraw(there, 20)))


def switch() -> dict[str, float]:
    """Medians on the starter with two trained checkpoints: to another one read before, to one never read, and another strength."""
    from core.config import Lora
    from core.protocol import Load, Train
    from core.worker.engine import Engine

    with tempfile.TemporaryDirectory() as scratch:
        os.environ["FLAVOR_TUI_STATE"] = scratch
        from core import config

        there = Path(scratch) / "evening"
        config.create(there, config.template("alien-empires"))
        engine = Engine()
        *_, loaded = engine.load(Load(id=1, base="starter", quantization="nf4", lora=Lora(), calibrate=True))
        with Session(there) as session:
            fill(session, 10)
            session.loaded = loaded  # type: ignore[assignment]
            plan = session.plan(epochs=2, seed=1)
            folder = session.registry.create(plan.spec, plan.rows)
        for _ in engine.train(Train(id=2, run=str(folder))):
            pass
        one, two = (folder / "checkpoints" / f"epoch-0{number}" for number in (1, 2))
        forms = engine._forms
        assert forms is not None

        def use(where: Path, strength: float) -> float:
            began = time.perf_counter()
            engine.adapters.use(where)
            forms.sample(True, str(where), strength)
            return (time.perf_counter() - began) * 1000

        use(one, 1.0)
        known = [use(where, 1.0) for _ in range(10) for where in (two, one)]
        strength = [use(one, value / 10) for value in (9, 8, 7, 6, 5, 4, 3, 2, 1, 0)]
        unread = []
        for _ in range(10):
            engine.adapters.drop_kept()
            unread += [use(where, 1.0) for where in (two,)]
            use(one, 1.0)
        size = sum(path.stat().st_size for path in two.iterdir())
    return {"switch": median(known), "switch_unread": median(unread), "strength": median(strength), "checkpoint_bytes": size}


if __name__ == "__main__":
    print(json.dumps({"open": opened, "redraw": redrawn, "switch": switch}[sys.argv[1]]()))
