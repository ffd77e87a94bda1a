"""Adapters planted at 1, 2, 4, 8, 20 and 60 epochs, on two tasks with two seeds: what the gauges and the verdict are calibrated on.

`python -m bench.planted --out FILE` trains, measures and samples them (about half an hour on two cores); `python -m bench.planted FILE`
prints the verdicts.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec

from bench.common import TASKS, rows_of
from core.config import Lora, Sampling, Training
from core.gauges.breakdown import flags
from core.gauges.reading import Course, Measured, Sample, Source
from core.gauges.verdict import Judgement, judge
from core.protocol import Load, Row
from core.text import clean_text, words
from core.worker.encoding import Curriculum, encode_row

EPOCHS = (1, 2, 4, 8, 20, 60)
LEARNED, HELD = 12, 6
SAMPLED = 8
RUNS = (("checks", 1), ("checks", 2), ("paintings", 1), ("paintings", 2))


def _drain(events: Any) -> Any:
    """Run a generator to its end; what it returns."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def _samples(engine: Any, task: Any, rows: list[Row], seed: int) -> list[dict[str, Any]]:
    """Texts from the adapter as it is, with the anti-copy filter off: it would hide what is to be seen."""
    engine._forms._state = ""  # the pair has changed since
    engine._forms.sample(True, "planted")
    settings = Sampling(max_tokens=120, max_copied_tokens=0)
    seeds = [1000 * seed + number for number in range(SAMPLED)]
    values = task.draw({}, [row.fields for row in rows], seeds)
    engine._sampler.learn_examples([row.text for row in rows], settings)
    found = []
    lengths = [len(words(row.text)) for row in rows]
    for event in engine._sampler.sample([task.segments(value) for value in values], seeds, settings):
        if hasattr(event, "text"):
            text = clean_text(event.text)
            marks = flags(text, event.finish, lengths, event.cut_at_heading)
            found.append({"text": text, "finish": event.finish, "flags": marks, "values": list(values[event.index].values())})
    return found


def plant(engine: Any, name: str, seed: int) -> dict[str, Any]:
    """One run of 60 epochs at the constant rate, looked at on the way."""
    from core.worker.retraining import Probe
    from core.worker.training import EpochDone, train

    task = TASKS[name]()
    rows = [Row(f"row{n}", task.segments(fields), text, fields=fields) for n, (text, fields) in enumerate(rows_of(name)[: LEARNED + HELD])]
    learned, held = rows[:LEARNED], rows[LEARNED:]
    base, forms, _ = engine._ready()
    encoded = {row.id: encode_row(base.tokenizer, row, 2.0) for row in rows}
    forms.fresh_adapter(seed)
    probe = Probe(base, forms, [encoded[row.id] for row in held], [encoded[row.id] for row in learned])
    _drain(probe.prose())
    found: dict[str, Any] = {"task": name, "seed": seed, "base_loss": _drain(probe.base()), "planted": []}
    found["rows"] = [{"id": row.id, "text": row.text, "held_out": row in held} for row in rows]
    curriculum = Curriculum(base.tokenizer, learned, Training(), task, seed)
    forms.train()
    # The slow end of a run of 60 epochs would come after the others were looked at: the rate is constant up to the last one.
    for event in train(base.model, forms.parameters(), curriculum, Training(), epochs=EPOCHS[-1], peak=1e-3, seed=seed):
        if isinstance(event, EpochDone) and event.epoch in EPOCHS:
            gauges = msgspec.to_builtins(_drain(probe.gauges()))
            samples = _samples(engine, task, learned, seed)
            found["planted"].append({"epoch": event.epoch, "loss": event.loss, **gauges, "samples": samples})
            print(name, seed, event.epoch, {key: round(value, 3) for key, value in gauges.items()}, samples[0]["text"][:80], flush=True)
            forms.train()
            base.model.train()
    return found


def verdicts(run: dict[str, Any], texts: bool = True) -> list[tuple[int, Judgement]]:
    """What is said of each planted adapter once all of them are measured, as after a run: with the texts sampled from it, or without."""
    rows = [Source(row["id"], row["text"], True, row["held_out"]) for row in run["rows"]]
    found = []
    course = Course((("base", run["base_loss"]), *((f"epoch {p['epoch']}", p["held_out_loss"]) for p in run["planted"])), True)
    for planted in run["planted"]:
        numbers = {key: planted[key] for key in ("held_out_loss", "loss", "p_end", "p_end_early", "recall", "recall_held_out", "drift")}
        samples = [
            Sample(str(number), text["text"], text["finish"], tuple(text["flags"]), tuple(text["values"]))
            for number, text in enumerate(planted["samples"] if texts else [])
        ]
        measured = Measured(f"epoch {planted['epoch']}", **numbers, seen=planted["epoch"])
        found.append((planted["epoch"], judge(measured, course, samples, rows)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.out:
        from core.worker.engine import Engine

        engine = Engine()
        for _ in engine.load(Load(id=1, base="starter", quantization="nf4", lora=Lora(), calibrate=True)):
            pass
        runs = []
        for name, seed in RUNS:
            runs.append(plant(engine, name, seed))
            args.out.write_text(json.dumps(runs, ensure_ascii=False, indent=1) + "\n")
    for run in json.loads((args.out or args.file).read_text()):
        for texts in (False, True):
            said = "  ".join(f"{epoch} {judgement.verdict.word}" for epoch, judgement in verdicts(run, texts))
            print(f"{run['task']} seed {run['seed']}, {'with' if texts else 'without'} sampled texts: {said}")


if __name__ == "__main__":
    main()
