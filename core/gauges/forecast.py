"""What ten more rows should bring: the law of the measured points, with an interval from resampling folds and rows."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from statistics import fmean
from typing import Literal

from core.gauges.powerlaw import Cell, Law, fit
from core.gauges.statistics import LEVEL, Interval

RESAMPLES = 500
FEWEST_SIZES = 3
"""With two sizes any exponent fits."""
FEWEST_FOLDS = 2
MORE = 10
"""The rows that one might write next."""
ENOUGH = 0.01
"""A gain surely below this is not worth ten rows. As sure a loss would be noise: more rows do no harm."""

LEAST = 0.0005
"""A gain below this is shown as 0.0 %."""

Word = Literal["gains", "enough", "cannot tell yet"]


@dataclass(frozen=True)
class Spot:
    """A measured point: summed loss (nats) and tokens of each row of a fold, after training on `size` others."""

    fold: int
    size: int
    losses: Mapping[str, tuple[float, int]]
    full: bool = False
    """It was trained on all rows that are not in the fold."""


@dataclass(frozen=True)
class Level:
    """All points of one size: their mean loss, as if every fold had been measured, where it lies, and how many they are."""

    size: float
    full: bool
    loss: float
    interval: Interval | None
    points: int


@dataclass(frozen=True)
class Forecast:
    """The curve, and what `MORE` rows on top of `rows` should bring: `gain` is a share of the loss, lost."""

    rows: int
    levels: tuple[Level, ...]
    law: Law | None = None
    gain: float | None = None
    interval: Interval | None = None
    why_not: str = ""
    """What is missing for an interval."""
    takes: int = 0
    """About so many rows are needed for one: to measure more of these would not bring it. 0 where there are enough."""

    @property
    def word(self) -> Word:
        if self.interval is None:
            return "cannot tell yet"
        low, high = self.interval
        if low > -ENOUGH and high < ENOUGH:
            return "enough"
        return "gains" if low > LEAST else "cannot tell yet"

    @property
    def sentence(self) -> str:
        if self.interval is None:
            return f"Cannot tell yet what more rows would bring: {self.why_not}."
        low, high = (100 * end for end in self.interval)
        if self.word == "enough":
            return f"Enough for this base: {MORE} more rows would lower the loss by less than {_percent(max(high, 0.1))} %."
        if self.word == "gains":
            return f"{MORE} more rows should lower the loss by {_percent(low)} to {_percent(high)} %."
        between = f"between {_percent(max(0.0, -low))} % higher and {_percent(high)} % lower" if high > 0 else "perhaps even higher"
        return f"Cannot tell yet what {MORE} more rows would bring: a loss {between}."


def _percent(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}"


class _Fold:
    """The points of a fold by size, seeds added up."""

    def __init__(self, spots: Sequence[Spot]) -> None:
        self.rows = sorted({row for spot in spots for row in spot.losses})
        self._sizes: dict[tuple[int, bool], list[Spot]] = {}
        for spot in spots:
            self._sizes.setdefault((spot.size, spot.full), []).append(spot)
        self._sums = {size: self._sum(own) for size, own in self._sizes.items()}

    @property
    def sizes(self) -> int:
        return len(self._sizes)

    def _sum(self, spots: Sequence[Spot]) -> tuple[list[float], list[int]]:
        """Loss and tokens of each row, over all seeds."""
        losses = [[spot.losses.get(row, (0.0, 0)) for spot in spots] for row in self.rows]
        return [sum(loss for loss, _ in row) for row in losses], [sum(tokens for _, tokens in row) for row in losses]

    def cells(self, name: int, times: Sequence[int]) -> Iterator[Cell]:
        """A cell for each size, with every row as often as `times` says."""
        for (size, full), (losses, tokens) in self._sums.items():
            if weight := sum(map(mul, times, tokens)):
                yield Cell(name, size, weight / len(self._sizes[size, full]), sum(map(mul, times, losses)) / weight, full)

    def drawn(self, draw: random.Random) -> list[int]:
        """How often each row is in a sample of as many rows."""
        times = [0] * len(self.rows)
        for place in draw.choices(range(len(times)), k=len(times)):
            times[place] += 1
        return times


def _means(cells: Sequence[Cell], law: Law | None) -> dict[int, float]:
    """The mean loss of each size (0: the full ones), with what is known of the folds' difficulty taken off."""
    sums: dict[int, tuple[float, float]] = {}
    for cell in cells:
        loss, weight = sums.get(_group(cell), (0.0, 0.0))
        offset = law.offsets[cell.fold] if law else 0.0
        sums[_group(cell)] = (loss + cell.weight * (cell.loss - offset), weight + cell.weight)
    return {group: loss / weight for group, (loss, weight) in sums.items()}


