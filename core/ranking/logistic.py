"""Logistic regression for a few hundred decisions in milliseconds: Newton steps in plain Python, from a guess that it is drawn back to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

STEPS = 12
"""Newton steps at most; five are usual."""
CLOSE = 1e-4
"""A step this small is the last."""
LEAST_CURVATURE = 1e-6


@dataclass(frozen=True)
class Logistic:
    """`score`: the log-odds of the label 1."""

    weights: tuple[float, ...]
    intercept: float

    def score(self, values: Sequence[float]) -> float:
        return self.intercept + dot(self.weights, values)


def dot(one: Sequence[float], other: Sequence[float]) -> float:
    total: float = sum(map(mul, one, other))
    return total


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else 1 - 1 / (1 + math.exp(value))


def fit(
    rows: Sequence[Sequence[float]],
    labels: Sequence[bool],
    importance: Sequence[float],
    guess: Sequence[float],
    pull: Sequence[float],
) -> Logistic:
    """The most likely weights: the label's log-likelihood, each row as important as said, less half of `pull` times the squared
    distance of each weight from its `guess`. The intercept is free.

    Every `pull` must be above 0. The same input gives the same weights, whatever was fitted before.
    """
    columns = [*zip(*rows, strict=True), (1.0,) * len(rows)]
    weights = [*guess, 0.0]
    center = [*guess, 0.0]
    pulls = [*pull, 1e-3]  # enough to hold the intercept where all labels are the same
    best = _loss(columns, labels, importance, weights, center, pulls)
    for _ in range(STEPS):
        step = _newton(columns, labels, importance, weights, center, pulls)
        scale = 1.0
        while scale > CLOSE:
            tried = [weight - scale * change for weight, change in zip(weights, step, strict=True)]
            loss = _loss(columns, labels, importance, tried, center, pulls)
            if loss <= best:
                break
            scale /= 2
        else:
            break
        weights, best = tried, loss
        if scale * max(map(abs, step)) < CLOSE:
            break
    return Logistic(tuple(weights[:-1]), weights[-1])


def _scores(columns: Sequence[Sequence[float]], weights: Sequence[float]) -> list[float]:
    scores = [0.0] * len(columns[0])
    for weight, column in zip(weights, columns, strict=True):
        scores = [score + weight * value for score, value in zip(scores, column, strict=True)]
    return scores


def _loss(
    columns: Sequence[Sequence[float]],
    labels: Sequence[bool],
    importance: Sequence[float],
    weights: Sequence[float],
    center: Sequence[float],
    pulls: Sequence[float],
) -> float:
    scores = _scores(columns, weights)
    signed = ((-score if label else score) for score, label in zip(scores, labels, strict=True))
    likely = sum(share * (math.log1p(math.exp(score)) if score < 30 else score) for share, score in zip(importance, signed, strict=True))
    return likely + sum(pull * (weight - middle) ** 2 for pull, weight, middle in zip(pulls, weights, center, strict=True)) / 2


def _newton(
    columns: Sequence[Sequence[float]],
    labels: Sequence[bool],
    importance: Sequence[float],
    weights: Sequence[float],
    center: Sequence[float],
    pulls: Sequence[float],
) -> list[float]:
    """The step that would reach the minimum of the loss's parabola at `weights`."""
    chances = [sigmoid(score) for score in _scores(columns, weights)]
    errors = [share * (chance - label) for share, chance, label in zip(importance, chances, labels, strict=True)]
    curvatures = [max(LEAST_CURVATURE, share * chance * (1 - chance)) for share, chance in zip(importance, chances, strict=True)]
    slope = [
        dot(column, errors) + pull * (weight - middle) for column, pull, weight, middle in zip(columns, pulls, weights, center, strict=True)
    ]
    matrix = []
    for place, column in enumerate(columns):
        bent = list(map(mul, column, curvatures))
        matrix.append([dot(bent, other) for other in columns[: place + 1]])
        matrix[place][place] += pulls[place]
    return solve(matrix, slope)


def solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """x of `matrix` x = `right`, by Cholesky; `matrix` is symmetric and positive definite, its lower half given."""
    lower: list[list[float]] = []
    for place, row in enumerate(matrix):
        made: list[float] = []
        for column in range(place):
            made.append((row[column] - dot(made, lower[column])) / lower[column][column])
        made.append(math.sqrt(row[place] - dot(made, made)))
        lower.append(made)
    half: list[float] = []
    for row, value in zip(lower, right, strict=True):
        half.append((value - dot(row[:-1], half)) / row[-1])
    found = [0.0] * len(half)
    for place in reversed(range(len(half))):
        below = sum(lower[later][place] * found[later] for later in range(place + 1, len(half)))
        found[place] = (half[place] - below) / lower[place][place]
    return found
