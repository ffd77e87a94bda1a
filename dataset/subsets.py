"""Which rows the points of the learning curve train on and are measured on: folds, nested subsets, and the most telling points first."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from dataset.folds import FOLDS, fold

SIZES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192)
NEAR = 0.85
"""A size that is more than this share of all the rows there are tells nothing that they don't."""


@dataclass(frozen=True)
class Subset:
    """A point to be: rows to learn, in a fixed order, and the rows of a fold, to measure. By id."""

    fold: int
    seed: int
    learn: tuple[str, ...]
    held: tuple[str, ...]
    full: bool
    """It learns all rows that are not in the fold."""


def nested(uids: Sequence[str], seed: int) -> list[str]:
    """The rows in an order of their own for each seed: the first n are the subset of n. A new row moves none of the others."""
    return sorted(uids, key=lambda uid: hashlib.sha256(f"{seed} {uid}".encode()).digest())


def sizes(pool: int) -> list[int]:
    """The sizes of the subsets of `pool` rows, the whole pool last."""
    return [size for size in SIZES if size <= NEAR * pool] + [pool]


def widths(uids: Sequence[str]) -> int:
    """How many sizes a complete curve of these rows has; what is trained on all but a fold is one of them, whatever the fold."""
    found = {0 if subset.full else len(subset.learn) for subset in subsets(uids, 1)}
    return len(found)


def rows_for(count: int) -> int:
    """From how many rows on a complete curve has `count` sizes, whichever of the folds they are in: the smallest one has a fifth of them, or fewer."""
    return next(rows for rows in itertools.count(1) if len(sizes(rows - rows // FOLDS)) >= count)


def subsets(uids: Sequence[str], seeds: int) -> list[Subset]:
    """Every point of these rows, in the order in which they should be measured.

    Seed after seed. Of a seed first, fold by fold, the smallest, the middle and the full size: wherever one stops, each fold but the
    last has the whole width of the curve, cheap ends first. Then the sizes between.
    """
    folds = {number: [uid for uid in uids if fold(uid) == number] for number in range(FOLDS)}
    telling: list[Subset] = []
    between: list[Subset] = []
    found: list[Subset] = []
    for seed in range(seeds):
        telling.clear()
        between.clear()
        for place in range(FOLDS):
            number = (place + seed) % FOLDS
            pool = nested([uid for uid in uids if fold(uid) != number], seed)
            if not folds[number] or not pool:
                continue
            held = tuple(sorted(folds[number]))
            steps = sizes(len(pool))
            middle = min(steps, key=lambda size: abs(math.log(size * size / (steps[0] * steps[-1]))))
            for size in steps:
                point = Subset(number, seed, tuple(pool[:size]), held, size == len(pool))
                (telling if size in (steps[0], middle, steps[-1]) else between).append(point)
        found += telling + between
    return found
