"""How likely a candidate is to be kept, from what was kept and rejected so far; by gauges alone while there is too little of that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from core.ranking.logistic import Logistic, fit
from core.ranking.signs import NAMES

LEAST = 8
"""Kept and rejected candidates, of each, that are needed to learn from (SetFit's few-shot size, Tunstall et al. 2209.11055)."""
MOST = 256
"""Decisions that are learned from, the latest."""
HALF_LIFE = 64
"""Decisions after which one counts half: taste moves, and so do checkpoints."""
GUESS = {
    "ended": 1.5, "flags": -1.0, "length off": -0.5, "form": 2.0, "punctuation": -1.0, "fields": 1.0, "copied": -0.1, "weakest": 0.3,
}  # fmt: skip
"""What the gauges say before anything was decided: log-odds for one more of each sign."""
PULL = 2.0
"""How strongly a weight is held at its guess: the inverse of its variance."""

Decided = tuple[Sequence[float], bool]
"""The signs of a candidate, and whether it was kept."""


class Predictor:
    """Learned from decisions, the latest last."""

    def __init__(self, decided: Sequence[Decided]) -> None:
        decided = decided[-MOST:]
        self.kept = sum(label for _, label in decided)
        self.rejected = len(decided) - self.kept
        self.learned = min(self.kept, self.rejected) >= LEAST
        self._scale = [(0.0, 1.0)] * len(NAMES)
        self._model = Logistic(tuple(GUESS.get(name, 0.0) for name in NAMES), 0.0)
        if self.learned:
            self._scale = _scales([signs for signs, _ in decided])
            guess = [GUESS.get(name, 0.0) * deviation for name, (_, deviation) in zip(NAMES, self._scale, strict=True)]
            rows = [self._standard(signs) for signs, _ in decided]
            ages = [0.5 ** ((len(decided) - 1 - place) / HALF_LIFE) for place in range(len(decided))]
            self._model = fit(rows, [label for _, label in decided], ages, guess, [PULL] * len(guess))

    def _standard(self, signs: Sequence[float]) -> list[float]:
        """Signs with mean 0 and deviation 1; what is not known of a candidate is average."""
        known = [(value - mean) / deviation for value, (mean, deviation) in zip(signs, self._scale, strict=False)]
        return known + [0.0] * (len(self._scale) - len(known))

    def chance(self, signs: Sequence[float]) -> float:
        """How likely it is to be kept, 0 to 1; while nothing is learned, an order only."""
        return self._model.probability(self._standard(signs))


def _scales(rows: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Mean and deviation of each sign over the rows that have it."""
    scales = []
    for place in range(len(NAMES)):
        values = [row[place] for row in rows if len(row) > place] or [0.0]
        mean = fmean(values)
        deviation = math.sqrt(fmean((value - mean) ** 2 for value in values))
        scales.append((mean, deviation if deviation > 1e-9 else 1.0))
    return scales
