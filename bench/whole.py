"""What the held-out rows are worth to training: `python -m bench.whole [--task checks ...] [--rows 12] [--seed 101 ...] [--count 24]`.

The number of epochs is chosen on the held-out fold, as a run does it. Then the same start is trained again on all rows (refit): as a run
does it, or at a steady rate for 1, 1.5 or 2 times the steps that were best; or the chosen adapter goes on with the held-out rows and as many of the
others (extension), at the rate of that moment or half of it. All are measured on rows that nothing is trained on, and with `--count` the
evening bench's judge reads so many texts, for values drawn as a session draws them.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bench import baked, cases
from bench.cases import Case
from core.config import Lora, Training
from core.protocol import Gauges, Load, Row
from core.stopping import Baked, Watch, refit_steps, steps_of
from core.worker.encoding import Curriculum, encode_row
from core.worker.engine import Engine
from core.worker.retraining import REFIT_SLOW, Probe
from core.worker.training import SLOW_END, EpochDone, StepDone, train
from dataset.folds import held_out

SEEDS = [101, 201]
"""Those of the first round of the evening bench's seeds 1 and 2."""
CHOSEN, SHIPPED = "epoch chosen", "refit, as a run does it"
STEADY = {"refit, as many steps": 1.0, "refit, half as many again": 1.5, "refit, twice as many": 2.0}
"""At a steady rate, with how many times the steps that were best."""
EXTENSIONS = {"extension": 1.0, "extension, half the rate": 0.5}
"""With the share of the learning rate."""
WAYS = (CHOSEN, SHIPPED, *STEADY, *EXTENSIONS)


@dataclass(frozen=True)
class Done:
    """One way to train, what it cost and what came of it: nats a token of unseen rows, recited share of the trained ones."""

    way: str
    loss: float
    recall: float
    seconds: float
    passed: str = ""
    """Texts that the judge accepts, and those of the right form."""


