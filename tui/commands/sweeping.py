"""`flavor-tui sweep`: settings trained beside each other on the same folds, and whether any difference is larger than its noise."""

from __future__ import annotations

import contextlib
from pathlib import Path

from core.protocol import Curved, Curving
from core.text import counted, duration
from tui.commands.curve import measured
from tui.commands.output import Line, Output, opened, start
from tui.report.terminal import columns
from tui.report.words import Table
from tui.session.sweep import NO_END, NUMBERS, Grid, Sweep, table


async def sweep(workspace: Path, grid: Grid, seeds: int, budget: int | None) -> Output:
    """With nothing missing, or no time, no model is loaded."""
    with opened(workspace, read_only=budget == 0) as session:
        asked = Sweep(session, grid, seeds)
        asked.check()
        if budget != 0 and (missing := asked.missing()):
            session.must_write()
            try:
                async for progress in start(session):
                    yield progress
                said = f"{counted(len(asked.recipes), 'setting')}, {counted(asked.total, 'training')}, {missing} of them to do, about {duration(asked.seconds())}"
                yield Line({"settings": len(asked.recipes), "trainings": asked.total, "missing": missing}, said)
                async for line in _measure(asked, float(budget or NO_END)):
                    yield line
            finally:
                await session.stop_worker()
        yield _result(asked)


async def _measure(asked: Sweep, budget: float) -> Output:
    async with contextlib.aclosing(asked.measure(budget)) as events:  # type: ignore[type-var]
        async for event in events:
            match event:
                case Curving():
                    for told in measured(event, "trainings"):
                        yield told
                case Curved(missing=missing) if missing:
                    text = f"{counted(event.done, 'training')} in {duration(event.seconds)}; {missing} {'is' if missing == 1 else 'are'} missing: `sweep` again goes on.\n"
                    yield Line({"measured_now": event.done, "missing": missing}, text)


def _result(asked: Sweep) -> Line:
    found = asked.compared()
    head, *rows = table(asked.recipes, found)
    drawn = columns(Table(head, tuple(rows), NUMBERS), 120)
    data = {
        "missing": asked.missing(),
        "settings": [
            {
                "setting": each.setting, "loss": each.loss, "difference": each.difference, "interval": each.interval, "epoch": each.epoch,
                "trainings": each.trials, "word": each.word,
            }
            for each in found
        ],
        "sentence": asked.advice(found),
    }  # fmt: skip
    return Line(data, "\n".join(["", *drawn, "", asked.advice(found)]))
