"""The learning curve as a law: L(n) = E + A n^-b, and its fit to what was measured.

Learning curves of language models follow it over orders of magnitude (Hestness et al. 1712.00409). Over a few dozen rows it is a local
description: see `forecast` for how far it is to be believed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

STEPS = 16
POWERS = tuple(0.05 * 20 ** (step / (STEPS - 1)) for step in range(STEPS))
"""The exponents that are tried: 0.05 to 1, each 1.22 times the one before."""


@dataclass(frozen=True)
class Cell:
    """The mean loss (nats a token) of a fold's rows after training on `size` others; `weight` is the number of their tokens."""

    fold: int
    size: int
    weight: float
    loss: float
    full: bool = False
    """It was trained on all rows that are not in the fold."""


@dataclass(frozen=True)
class Law:
    """E + A n^-b: floor, scale and power."""

    floor: float
    scale: float
    power: float
    error: float = 0.0
    """Weighted squares that are left."""
    offsets: dict[int, float] = field(default_factory=dict)
    """By how much each fold's rows are harder than the mean."""

    def at(self, rows: float) -> float:
        """The loss to expect after training on `rows`, nats a token."""
        return self.floor + self.scale * math.pow(rows, -self.power)

    def gain(self, rows: int, more: int) -> float:
        """The share of its loss that a model of `rows` rows loses with `more`; negative where it rises."""
        return 1 - self.at(rows + more) / self.at(rows) if self.at(rows) > 0 else 0.0


def fit(cells: Sequence[Cell]) -> Law | None:
    """Least squares: the exponent by trying, the rest in closed form. None where no fold has two sizes.

    The rows of a fold have their own difficulty, which would drown the curve: every fold gets an offset, the offsets' weighted mean
    being 0, so that only differences within a fold speak for the slope. The floor is never below 0.
    """
    weights: dict[int, float] = {}
    sums: dict[int, float] = {}
    for cell in cells:
        weights[cell.fold] = weights.get(cell.fold, 0.0) + cell.weight
        sums[cell.fold] = sums.get(cell.fold, 0.0) + cell.weight * cell.loss
    if len({(cell.fold, cell.size) for cell in cells}) == len(weights):
        return None
    means = {fold: sums[fold] / weights[fold] for fold in weights}
    laws = [_at_power(cells, weights, means, power) for power in POWERS]
    return min(laws, key=lambda law: law.error)


def _at_power(cells: Sequence[Cell], weights: dict[int, float], means: dict[int, float], power: float) -> Law:
    """The best floor, scale and offsets for one exponent: a line in x = n^-power with an intercept for each fold."""
    mass = sum(weights.values())
    mean = sum(weights[fold] * means[fold] for fold in weights) / mass
    xs = [cell.size**-power for cell in cells]
    centres = dict.fromkeys(weights, 0.0)
    for cell, x in zip(cells, xs, strict=True):
        centres[cell.fold] += cell.weight * x / weights[cell.fold]
    centre = sum(weights[fold] * centres[fold] for fold in weights) / mass
    sxx = sxy = syy = 0.0
    for cell, x in zip(cells, xs, strict=True):
        dx, dy = x - centres[cell.fold], cell.loss - means[cell.fold]
        sxx += cell.weight * dx * dx
        sxy += cell.weight * dx * dy
        syy += cell.weight * dy * dy
    scale = sxy / sxx
    floor = mean - scale * centre
    error = syy - scale * sxy
    if floor < 0:
        # With the floor at 0 the offsets may not take up what the mean is off: that is one more square to make small.
        floor = 0.0
        scale = (sxy + mass * centre * mean) / (sxx + mass * centre * centre)
        error = syy - 2 * scale * sxy + scale * scale * sxx + mass * (mean - scale * centre) ** 2
    offsets = {fold: means[fold] - mean - scale * (centres[fold] - centre) for fold in weights}
    return Law(floor, scale, power, max(0.0, error), offsets)
