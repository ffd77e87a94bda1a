"""How many steps a refit should have: `python -m bench.steps WORKSPACE --task paintings --run 0002 0003 --steps 30 40 --slow 0.2 0.5`.

WORKSPACE is one that `bench.evening --keep` left: real runs, with the rows that its evening had come to. Each is trained on all its rows again, afresh with
its own seed, with each number of steps and each share of them in which the rate falls; then the evening bench's judge reads what the adapter
writes by itself, for values drawn as a session draws them, and for values of rows that nothing was trained on: what was learned by heart is
accepted among the first alone. One line for each.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import baked, cases
from bench.cases import Case
from bench.judge import likeness
from bench.results import Judged
from core import runfiles
from core.config import Lora
from core.protocol import Load, Row
from core.runfiles import RunSpec
from core.worker.encoding import encode_row
from core.worker.engine import Engine
from core.worker.evaluation import measure_rows
from core.worker.retraining import PROBED

NEAR = 0.35
"""Share of an accepted text's content words that one trained text holds, above which it says much the same; the judge itself allows half."""


def told(judged: Sequence[Judged], trained: Sequence[str]) -> str:
    """How many are accepted, how many of those say again what a trained text says, and why the others are not."""
    kept = [one.text for one in judged if not one.failed]
    near = sum(likeness(text, trained)[0] > NEAR for text in kept)
    failed = Counter(criterion for one in judged for criterion in one.failed)
    why = ", ".join(f"{criterion} {count}" for criterion, count in failed.most_common())
    return f"{len(kept)} of {len(judged)} | {near} | {why}"


def line(made: Any, case: Case, rows: Sequence[Row], count: int) -> str:
    """The loss of unseen rows, what is recited of the trained ones, and the judge's word on `count` texts for values of either kind."""
    loss = baked.loss(made, [Row(str(at), case.task.segments(fields), text) for at, (text, fields) in enumerate(case.measured)])
    base = made._base
    learned = [encode_row(base.tokenizer, row, 1.0) for row in rows[:: max(1, len(rows) // PROBED)]]
    measures = [row for part in measure_rows(base.model, learned, base.tokenizer.eos_token_id) for row in part]
    recited = sum(row.recited * row.tokens for row in measures) / sum(row.tokens for row in measures)
    trained = [row.text for row in rows]
    parts = [
        told(baked.alone(made, case, asked, trained), trained)
        for asked in (baked.drawn(case, [row.fields for row in rows], count), baked.unseen(case, count))
    ]
    return f"{loss:.3f} | {recited:.0%} | {' | '.join(parts)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--task", choices=cases.SOURCES, required=True)
    parser.add_argument("--run", nargs="+", required=True)
    parser.add_argument("--steps", nargs="+", type=int, required=True)
    parser.add_argument("--slow", nargs="+", type=float, default=[0.2, 0.5])
    parser.add_argument("--count", type=int, default=96, help="texts of each to judge")
    args = parser.parse_args()
    made: Any = Engine()
    for _ in made.load(Load(id=1, base="starter", quantization="nf4", lora=Lora(), calibrate=True)):
        pass
    case = cases.load(args.task)
    told_of = "accepted | near a row | what fails"
    print(f"| task, run | rows | steps | rate falls over | loss of unseen rows | recited | {told_of} | for unseen values: {told_of} |")
    print("|---" * 12 + "|", flush=True)
    for name in args.run:
        folder = args.workspace / "runs" / name
        spec = runfiles.read(folder / "run.json", RunSpec)
        task = spec.task or case.task
        if spec.parent:
            raise SystemExit(f"Run {name} is a top-up; this bench trains afresh.")
        rows = runfiles.read_rows(folder / "rows.jsonl", spec.rows_sha256)
        for steps in args.steps:
            for slow in args.slow:
                baked.refit(made, rows, task, spec.training, spec.seed, spec.learning_rate, steps, slow)
                print(f"| {args.task}, {name} | {len(rows)} | {steps} | {slow:g} | {line(made, case, rows, args.count)}", flush=True)


if __name__ == "__main__":
    main()
