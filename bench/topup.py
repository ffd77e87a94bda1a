"""Top-up or afresh: rounds of a few more rows, each way of starting from the parent against training from the base.

`python -m bench.topup --task checks|empires|paintings|spells [--only WAY ...] [--rounds N] [--seed S]` prints a table; `--out FILE` keeps the
figures. Held-out loss is of rows that no run saw; copying is the share of trained texts recited; the real worker does the work.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
from pathlib import Path
from typing import Any

from bench.common import TASKS, rows_of
from core import config
from core.config import FILE
from core.protocol import Epoch, Trained
from dataset.rows import Parsed
from tui.session.session import Session

FIRST = 8
"""Rows at the start."""
ALONE = "refit_rows = 0\ntopup_from = 0\n"
"""What the ways are compared by is the chosen epoch, without the repetition on all rows, and few rows are topped up too."""
WAYS: dict[str, str] = {
    "afresh": "",
    "plain": "topup_rate = 1.0\nnew_rows = 1\ntopup_shrink = 1.0\n",
    "B halved": "topup_rate = 1.0\nnew_rows = 1\ntopup_shrink = 0.5\n",
    "rate halved": "topup_rate = 0.5\nnew_rows = 1\ntopup_shrink = 1.0\n",
    "new rows twice": "topup_rate = 1.0\nnew_rows = 2\ntopup_shrink = 1.0\n",
    "B halved, new rows twice": "topup_rate = 1.0\nnew_rows = 2\ntopup_shrink = 0.5\n",
}


async def _way(there: Path, way: str, rows: list[Parsed], unseen: list[Parsed], more: int, seed: int) -> list[dict[str, Any]]:
    """One figure a round: rows, loss on unseen rows, recited share, seconds, epochs seen."""
    found = []
    with Session(there) as session:
        async for _ in session.start_worker():
            pass
        try:
            for number in range((len(rows) - FIRST) // more + 1):
                new = rows[:FIRST] if number == 0 else rows[FIRST + more * (number - 1) : FIRST + more * number]
                names = [f"row{number:02}-{place}" for place in range(len(new))]
                session.import_rows(new, "bench", names)
                plan = session.plan(fresh=way == "afresh", seed=seed + number)
                gauges: dict[str, Epoch] = {}
                seconds, chosen = 0.0, ""
                async for event in session.retrain(plan):
                    if isinstance(event, Epoch) and event.checkpoint:
                        gauges[event.checkpoint] = event
                    elif isinstance(event, Trained):
                        seconds, chosen = event.seconds, event.checkpoint
                measured = await session.evaluate(unseen)
                info = next(c for c in session.registry.run(plan.spec.name).checkpoints if c.name == chosen)
                found.append(
                    {"rows": plan.learned, "loss": measured.loss, "recall": gauges[chosen].gauges.recall, "seconds": seconds,
                     "seen": info.seen, "epochs": len(gauges)}
                )  # fmt: skip
                print(way, json.dumps(found[-1]), flush=True)
        finally:
            await session.stop_worker()
    return found


def measure(task: str, ways: list[str], rounds: int, more: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    rows = rows_of(task)
    kept = FIRST + more * rounds
    unseen = rows[kept:]
    if len(unseen) < 5:
        raise SystemExit(f"{task} has {len(rows)} rows: too few for {rounds} rounds and five unseen ones")
    found = {}
    for way in ways:
        with tempfile.TemporaryDirectory() as scratch:
            there = Path(scratch) / "evening"
            config.create(there, TASKS[task]())
            path = there / FILE
            path.write_text(re.sub(r"\[training\]\n", f"[training]\n{ALONE}{WAYS[way]}", path.read_text()))
            found[way] = asyncio.run(_way(there, way, rows[:kept], unseen, more, seed))
    return found


def table(found: dict[str, list[dict[str, Any]]]) -> str:
    """Per way: the loss on unseen rows after each round, and of the last one what is recited, how often rows were seen, all seconds."""
    rounds = len(next(iter(found.values()))) - 1
    heads = " | ".join(f"round {number}" for number in range(1, rounds + 1))
    lines = [f"| | start | {heads} | recited | seen | seconds in all |", "|---" * (rounds + 5) + "|"]
    for way, figures in found.items():
        losses = " | ".join(f"{figure['loss']:.3f}" for figure in figures)
        last = figures[-1]
        seconds = sum(figure["seconds"] for figure in figures[1:])
        lines.append(f"| {way} | {losses} | {last['recall']:.0%} | {last['seen']:g} | {seconds:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=TASKS, default="checks")
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--more", type=int, default=6, help="rows added before each round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    found = measure(args.task, args.only, args.rounds, args.more, args.seed)
    if args.out:
        args.out.write_text(json.dumps({"task": args.task, "seed": args.seed, "ways": found}, indent=1) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
