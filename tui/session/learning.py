"""The learning curve of a workspace: which points are wanted, which are kept, and what they tell. Knows no Textual."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from core.errors import FlavorError
from core.gauges.forecast import FEWEST_SIZES, Forecast, Spot, forecast
from core.gauges.outliers import Outlier, outliers
from core.protocol import AnyEvent, Curving, Point, Row, Wanted
from dataset.folds import LEAST
from dataset.rows import Example
from dataset.subsets import Subset, rows_for, subsets, widths
from runs.points import Points

if TYPE_CHECKING:
    from tui.session.workspace import Workspace

SEEDS = 3
"""Nested orders of the rows, each with adapters of its own."""
METHOD = 1
"""To be raised when points are measured in another way: those that are kept do not compare then."""
USED = (
    "epochs", "learning_rate", "batch_size", "warmup_steps", "end_weight", "max_tokens", "drop_attribute", "drop_attributes", "human_share",
)  # fmt: skip
"""The settings of training that decide over a point."""
BUDGET = 600.0
"""Seconds to measure, unless the person says otherwise."""


@dataclass(frozen=True)
class Outlook:
    """What is known: the forecast, the mean held-out loss of each row with all others learned, and which of them stand out."""

    forecast: Forecast
    losses: dict[str, float]
    outliers: list[Outlier]
    measured: int
    """Points of the present rows and settings."""
    missing: int


class Learning:
    """Plans, measures and reads the points. Only rows that people wrote count: how many of those are enough is the question."""

    def __init__(self, workspace: Workspace, train_speed: Callable[[], float]) -> None:
        """`train_speed`: tokens a second that training is expected to have."""
        self._workspace = workspace
        self._train_speed = train_speed
        self._points = Points(workspace.folder)
        self._outlook: tuple[object, Outlook] | None = None
        self._planned: tuple[object, list[tuple[Subset, str]]] | None = None

    def rows(self) -> list[Example]:
        """The rows that people wrote or mended, each text once: its twin in another fold would give it away."""
        found: dict[str, Example] = {}
        for example in self._workspace.store.examples.values():
            if example.human:
                found.setdefault(example.text, example)
        return list(found.values())

    def row(self, example: Example) -> Row:
        """An example as a point learns it."""
        segments = self._workspace.task.segments(example.fields)
        return Row(example.uid, segments, example.text, origin=example.origin, fields=example.fields)

    def _settings(self) -> str:
        """A hash of what decides over a point besides its rows."""
        settings = self._workspace.settings
        training = {name: getattr(settings.training, name) for name in USED}
        made_of = [METHOD, settings.model, settings.lora, training, settings.task]
        return hashlib.sha256(msgspec.json.encode(made_of)).hexdigest()[:16]

    def _plan(self, seeds: int) -> list[tuple[Subset, str]]:
        """The wanted points in order, each with its key."""
        depends = (self._workspace.store.journal.seq, seeds)
        if self._planned is None or self._planned[0] != depends:
            rows = {example.uid: example for example in self.rows()}
            digests = {uid: hashlib.sha256(msgspec.json.encode(self.row(example))).digest() for uid, example in rows.items()}
            plan = [(subset, point_key(subset, digests)) for subset in subsets(list(rows), seeds)]
            self._planned = (depends, plan)
        return self._planned[1]

    def _kept(self) -> dict[str, Point]:
        """The points that were measured with the present settings, on the present base as far as it is known, by key."""
        settings, loaded = self._settings(), self._workspace.loaded
        return {
            kept.point.key: kept.point
            for kept in self._points.all()
            if kept.settings == settings and (loaded is None or kept.fingerprint == loaded.fingerprint)
        }

    def _gathered(self, seeds: int) -> tuple[list[Spot], dict[str, float], int]:
        """The points of the present rows, the mean loss of each row with all others learned, and how many points are missing."""
        kept = self._kept()
        plan = self._plan(max([seeds, *(point.seed + 1 for point in kept.values())]))
        there = [(subset, kept[key]) for subset, key in plan if key in kept]
        spots = [Spot(point.fold, point.size, point.losses, subset.full) for subset, point in there]
        losses = _row_losses([point for subset, point in there if subset.full])
        return spots, losses, sum(key not in kept for subset, key in plan if subset.seed < seeds)

    def _depends(self, seeds: int) -> object:
        loaded = self._workspace.loaded
        return self._workspace.store.journal.seq, self._points.version, self._settings(), loaded.fingerprint if loaded else "", seeds

    def stale(self, seeds: int = SEEDS) -> bool:
        """Whether a point, a row or a setting changed since the outlook was made."""
        return self._outlook is None or self._outlook[0] != self._depends(seeds)

    def missing(self, seeds: int = SEEDS) -> int:
        """Wanted points that are not measured."""
        return self._gathered(seeds)[2]

    def outlook(self, seeds: int = SEEDS) -> Outlook:
        """What is known; where it is stale it takes up to half a second."""
        if self.stale(seeds):
            spots, losses, missing = self._gathered(seeds)
            told = forecast(spots, len(self.rows()), takes=self.takes())
            self._keep(self._depends(seeds), told, losses, len(spots), missing)
        assert self._outlook
        return self._outlook[1]

    async def look(self, seeds: int = SEEDS) -> Outlook:
        """The same without holding up the keys."""
        while self.stale(seeds):
            depends, (spots, losses, missing) = self._depends(seeds), self._gathered(seeds)
            told = await asyncio.to_thread(forecast, spots, len(self.rows()), takes=self.takes())
            self._keep(depends, told, losses, len(spots), missing)
        return self.outlook(seeds)

    def _keep(self, depends: object, told: Forecast, losses: dict[str, float], measured: int, missing: int) -> None:
        self._outlook = (depends, Outlook(told, losses, outliers(losses), measured, missing))

    async def sentence(self) -> str:
        """What the curve says."""
        return (await self.look()).forecast.sentence

    def takes(self) -> int:
        """About how many rows it takes for a curve that says something, where these are too few for that whatever is measured; else 0."""
        uids = [example.uid for example in self.rows()]
        return max(rows_for(FEWEST_SIZES), len(uids) + 1) if widths(uids) < FEWEST_SIZES else 0

    def check(self) -> None:
        """Raises FlavorError where there are too few rows for a curve."""
        if (count := len(self.rows())) < LEAST:
            rows = "row" if count == 1 else "rows"
            raise FlavorError(f"A learning curve needs {LEAST} rows of yours; there are {count} {rows}.", "Write some more first.", "empty")

    async def measure(self, seeds: int = SEEDS, budget: float = BUDGET) -> AsyncIterator[AnyEvent]:
        """Measure what is missing, as much as fits into `budget` seconds. Each point is on the disk when its event is yielded."""
        self.check()
        kept, examples = self._kept(), self.rows()
        wanted = [(subset, key) for subset, key in self._plan(seeds) if key not in kept]
        events = self.measure_points(examples, wanted_points(examples, wanted), self._points, self._settings(), budget)
        async with contextlib.aclosing(events):
            async for event in events:
                yield event

    async def measure_points(
        self, examples: list[Example], wanted: list[Wanted], keep: Points, settings: str, budget: float
    ) -> AsyncGenerator[AnyEvent]:
        """Have points measured and keep each. Raises FlavorError where the model is not loaded."""
        workspace = self._workspace
        workspace.must_write()
        worker, loaded = workspace.worker, workspace.loaded
        if worker is None or loaded is None:
            raise FlavorError("The model is not loaded yet.", "Wait a moment, or restart the worker with R.", "order")
        rows = [self.row(example) for example in examples]
        events = worker.curve(rows, wanted, workspace.settings.training, workspace.task, budget, self._train_speed())
        async with contextlib.aclosing(events):
            async for event in events:
                if isinstance(event, Curving) and event.point:
                    keep.add(event.point, settings, loaded.fingerprint)
                yield event


def wanted_points(examples: list[Example], subsets_: list[tuple[Subset, str]]) -> list[Wanted]:
    """Subsets and their keys as the worker is asked for them."""
    places = {example.uid: place for place, example in enumerate(examples)}
    return [
        Wanted(key, subset.fold, subset.seed, [places[uid] for uid in subset.learn], [places[uid] for uid in subset.held])
        for subset, key in subsets_
    ]


def point_key(subset: Subset, digests: dict[str, bytes]) -> str:
    """A hash of the rows that a point learns and is measured on, in their order, with its fold and seed."""
    made = hashlib.sha256(f"{subset.fold} {subset.seed} {len(subset.learn)}".encode())
    for uid in subset.learn + subset.held:
        made.update(digests[uid])
    return made.hexdigest()[:32]


def _row_losses(points: list[Point]) -> dict[str, float]:
    """Mean loss per token of each row, over the points that learned all rows outside its fold."""
    sums: dict[str, tuple[float, int]] = {}
    for point in points:
        for row, (loss, tokens) in point.losses.items():
            before = sums.get(row, (0.0, 0))
            sums[row] = (before[0] + loss, before[1] + tokens)
    return {row: loss / tokens for row, (loss, tokens) in sums.items() if tokens}
