"""Points of the learning curve: adapters trained afresh on few rows, then more, each measured on the fold that it never saw.

A sweep's points are the same with a recipe of their own: on all rows outside the fold, each by another rank, rate or number of epochs.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Generator, Iterator, Sequence

import msgspec

from core.config import Lora
from core.protocol import Curve, Curved, Curving, Event, Point, Recipe, Wanted
from core.stopping import TURNED
from core.worker.encoding import Curriculum, encode_row, longest
from core.worker.evaluation import RowMeasure, mean
from core.worker.forms import Forms
from core.worker.model import Base
from core.worker.retraining import Probe
from core.worker.training import StepDone, train

MEASURING = 1 / 3
"""A token measured takes this share of the time of a token trained."""
ROWS = 32
"""A point of fewer rows may take as many steps as a run on so many."""
MEASURED = 8
"""Rows that are trained on from one measurement to the next."""
PATIENCE = 3
"""Measurements without a lower loss after which it has turned."""
GRACE = 1.2
"""A point that would go beyond the time by more than this is given up."""


class LearningCurve:
    """Carries a `Curve` command out. Whatever adapter is in the model is lost."""

    def __init__(self, base: Base, forms: Forms, command: Curve) -> None:
        self._base, self._forms, self._command = base, forms, command
        training = command.training
        self._rows = [encode_row(base.tokenizer, row, training.end_weight) for row in command.rows]
        limit = longest(base.model, training.max_tokens)
        self._fits = [len(row.ids) <= limit for row in self._rows]
        self._rate = 1 / max(command.speed, 1.0)
        """Seconds a trained token, by estimate, then as measured over all points so far."""
        self._spent = self._expected = 0.0

    def _kept(self, places: Sequence[int]) -> list[int]:
        """The rows that are not too long, as in a run."""
        return [place for place in places if self._fits[place]]

    def run(self) -> Iterator[Event | None]:
        """A `Curving` before the first point, after every measurement and every point; None between the parts of a step. Ends with `Curved`.

        A point is passed over where it would not fit into the time that is left: then cheaper ones have their turn. The first is begun
        in any case: what is known of the speed before it is a guess.
        """
        number, began, budget = self._command.id, time.perf_counter(), self._command.budget
        todo, done = list(self._command.points), 0

        def told(point: Point | None = None, under_way: float = 0.0) -> Curving:
            now = time.perf_counter() - began
            count, left = self._outlook(todo, budget - now + under_way)
            return Curving(id=number, done=done, of=done + count, left=max(0.0, left - under_way), point=point)

        yield told()
        while wanted := self._next(todo, budget - (time.perf_counter() - began)):
            start, point, overdue = time.perf_counter(), None, False
            with contextlib.closing(self._point(wanted)) as parts:
                for part in parts:
                    if isinstance(part, Point):
                        point = part
                    elif overdue := time.perf_counter() - began > GRACE * budget:
                        break
                    yield told(under_way=time.perf_counter() - start) if isinstance(part, int) else None
            spent = time.perf_counter() - start
            self._learn_speed(wanted, spent, whole=not overdue)
            if overdue:
                break
            todo.remove(wanted)
            if point:
                done += 1
                yield told(msgspec.structs.replace(point, seconds=spent))
        least = min(map(self._cost, todo), default=0.0)
        yield Curved(id=number, done=done, missing=len(todo), least=least, seconds=time.perf_counter() - began)

    # -- time ----------------------------------------------------------------------------------------------------------

    def _epochs(self, size: int, recipe: Recipe | None = None) -> int:
        """Most epochs for `size` rows: those of a run, or as many as give them the steps of a run on `ROWS` rows; a recipe says so itself.

        With the same epochs a small point would be cut short, and the curve would show its missing steps, not its missing rows.
        """
        if recipe:
            return recipe.epochs
        return math.ceil(self._command.training.epochs * max(1.0, ROWS / size))

    def _work(self, wanted: Wanted) -> float:
        """The tokens of a point, trained or measured, where it does not stop early."""
        learned = [len(self._rows[place].ids) for place in self._kept(wanted.learn)]
        if not learned:
            return 0.0
        held = sum(len(self._rows[place].ids) for place in self._kept(wanted.held))
        epochs = self._epochs(len(learned), wanted.recipe)
        return epochs * (sum(learned) + math.ceil(len(learned) / MEASURED) * MEASURING * held)

    def _cost(self, wanted: Wanted) -> float:
        """Seconds, by estimate."""
        return self._work(wanted) * self._rate

    def _learn_speed(self, wanted: Wanted, seconds: float, whole: bool) -> None:
        """Early stops count: what is learned is how long a point takes, not how long it might. Of one that was given up it is known
        that it takes longer than that."""
        if not whole:
            self._rate = max(self._rate, seconds / max(self._work(wanted), 1.0))
            return
        self._spent, self._expected = self._spent + seconds, self._expected + self._work(wanted)
        self._rate = self._spent / max(self._expected, 1.0)

    def _next(self, todo: Sequence[Wanted], left: float) -> Wanted | None:
        if todo and not self._expected and left > 0:
            return todo[0]
        return next((wanted for wanted in todo if self._cost(wanted) <= left), None)

    def _outlook(self, todo: Sequence[Wanted], left: float) -> tuple[int, float]:
        """How many of the points fit into `left` seconds, and how many seconds they take."""
        count, total = 0, 0.0
        for wanted in todo:
            cost = self._cost(wanted)
            if total + cost <= left:
                count, total = count + 1, total + cost
        return count, total

    # -- a point -------------------------------------------------------------------------------------------------------

    def _point(self, wanted: Wanted) -> Generator[Point | int | None, None, None]:
        """Train until the held-out loss has turned, and take its lowest. Yields None while working, the number of each measured step,
        and last the point; no point where every row is too long.

        On eight rows the loss rises by 2 to 4 % within four steps of its lowest, more than ten rows bring: it is measured by steps, and not
        by epochs, after which a run saves its checkpoints.
        """
        learned, recipe = self._kept(wanted.learn), wanted.recipe
        if not learned or not self._kept(wanted.held):
            return
        seed = wanted.seed * 1009 + wanted.fold
        with contextlib.ExitStack() as stack:
            if recipe:
                stack.enter_context(self._forms.of_rank(Lora(r=recipe.r, alpha=recipe.alpha), seed))
            else:
                self._forms.fresh_adapter(seed)
            lowest = yield from self._trained(wanted, learned, seed)
        losses = {row.row: (row.total, row.tokens) for row in lowest.rows}
        yield Point(wanted.key, wanted.fold, wanted.seed, len(learned), lowest.step, losses, 0.0)

    def _trained(self, wanted: Wanted, learned: Sequence[int], seed: int) -> Generator[int | None, None, Lowest]:
        """Train the adapter in the model until it has turned; its lowest loss."""
        command, model = self._command, self._base.model
        training = command.training
        if recipe := wanted.recipe:
            training = msgspec.structs.replace(training, learning_rate=recipe.learning_rate)
        held = [self._rows[place] for place in self._kept(wanted.held)]
        curriculum = Curriculum(self._base.tokenizer, [command.rows[place] for place in learned], training, command.task, seed)
        probe = Probe(self._base, self._forms, held, [])
        self._forms.train()
        lowest = Lowest()
        every = max(1, MEASURED // training.batch_size)
        peak, epochs = training.learning_rate, self._epochs(len(learned), recipe)
        loop = train(model, self._forms.parameters(), curriculum, training, epochs=epochs, peak=peak, seed=seed)
        with contextlib.closing(loop):
            for event in loop:
                if not isinstance(event, StepDone) or (event.step % every and event.step < event.steps):
                    yield None
                    continue
                yield from probe.gauges()
                yield event.step
                if lowest.turned(event.step, probe.held):
                    break
                model.train()
        return lowest


class Lowest:
    """The lowest held-out loss so far: after which step, and that of each row."""

    def __init__(self) -> None:
        self.step = 0
        self.rows: list[RowMeasure] = []
        self._loss = math.inf
        self._since = 0

    def turned(self, step: int, rows: list[RowMeasure]) -> bool:
        """Take a measurement in; whether the loss has risen for good."""
        loss = mean(rows)
        self._since += 1
        if loss < self._loss:
            self.step, self.rows, self._loss, self._since = step, rows, loss, 0
        return self._since >= PATIENCE and loss > self._loss * TURNED
