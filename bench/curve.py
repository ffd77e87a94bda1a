"""How many examples are enough, measured on the rows that come with the program: `python -m bench.curve [--budget SECONDS] [TASK ...]`.

The points are kept beside `--at`; the same command again goes on where the time ran out.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from bench.common import TASKS, rows_of
from core import config
from core.text import duration
from tui.commands.curve import curve
from tui.commands.output import Line
from tui.report.curve import law_line, outlier_lines, size_of
from tui.session.session import Session

OURS = ("empires", "checks", "paintings")


def made(folder: Path, task: str) -> Path:
    """A workspace with a task's rows, under ids that are the same every time: the same folds."""
    if not (folder / config.FILE).exists():
        config.create(folder, TASKS[task]())
        with Session(folder) as session:
            rows = rows_of(task)
            session.import_rows(rows, "bench", [f"{task}{number:03}" for number in range(1, len(rows) + 1)])
    return folder


async def measure(folder: Path, seeds: int, budget: int) -> None:
    """As the command does, each point said as it comes."""
    async for item in curve(folder, seeds, budget):
        if isinstance(item, Line) and "fold" in item.data:
            told = item.data
            print(f"  fold {told['fold']} seed {told['seed']} rows {told['rows']:>2} step {told['step']:>3} loss {told['loss']:.3f}"
                  f" in {duration(told['seconds'])}", flush=True)  # fmt: skip


def table(folder: Path, task: str, seeds: int) -> None:
    """A Markdown table of the sizes, and what they tell."""
    with Session(folder, read_only=True) as session:
        outlook = session.learning.outlook(seeds)
        told = outlook.forecast
        print(
            f"\n### {task}: {told.rows} rows, {outlook.measured} points\n\n| rows | held-out loss | interval | points |\n|---|---|---|---|"
        )
        for level in told.levels:
            within = f"{level.interval[0]:.2f} to {level.interval[1]:.2f}" if level.interval else "-"
            print(f"| {size_of(level)} | {level.loss:.3f} | {within} | {level.points} |")
        print("\n" + "\n".join(line for line in (law_line(told), told.sentence) if line))
        print("\n".join(outlier_lines(outlook, dict(session.store.examples))))


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("tasks", nargs="*", choices=[*TASKS, []], metavar="TASK")
    words.add_argument("--budget", type=int, default=600, help="seconds for each task")
    words.add_argument("--seeds", type=int, default=3)
    words.add_argument("--at", type=Path, help="where the points are kept; nowhere by default")
    args = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for task in args.tasks or OURS:
            workspace = made((args.at or Path(folder)) / task, task)
            asyncio.run(measure(workspace, args.seeds, args.budget))
            table(workspace, task, args.seeds)


if __name__ == "__main__":
    main()
