"""One run, from its frozen rows to its checkpoints: train, measure after every epoch, stop when it has baked long enough, and repeat
the best epoch's training on all rows; before all that, where it is known how many steps to expect."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import torch

from core.errors import FlavorError
from core.gate import Gate
from core.protocol import Epoch, Event, Gauges, Loading, Provisional, Refit, Row, Step, Trained
from core.runfiles import RunSpec
from core.stopping import Baked, Watch, refit_steps, steps_of
from core.worker.encoding import Curriculum, Encoded, encode_row, longest
from core.worker.evaluation import RowMeasure, drift, mean, measure_rows, neutral_scores
from core.worker.forms import Forms
from core.worker.memory import StepMemory
from core.worker.model import Base
from core.worker.training import EpochDone, StepDone, train

REFIT_SLOW = 0.5
"""The share of a refit's steps in which the rate falls: where it ends hangs less on its last rows, and unseen ones are lost later."""
PROBED = 8
"""Trained rows whose reciting is measured after each epoch; more would take as long as the epoch."""

Done = StepDone | EpochDone | None


class Timed:
    """A loop of training, and the seconds that were spent in it: what its reader does meanwhile does not count."""

    def __init__(self, loop: Generator[Done]) -> None:
        self._loop = loop
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Done]:
        return self

    def __next__(self) -> Done:
        began = time.perf_counter()
        try:
            return next(self._loop)
        finally:
            self.seconds += time.perf_counter() - began

    def close(self) -> None:
        self._loop.close()


Save = Callable[[EpochDone, Gauges, float, bool], str]
"""Publishes the adapter as it is: the epoch, its gauges, the median epochs its rows were seen, whether it is a refit; gives the
checkpoint's name."""


class Probe:
    """What a run is measured on: its held-out rows, some of its trained ones, and neutral prose."""

    def __init__(self, base: Base, forms: Forms, held: Sequence[Encoded], learned: Sequence[Encoded]) -> None:
        self._base, self._forms = base, forms
        self._held = list(held)
        self._learned = _some(learned)
        self._neutral: list[torch.Tensor] = []
        self.held: list[RowMeasure] = []
        """The held-out rows as last measured."""

    def _measure(self, rows: Sequence[Encoded]) -> Generator[None, None, list[RowMeasure]]:
        """Yields None while measuring."""
        found: list[RowMeasure] = []
        for part in measure_rows(self._base.model, rows, self._base.tokenizer.eos_token_id):
            found += part
            yield None
        return found

    def prose(self) -> Generator[None, None, None]:
        """What drift is measured from: the base on neutral prose."""
        self._forms.train(with_adapter=False)
        self._base.model.eval()
        self._neutral = neutral_scores(self._base.model, self._base.tokenizer)
        yield None

    def base(self) -> Generator[None, None, float | None]:
        """The base's held-out loss."""
        self._forms.train(with_adapter=False)
        self._base.model.eval()
        held = yield from self._measure(self._held)
        return mean(held) if held else None

    def gauges(self) -> Generator[None, None, Gauges]:
        """Those of the adapter as it is now; drift only where `prose` was asked for before."""
        self._forms.train()
        self._base.model.eval()
        held = self.held = yield from self._measure(self._held)
        learned = yield from self._measure(self._learned)
        told = held or learned
        return Gauges(
            held_out_loss=mean(held) if held else None,
            p_end=sum(row.end for row in told) / len(told) if told else None,
            p_end_early=sum(row.early_end for row in told) / len(told) if told else None,
            recall=_recited(learned),
            recall_held_out=_recited(held),
            drift=self._drift(),
        )

    def of_refit(self, rows: Sequence[Encoded]) -> Generator[None, None, Gauges]:
        """Those of an adapter that was trained on all `rows`: what needs no unseen ones."""
        self._forms.train()
        self._base.model.eval()
        learned = yield from self._measure(_some(rows))
        return Gauges(recall=_recited(learned), drift=self._drift())

    def _drift(self) -> float | None:
        return drift(neutral_scores(self._base.model, self._base.tokenizer), self._neutral) if self._neutral else None


