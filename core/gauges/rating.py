"""A rating from comparisons of two: the Bradley-Terry model with a prior, an interval for each, what to ask next, and when to stop.

Strengths are the mode of the posterior under a normal prior, by Newton's method, and their covariance is the inverse of the Hessian there
(Laplace); with a few dozen comparisons of a handful of players that is exact enough, and needs no library.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

from core.gauges.statistics import LEVEL, Interval

PRIOR = 1.5
"""Standard deviation of a strength before anything is known, in logits: one in three pairs then differs by more than nine to one."""
SURE, SURE_OF_SEVERAL = 0.99, 0.975
"""How sure the first of two, and of more than two, must be ahead of each of the others for asking to end. It is looked at after every vote, so
that chance has many tries: with 0.95 a third of the sittings of up to 60 votes over two equals ended with a first. With these it is 7 in a
hundred (600 simulated ones), 9 with three equals and 8 with four."""
ALIKE = 0.15
"""A chance that lies within this of one half, interval and all, makes two alike."""
LEAST, MOST = 8, 60
"""Comparisons before which asking never ends, and after which it always does."""
Game = tuple[str, str, float]
"""Two players, and what the first got of it: 1, a half for a tie, or 0."""


@dataclass(frozen=True)
class Ratings:
    """Strengths in logits (their mean is 0), and how far they are known."""

    names: tuple[str, ...]
    strengths: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    games: Counter[str]

    def difference(self, one: str, other: str) -> tuple[float, float]:
        """How much stronger the one is, and the standard deviation of that."""
        a, b = self.names.index(one), self.names.index(other)
        cov = self.covariance
        return self.strengths[a] - self.strengths[b], math.sqrt(max(0.0, cov[a][a] + cov[b][b] - 2 * cov[a][b]))

    def ahead(self, one: str, other: str) -> float:
        """How sure it is that the one is stronger, 0 to 1."""
        mean, deviation = self.difference(one, other)
        return NormalDist().cdf(mean / deviation) if deviation else 0.5

    def share(self, name: str) -> tuple[float, Interval]:
        """How often it would be preferred to one in the middle of all others that were ever compared, 0 to 1, and where that lies nine times
        out of ten."""
        others = {other for other in self.names if self.games[other]} - {name} or set(self.names) - {name}
        weights = [1.0 if each == name else -1.0 / len(others) if each in others else 0.0 for each in self.names]
        mean = sum(weight * strength for weight, strength in zip(weights, self.strengths, strict=True))
        variance = sum(a * b * self.covariance[i][j] for i, a in enumerate(weights) for j, b in enumerate(weights))
        reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * math.sqrt(max(0.0, variance))
        return chance(mean), (chance(mean - reach), chance(mean + reach))

    def order(self) -> list[str]:
        """The strongest first."""
        return [name for _, name in sorted(zip(self.strengths, self.names, strict=True), key=lambda pair: (-pair[0], pair[1]))]


def chance(difference: float) -> float:
    """How often the stronger of two is preferred, by the difference of their strengths."""
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, difference))))


def rate(names: Iterable[str], games: Sequence[Game]) -> Ratings:
    """The ratings of all `names` and of whoever played."""
    players = tuple(dict.fromkeys([*names, *(name for one, other, _ in games for name in (one, other))]))
    place = {name: at for at, name in enumerate(players)}
    played = [(place[one], place[other], score) for one, other, score in games if one != other]
    strengths = [0.0] * len(players)
    inverse: list[list[float]] = []
    for _ in range(30):
        gradient = [-strength / PRIOR**2 for strength in strengths]
        hessian = [[1 / PRIOR**2 if i == j else 0.0 for j in range(len(players))] for i in range(len(players))]
        for one, other, score in played:
            expected = chance(strengths[one] - strengths[other])
            gradient[one] += score - expected
            gradient[other] -= score - expected
            for i, j, sign in ((one, one, 1), (other, other, 1), (one, other, -1), (other, one, -1)):
                hessian[i][j] += sign * expected * (1 - expected)
        inverse = _inverse(hessian)
        steps = [sum(a * b for a, b in zip(row, gradient, strict=True)) for row in inverse]
        strengths = [strength + step for strength, step in zip(strengths, steps, strict=True)]
        if max(map(abs, steps), default=0.0) < 1e-9:
            break
    counted = Counter(name for one, other, _ in games for name in (one, other))
    return Ratings(players, tuple(strengths), tuple(map(tuple, inverse)), counted)


def _inverse(matrix: list[list[float]]) -> list[list[float]]:
    """Of a positive definite matrix, by Gauss and Jordan; no pivot is needed."""
    size = len(matrix)
    rows = [[*row, *(float(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for at in range(size):
        rows[at] = [value / rows[at][at] for value in rows[at]]
        for other in range(size):
            if other != at and rows[other][at]:
                factor = rows[other][at]
                rows[other] = [value - factor * pivot for value, pivot in zip(rows[other], rows[at], strict=True)]
    return [row[size:] for row in rows]


def teaches(ratings: Ratings, one: str, other: str) -> float:
    """How much a comparison of these two would tell: the variance of their difference, weighted by how open the outcome is."""
    mean, deviation = ratings.difference(one, other)
    expected = chance(mean)
    return deviation**2 * expected * (1 - expected)


def enough(ratings: Ratings, among: Sequence[str], votes: int) -> str:
    """Why one may stop asking, in words; empty where one should go on. `among` are the players that are compared."""
    order = [name for name in ratings.order() if name in among]
    if votes < LEAST or len(order) < 2:
        return ""
    first, others = order[0], order[1:]
    if min(ratings.ahead(first, other) for other in others) >= (SURE if len(order) == 2 else SURE_OF_SEVERAL):
        return f"{first} is preferred; of equals this is said in fewer than one sitting of ten"
    if all(_alike(ratings, one, other) for one, other in combinations(order, 2)):
        return "nothing tells them apart any more"
    return f"{MOST} votes, and still no clear first" if votes >= MOST else ""


def _alike(ratings: Ratings, one: str, other: str) -> bool:
    mean, deviation = ratings.difference(one, other)
    reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * deviation
    return abs(chance(mean - reach) - 0.5) < ALIKE and abs(chance(mean + reach) - 0.5) < ALIKE