def _group(cell: Cell | Spot) -> int:
    return 0 if cell.full else cell.size


def forecast(spots: Sequence[Spot], rows: int, resamples: int = RESAMPLES, takes: int = 0) -> Forecast:
    """What the points tell of a set of `rows` rows. The same points give the same numbers. `takes`: where a complete curve of these rows has too few
    sizes, of about how many it has enough; else 0."""
    folds = [_Fold([spot for spot in spots if spot.fold == number]) for number in sorted({spot.fold for spot in spots})]
    cells = [cell for name, fold in enumerate(folds) for cell in fold.cells(name, [1] * len(fold.rows))]
    law = fit(cells)
    now = _means(cells, law)
    draw = random.Random(0)
    gains: list[float] = []
    means: dict[int, list[float]] = {group: [] for group in now}
    for _ in range(resamples if len(folds) >= FEWEST_FOLDS else 0):
        # A row stands in all points of its fold or in none of them: they were measured on the same texts.
        again = [cell for name, fold in enumerate(draw.choices(folds, k=len(folds))) for cell in fold.cells(name, fold.drawn(draw))]
        other = fit(again)
        if other:
            gains.append(other.gain(rows, MORE))
        for group, loss in _means(again, other).items():
            means[group].append(loss)
    levels = [
        _level([s for s in spots if _group(s) == group], loss, _within(means[group], loss, len(folds))) for group, loss in now.items()
    ]
    levels.sort(key=lambda level: (level.full, level.size))
    gain = law.gain(rows, MORE) if law else None
    sloped = sum(fold.sizes > 1 for fold in folds)
    why_not = (
        f"it takes about {takes} rows of yours, and there {'is' if rows == 1 else 'are'} {rows}" if takes else _why_not(len(levels), sloped)
    )
    interval = None if gain is None or why_not else _within(gains, gain, sloped)
    return Forecast(rows, tuple(levels), law, gain, interval, why_not, takes)


def _level(spots: Sequence[Spot], loss: float, interval: Interval | None) -> Level:
    return Level(fmean(spot.size for spot in spots), spots[0].full, loss, interval, len(spots))


def _why_not(sizes: int, folds: int) -> str:
    if sizes < FEWEST_SIZES:
        return f"it takes {FEWEST_SIZES} sizes, and {sizes or 'none'} {'is' if sizes < 2 else 'are'} measured"
    few = f"it takes {FEWEST_FOLDS} folds measured at several sizes, and there is {'one' if folds else 'none'}"
    return few if folds < FEWEST_FOLDS else ""


def _within(values: Sequence[float], middle: float, folds: int) -> Interval | None:
    """Where the true value lies, nine times out of ten, from resampled ones; None where there are none.

    Resampling k folds makes the spread too small by sqrt((k - 1) / k), and takes it for known; wider by sqrt((k + 1) / (k - 1)) the
    interval covers the truth in about 90 % of simulated curves (tests/test_forecast.py).
    """
    if not values or folds < FEWEST_FOLDS:
        return None
    ordered = sorted(values)
    cut = int((1 - LEVEL) / 2 * len(ordered))
    wider = math.sqrt((folds + 1) / (folds - 1))
    return middle - wider * (middle - ordered[cut]), middle + wider * (ordered[-1 - cut] - middle)