def _some(rows: Sequence[Encoded]) -> list[Encoded]:
    """`PROBED` rows, evenly spread from the first to the newest."""
    count = min(PROBED, len(rows))
    return [rows[place * (len(rows) - 1) // max(1, count - 1)] for place in range(count)]


def _by_people(rows: Sequence[Row], encoded: Mapping[str, Encoded]) -> list[Encoded]:
    """Those that people wrote or mended, where there are any: what a model wrote it guesses well unseen, so that beside held-out rows, which are
    all by people, it would look as if learned by heart."""
    return [encoded[row.id] for row in rows if row.human] or [encoded[row.id] for row in rows]


def _recited(rows: Sequence[RowMeasure]) -> float | None:
    tokens = sum(row.tokens for row in rows)
    return sum(row.recited * row.tokens for row in rows) / tokens if tokens else None


def _baked(epoch: int, gauges: Gauges) -> Baked:
    return Baked(epoch, gauges.held_out_loss, gauges.recall or 0.0, gauges.recall_held_out, gauges.p_end)


@dataclass(frozen=True)
class Whole:
    """What training on all rows gave: the adapter's tensors, the mean loss of the last pass, and what needs no unseen rows to be measured."""

    tensors: list[torch.Tensor]
    loss: float
    gauges: Gauges


class Retraining:
    """Carries a run out. The parent's adapter, or a fresh one, must be in the model already."""

    def __init__(self, base: Base, forms: Forms, spec: RunSpec, rows: Sequence[Row], save: Save) -> None:
        """Raises FlavorError where no row is left to train on."""
        self._base, self._forms, self._spec, self._save = base, forms, spec, save
        encoded = {row.id: encode_row(base.tokenizer, row, spec.training.end_weight) for row in rows}
        limit = longest(base.model, spec.training.max_tokens)
        self.limit = limit
        """Tokens that a row may have."""
        self.skipped = [row.id for row in rows if len(encoded[row.id].ids) > limit]
        kept = [row for row in rows if row.id not in self.skipped]
        self._learned = [row for row in kept if not row.held_out]
        if not self._learned and self.skipped:
            raise FlavorError(f"Every row is longer than {limit} tokens.", "Shorten them, or raise max_tokens in flavor.toml.", "empty")
        if not self._learned:
            raise FlavorError("There is no row to train on.", "Write or accept an example first.", "empty")
        self._all, self._encoded = kept, encoded
        self._curriculum = Curriculum(base.tokenizer, self._learned, spec.training, spec.task, spec.seed)
        held = [encoded[row.id] for row in kept if row.held_out]
        self._refits = bool(held) and spec.kind == "train" and len(kept) <= spec.training.refit_rows
        self._longest = max(len(encoded[row.id].ids) for row in (kept if self._refits else self._learned))
        self._probe = Probe(base, forms, held, _by_people(self._learned, encoded))

    def run(self, number: int, began: float) -> Iterator[Event | None]:
        """The run's events; `number` is the command's id, `began` its start by `perf_counter`. Begins with a `Loading` where memory is short,
        ends with `Trained`. Raises FlavorError where it does not suffice."""
        spec = self._spec
        names = {0: spec.parent or ""}
        memory = StepMemory(self._base.model, self._forms.parameters(), *self._widest())
        if memory.foreseen:
            yield Loading(id=number, stage=memory.foreseen)
        yield from self._probe.prose()
        start = self._forms.copied() if self._refits else []
        tried, provisional, whole = self._expected(), "", None
        if tried:
            whole = yield from self._on_all_rows(number, began, tried, memory)
            provisional = self._publish(tried, whole)
            yield Provisional(id=number, checkpoint=provisional, seconds=time.perf_counter() - began)
            self._forms.put_back(start)
        gauges = yield from self._probe.gauges()
        base_loss = gauges.held_out_loss if spec.parent is None else (yield from self._probe.base())  # a fresh adapter is the base
        yield Epoch(
            id=number, epoch=0, checkpoint=spec.parent, held_out_loss=gauges.held_out_loss, loss=None,
            seconds=time.perf_counter() - began, gauges=gauges, base_loss=base_loss,
        )  # fmt: skip
        watch = self._watch(_baked(0, gauges))
        if spec.parent and spec.shrink < 1:
            self._forms.shrink_adapter(spec.shrink)  # only now: epoch 0 is the parent as it is
            start = self._forms.copied() if self._refits else []
        tokens = steps = 0
        stopped = ""
        self._forms.train()
        loop = Timed(self._loop(memory))
        with contextlib.closing(loop):
            for event in loop:
                match event:
                    case None:
                        yield None
                    case StepDone():
                        tokens, steps = tokens + event.tokens, event.step
                        yield Step(
                            id=number, step=event.step, steps=event.steps, epoch=event.epoch, loss=event.loss, rate=event.rate,
                            tokens=event.tokens, seconds=time.perf_counter() - began, spent=loop.seconds,
                        )  # fmt: skip
                    case EpochDone():
                        gauges = yield from self._probe.gauges()
                        names[event.epoch] = self._save(event, gauges, self._seen(event.epoch, self._learned), False)
                        yield Epoch(
                            id=number, epoch=event.epoch, checkpoint=names[event.epoch], held_out_loss=gauges.held_out_loss,
                            loss=event.loss, seconds=time.perf_counter() - began, gauges=gauges,
                        )  # fmt: skip
                        enough = watch.add(_baked(event.epoch, gauges))
                        if enough and spec.training.stop_early and event.epoch < spec.epochs:
                            stopped = enough
                            break
                        self._base.model.train()
        best, why = watch.best()
        chosen = names[best]
        if tried and isinstance(watch, Watch) and watch.as_good(tried):
            what = f"has {why}" if tried == best else "is within 1 % of the lowest held-out loss"
            chosen, why = provisional, f"epoch {tried} {what}; all {len(self._all)} rows were trained first"
        elif best and self._refits:
            if whole and self._refit_steps(best) == self._refit_steps(tried):  # the same weights: only what measures them is another epoch
                why = f"epoch {best} has {why}, and asks for as many steps as were done on all {len(self._all)} rows first"
                self._forms.put_back(whole.tensors)
            else:
                self._forms.put_back(start)
                whole = yield from self._on_all_rows(number, began, best, memory)
                why = f"epoch {best} has {why}; trained again on all {len(self._all)} rows"
            chosen = self._publish(best, whole)
        yield Trained(
            id=number, checkpoint=chosen, steps=steps, tokens=tokens, seconds=time.perf_counter() - began, train_seconds=loop.seconds,
            skipped=self.skipped, why=why, stopped=stopped, note=memory.note,
            best_steps=self._steps(best) if isinstance(watch, Watch) and self._probe.held else 0,
        )  # fmt: skip

    def _expected(self) -> int:
        """The epoch that is repeated on all rows before it is measured: the one whose steps are nearest to those that are expected, the later
        of two. 0: none are, or the run is not afresh, so that others are best."""
        expected = self._spec.expected
        if not self._refits or not expected or self._spec.parent:
            return 0
        return min(range(1, self._spec.epochs + 1), key=lambda epoch: (abs(self._steps(epoch) - expected), -epoch))

    def _on_all_rows(self, number: int, began: float, epoch: int, memory: StepMemory) -> Generator[Event | None, None, Whole]:
        """Repeat an epoch on all rows, from the adapter as it is."""
        loss = yield from self._refit(number, began, epoch, memory)
        gauges = yield from self._probe.of_refit(_by_people(self._all, self._encoded))
        return Whole(self._forms.copied(), loss, gauges)

    def _publish(self, epoch: int, whole: Whole) -> str:
        """Save it, which is in the model, as the repetition of an epoch; the checkpoint's name."""
        size, batch = sum(row.repeat for row in self._all), self._spec.training.batch_size
        passes, rest = divmod(self._refit_steps(epoch), self._of_a_pass())
        seen = self._seen(round(passes + min(rest * batch, size) / size, 1), self._all)
        return self._save(EpochDone(epoch, whole.loss), whole.gauges, seen, True)

    def _refit(self, number: int, began: float, epochs: int, memory: StepMemory) -> Generator[Event | None, None, float]:
        """Train from the same start on all rows, for as many steps as `epochs` epochs had or up to twice as many; the rate falls over half of
        them. The mean loss of the last pass."""
        spec, settings = self._spec, self._spec.training
        curriculum = Curriculum(self._base.tokenizer, self._all, settings, spec.task, spec.seed)
        steps = self._refit_steps(epochs)
        enough = math.ceil(steps / self._of_a_pass())
        losses: list[float] = []
        self._forms.train()
        loop = Timed(train(
            self._base.model, self._forms.parameters(), curriculum, settings, epochs=enough, peak=spec.learning_rate, seed=spec.seed,
            planned=steps, slow_end=REFIT_SLOW, memory=memory,
        ))  # fmt: skip
        with contextlib.closing(loop):
            for event in loop:
                if isinstance(event, StepDone):
                    losses.append(event.loss)
                    yield Refit(
                        id=number, step=event.step, steps=steps, loss=event.loss, tokens=event.tokens,
                        seconds=time.perf_counter() - began, spent=loop.seconds,
                    )  # fmt: skip
                    if event.step == steps:
                        break
                else:
                    yield None
        return fmean(losses[-self._of_a_pass() :])

    def _steps(self, epochs: int) -> int:
        return steps_of(self._curriculum.size, self._spec.training.batch_size, epochs)

    def _refit_steps(self, epochs: int) -> int:
        return refit_steps(self._steps(epochs), self._of_a_pass())

    def _of_a_pass(self) -> int:
        """Steps in which all rows are drawn."""
        return steps_of(sum(row.repeat for row in self._all), self._spec.training.batch_size, 1)

    def _watch(self, parent: Baked) -> Watch | Gate:
        """What says when it is enough, and which epoch to use."""
        return Watch(parent=parent if self._spec.parent and not self._spec.new_rows else None)

    def _widest(self) -> tuple[int, int]:
        """Tokens of the longest row, and rows of a step: what goes through the model at once."""
        return self._longest, self._spec.training.batch_size

    def _loop(self, memory: StepMemory) -> Generator[Done]:
        """The training itself."""
        spec = self._spec
        return train(
            self._base.model, self._forms.parameters(), self._curriculum, spec.training,
            epochs=spec.epochs, peak=spec.learning_rate, seed=spec.seed, memory=memory,
        )  # fmt: skip

    def _seen(self, epochs: float, rows: Sequence[Row]) -> float:
        """Median epochs that the trained rows were seen after `epochs` of this run, parents included."""
        return median(row.seen + row.repeat * epochs for row in rows)