class Bench:
    """One task at one number of rows with one seed, in an engine that stays."""

    def __init__(self, made: Any, case: Case, count: int, seed: int) -> None:
        self.made, self.case, self.seed = made, case, seed
        self.parsed = [*case.written, *case.held_out][:count]
        self.unseen = [*case.written, *case.held_out][max(count, cases.WRITTEN) :][: cases.MEASURED]
        names = [f"bench{number:03}" for number in range(1, count + 1)]
        out = held_out(names)
        self.rows = [
            Row(name, case.task.segments(fields), text, held_out=name in out, fields=fields)
            for name, (text, fields) in zip(names, self.parsed, strict=True)
        ]
        self.learned = [row for row in self.rows if not row.held_out]
        self.held = [row for row in self.rows if row.held_out]
        self.settings = Training()

    def _probe(self, rows: Sequence[Row]) -> Probe:
        base = self.made._base
        held, learned = ([encode_row(base.tokenizer, row, 1.0) for row in part] for part in (self.held, rows))
        return Probe(base, self.made._forms, held, learned)

    def _gauges(self, probe: Probe) -> Gauges:
        loop = probe.gauges()
        while True:
            try:
                next(loop)
            except StopIteration as end:
                return end.value

    def _train(
        self, rows: Sequence[Row], epochs: int, stop: int, rate: float, warmup: int, watch: Watch | None = None, most: int = 0,
        planned: int | None = None, slow_end: float = SLOW_END,
    ) -> list[Any]:  # fmt: skip
        """Train the adapter in the model; its tensors after each epoch. Stops after `stop` epochs or `most` steps, or where `watch` says so."""
        made, states = self.made, []
        settings = msgspec.structs.replace(self.settings, warmup_steps=warmup)
        curriculum = Curriculum(made._base.tokenizer, rows, settings, self.case.task, self.seed)
        made._forms.train()
        probe = self._probe(rows)
        loop = train(
            made._base.model,
            made._forms.parameters(),
            curriculum,
            settings,
            epochs=epochs,
            peak=rate,
            seed=self.seed,
            planned=planned,
            slow_end=slow_end,
        )
        for event in loop:
            if isinstance(event, StepDone) and event.step == most:
                break
            if isinstance(event, EpochDone):
                states.append(made._forms.copied())
                enough = ""
                if watch:
                    gauges = self._gauges(probe)
                    enough = watch.add(Baked(event.epoch, gauges.held_out_loss, gauges.recall or 0.0, gauges.recall_held_out))
                if enough or event.epoch == stop:
                    break
                made._base.model.train()
        loop.close()
        return states

    def _done(self, way: str, rows: Sequence[Row], seconds: float, count: int) -> Done:
        loss = baked.loss(self.made, [Row(str(at), self.case.task.segments(fields), text) for at, (text, fields) in enumerate(self.unseen)])
        recall = self._gauges(self._probe(rows)).recall or 0.0
        if not count:
            return Done(way, loss, recall, seconds)
        asked = baked.drawn(self.case, [fields for _, fields in self.parsed], count)
        judged = baked.alone(self.made, self.case, asked, [text for text, _ in self.parsed])
        kept, form = sum(not one.failed for one in judged), sum("form" not in one.failed for one in judged)
        return Done(way, loss, recall, seconds, f"{kept}, {form} of {len(judged)}")

    def run(self, ways: Sequence[str], count: int) -> tuple[int, list[Done]]:
        """The epoch that was chosen, and each way."""
        forms, settings, watch = self.made._forms, self.settings, Watch()
        forms.fresh_adapter(self.seed)
        began = time.perf_counter()
        states = self._train(self.learned, settings.epochs, 0, settings.learning_rate, settings.warmup_steps, watch)
        spent = time.perf_counter() - began
        best, _ = watch.best()
        chosen = states[best - 1]
        replayed = sorted(self.learned, key=lambda row: row.id)[:: max(1, len(self.learned) // len(self.held))][: len(self.held)]
        found = []
        for way in ways:
            began = time.perf_counter()
            if way.startswith("refit"):
                steps = steps_of(len(self.learned), settings.batch_size, best)
                most = (
                    math.ceil(STEADY[way] * steps)
                    if way in STEADY
                    else refit_steps(steps, steps_of(len(self.rows), settings.batch_size, 1))
                )
                forms.fresh_adapter(self.seed)
                planned, slow = (most, REFIT_SLOW) if way == SHIPPED else (None, SLOW_END)
                self._train(
                    self.rows,
                    2 * settings.epochs,
                    0,
                    settings.learning_rate,
                    settings.warmup_steps,
                    most=most,
                    planned=planned,
                    slow_end=slow,
                )
            else:
                forms.put_back(chosen)
            if way in EXTENSIONS:
                self._train([*self.held, *replayed], best, best, EXTENSIONS[way] * settings.learning_rate, 0)
            seconds = spent if way == CHOSEN else time.perf_counter() - began
            found.append(self._done(way, self.learned if way == CHOSEN else self.rows, seconds, count))
        return best, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", nargs="+", choices=cases.SOURCES, default=list(cases.SOURCES))
    parser.add_argument("--rows", nargs="+", type=int, default=[cases.WRITTEN])
    parser.add_argument("--seed", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--way", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--count", type=int, default=0, help="texts of each to judge")
    args = parser.parse_args()
    made: Any = Engine()
    for _ in made.load(Load(id=1, base="starter", quantization="nf4", lora=Lora(), calibrate=True)):
        pass
    print("| task, seed | rows, held out | epoch | way | loss of unseen rows | recited | accepted, of right form | seconds |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for rows in args.rows:
        for seed in args.seed:
            for name in args.task:
                bench = Bench(made, cases.load(name), rows, seed)
                best, found = bench.run(args.way, args.count)
                for each in found:
                    print(
                        f"| {name}, {seed} | {rows}, {len(bench.held)} | {best} | {each.way} | {each.loss:.3f} | {each.recall:.0%} "
                        f"| {each.passed} | {each.seconds:.0f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
