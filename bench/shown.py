"""What guidance, examples in the prompt and a lower temperature bring: `python -m bench.shown [--task checks ...] [--way alone ...] [--count 64]
[--seed 1 2 ...] [--workspace W --run 0004]`.

An adapter is trained on all of a task's twelve written rows as a run does it, or on those of a run in a workspace that `bench.evening --keep` left. It
writes texts for values as a session draws them: by itself, with guidance (away from other values of choices and scales, as the program does it, or
away from the prompt without attributes), with three examples before the prompt (those most like what is asked for, as the program does it, or
drawn by chance), on the same seeds. The judge of the evening bench decides; "pairs" is how many of the pairs of words are different ones. `--seed`
are the adapters'; of 64 texts of one of them a difference of eight is noise.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench import baked, cases
from bench.cases import Try
from core import runfiles
from core.config import Lora, Training
from core.gauges.diversity import distinct
from core.protocol import Load, Row
from core.runfiles import RunSpec
from core.stopping import FORM_PASSES, FORM_STEPS
from core.text import words
from core.worker.engine import Engine
from core.worker.retraining import REFIT_SLOW
from dataset.rows import Example

WAYS: dict[str, dict[str, Any]] = {
    "alone": {},
    "guidance 1": {"guidance": 1.0},
    "guidance 1, from no attributes": {"guidance": 1.0, "from_none": True},
    "3 shown, by chance": {"shown": 3, "by_chance": True},
    "3 shown, the nearest": {"shown": 3},
    "temperature 0.8": {"temperature": 0.8},
    "temperature 0.6": {"temperature": 0.6},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", nargs="+", choices=cases.SOURCES, default=list(cases.SOURCES))
    parser.add_argument("--way", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--seed", type=int, nargs="+", default=[baked.SEED])
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--run")
    args = parser.parse_args()
    made: Any = Engine()
    for _ in made.load(Load(id=1, base="starter", quantization="nf4", lora=Lora(), calibrate=True)):
        pass
    print(
        "| task | rows | seed | sampled | accepted | form | subject | attributes | new | pairs | seconds |\n|---|---|---|---|---|---|---|---|---|---|---|"
    )
    for name in args.task:
        case = cases.load(name)
        rows = [Row(str(at), case.task.segments(values), text, fields=values) for at, (text, values) in enumerate(case.written)]
        if args.workspace:
            folder = args.workspace / "runs" / args.run
            rows = runfiles.read_rows(folder / "rows.jsonl", runfiles.read(folder / "run.json", RunSpec).rows_sha256)
        training = Training()
        steps = min(FORM_STEPS, FORM_PASSES * math.ceil(len(rows) / training.batch_size))
        trained = [row.text for row in rows]
        examples = [Example(str(at), row.text, row.fields, "written", "") for at, row in enumerate(rows)]
        asked = baked.drawn(case, [row.fields for row in rows], args.count)
        for seed in args.seed:
            baked.refit(made, rows, case.task, training, seed, training.learning_rate, steps, REFIT_SLOW)
            for way in args.way:
                began = time.perf_counter()
                tries = baked.texts(made, case, asked, trained, examples=examples, **WAYS[way])
                spent = time.perf_counter() - began
                judged = cases.assess(case, tries, trained, cases.token_ends())
                passed = [sum(each not in one.failed for one in judged) for each in ("form", "subject", "attributes", "new")]
                counts = " | ".join(str(count) for count in (sum(not one.failed for one in judged), *passed))
                print(f"| {name} | {len(rows)} | {seed} | {way} | {counts} | {_pairs(tries):.2f} | {spent:.0f} |", flush=True)


def _pairs(tries: Sequence[Try]) -> float:
    """The share of different pairs of words among all, of texts cut to their median length: longer ones repeat more."""
    texts = [words(each.text) for each in tries]
    length = int(median(map(len, texts)))
    return distinct([text[:length] for text in texts], 2)


if __name__ == "__main__":
    main()
