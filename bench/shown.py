"""What guidance and examples in the prompt bring: `python -m bench.shown [--task checks ...] [--count 64] [--workspace W --run 0004]`.

An adapter is trained on all of a task's twelve written rows as a run does it, or on those of a run in a workspace that `bench.evening --keep` left. It
writes texts for values as a session draws them: by itself, with guidance (away from other values of choices and scales, as the program does it, or
away from the prompt without attributes), with three examples before the prompt (those most like what is asked for, as the program does it, or
drawn by chance), on the same seeds. The judge of the evening bench decides. One seed: of 64 texts a difference of eight is noise.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

from bench import baked, cases
from core import runfiles
from core.config import Lora, Training
from core.protocol import Load, Row
from core.runfiles import RunSpec
from core.stopping import FORM_PASSES, FORM_STEPS
from core.worker.engine import Engine
from core.worker.retraining import REFIT_SLOW
from dataset.rows import Example

WAYS: dict[str, dict[str, Any]] = {
    "alone": {},
    "guidance 1": {"guidance": 1.0},
    "guidance 1, from no attributes": {"guidance": 1.0, "from_none": True},
    "3 shown, by chance": {"shown": 3, "by_chance": True},
    "3 shown, the nearest": {"shown": 3},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", nargs="+", choices=cases.SOURCES, default=list(cases.SOURCES))
    parser.add_argument("--way", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--run")
    args = parser.parse_args()
    made: Any = Engine()
    for _ in made.load(Load(id=1, base="starter", quantization="nf4", lora=Lora(), calibrate=True)):
        pass
    print("| task | rows | sampled | accepted | form | subject | attributes | new | seconds |\n|---|---|---|---|---|---|---|---|---|")
    for name in args.task:
        case = cases.load(name)
        rows = [Row(str(at), case.task.segments(values), text, fields=values) for at, (text, values) in enumerate(case.written)]
        if args.workspace:
            folder = args.workspace / "runs" / args.run
            rows = runfiles.read_rows(folder / "rows.jsonl", runfiles.read(folder / "run.json", RunSpec).rows_sha256)
        training = Training()
        steps = min(FORM_STEPS, FORM_PASSES * math.ceil(len(rows) / training.batch_size))
        baked.refit(made, rows, case.task, training, baked.SEED, training.learning_rate, steps, REFIT_SLOW)
        trained = [row.text for row in rows]
        examples = [Example(str(at), row.text, row.fields, "written", "") for at, row in enumerate(rows)]
        asked = baked.drawn(case, [row.fields for row in rows], args.count)
        for way in args.way:
            began = time.perf_counter()
            tries = baked.texts(made, case, asked, trained, examples=examples, **WAYS[way])
            spent = time.perf_counter() - began
            judged = cases.assess(case, tries, trained, cases.token_ends())
            passed = [sum(each not in one.failed for one in judged) for each in ("form", "subject", "attributes", "new")]
            counts = " | ".join(str(count) for count in (sum(not one.failed for one in judged), *passed))
            print(f"| {name} | {len(rows)} | {way} | {counts} | {spent:.0f} |", flush=True)


if __name__ == "__main__":
    main()
