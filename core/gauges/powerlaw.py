"""The learning curve as a law: L(n) = E + A n^-b, and its fit to what was measured.

Learning curves of language models follow it over orders of magnitude (Hestness et al. 1712.00409). Over a few dozen rows it is a local
description: see `forecast` for how far it is to be believed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import mul

STEPS = 11
POWERS = tuple(0.05 * 20 ** (step / (STEPS - 1)) for step in range(STEPS))
"""The exponents that are tried: 0.05 to 1, each 1.35 times the one before; finer ones move the forecast by less than its rounding."""


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


@dataclass(frozen=True)
class _Group:
    """The cells of a fold, in parallel lists, with their weight in all and their mean loss."""

    sizes: list[int]
    weights: list[float]
    losses: list[float]
    weight: float
    mean: float
    squares: float
    """Weighted, of the losses around their mean."""


def _groups(cells: Sequence[Cell]) -> dict[int, _Group]:
    found = {}
    for fold in {cell.fold: None for cell in cells}:
        own = [cell for cell in cells if cell.fold == fold]
        weights, losses = [cell.weight for cell in own], [cell.loss for cell in own]
        weight = sum(weights)
        mean = sum(map(mul, weights, losses)) / weight
        squares = sum(w * (loss - mean) ** 2 for w, loss in zip(weights, losses, strict=True))
        found[fold] = _Group([cell.size for cell in own], weights, losses, weight, mean, squares)
    return found


def fit(cells: Sequence[Cell]) -> Law | None:
    """Least squares: the exponent by trying, the rest in closed form. None where no fold has two sizes.

    The rows of a fold have their own difficulty, which would drown the curve: every fold gets an offset, the offsets' weighted mean
    being 0, so that only differences within a fold speak for the slope. The floor is never below 0.
    """
    groups = _groups(cells)
    if all(len(set(group.sizes)) < 2 for group in groups.values()):
        return None
    best = min((_at_power(groups, power) for power in POWERS), key=lambda law: law.error)
    # The floor is meant for the mean text: a fold that was measured at more sizes than the others counts for no more than its tokens.
    tokens = {fold: group.weight / len(group.sizes) for fold, group in groups.items()}
    centre = sum(tokens[fold] * offset for fold, offset in best.offsets.items()) / sum(tokens.values())
    offsets = {fold: offset - centre for fold, offset in best.offsets.items()}
    return Law(max(0.0, best.floor + centre), best.scale, best.power, best.error, offsets)


def _at_power(groups: Mapping[int, _Group], power: float) -> Law:
    """The best floor, scale and offsets for one exponent: a line in x = n^-power with an intercept for each fold."""
    mass = mean = centre = sxx = sxy = syy = 0.0
    centres = {}
    for fold, group in groups.items():
        xs = [_x(size, power) for size in group.sizes]
        middle = centres[fold] = sum(map(mul, group.weights, xs)) / group.weight
        for x, weight, loss in zip(xs, group.weights, group.losses, strict=True):
            away = weight * (x - middle)
            sxx += away * (x - middle)
            sxy += away * (loss - group.mean)
        syy += group.squares
        mass += group.weight
        mean += group.weight * group.mean
        centre += group.weight * middle
    mean, centre = mean / mass, centre / mass
    scale = sxy / sxx
    floor = mean - scale * centre
    error = syy - scale * sxy
    if floor < 0:
        # With the floor at 0 the offsets may not take up what the mean is off: that is one more square to make small.
        floor = 0.0
        scale = (sxy + mass * centre * mean) / (sxx + mass * centre * centre)
        error = syy - 2 * scale * sxy + scale * scale * sxx + mass * (mean - scale * centre) ** 2
    offsets = {fold: group.mean - mean - scale * (centres[fold] - centre) for fold, group in groups.items()}
    return Law(floor, scale, power, max(0.0, error), offsets)


@lru_cache(4096)
def _x(size: int, power: float) -> float:
    return math.pow(size, -power)
