"""How likely a candidate is to be kept, from what was kept and rejected so far; by gauges alone while there is too little of that."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import TypeVar

from core.ranking.leaning import Leaning
from core.ranking.logistic import Logistic, fit, sigmoid
from core.ranking.signs import NAMES, Known

LEAST = 8
"""Kept and rejected candidates, of each, that are needed to learn from (the few-shot size of SetFit, Tunstall et al. 2209.11055)."""
MOST = 128
"""Decisions that are learned from, the latest, and so many of the rarer kind before them that there are `LEAST` of it."""
HALF_LIFE = 64
"""Decisions after which one counts half: taste moves, and so do checkpoints."""
GAUGES = {
    "ended": 1.5, "flags": -1.0, "length off": -0.5, "shape": 3.0, "strange": -6.0, "punctuation": -1.0, "fields": 2.0, "suits": 0.8,
    "nearest": -3.0,
}  # fmt: skip
"""What the gauges say before anything was decided: log-odds for one more of each sign."""
PULL, PULL_TASTE = 8.0, 4.0
"""How strongly a weight is held at its guess: the inverse of its variance, for signs of deviation 1. Of what leans which way the guess is 0,
and nothing but the decisions can tell."""
USUAL = {
    "ended": 0.25, "flags": 0.3, "length off": 1.0, "length": 2.0, "shape": 0.1, "strange": 0.05, "punctuation": 0.15, "fields": 0.15,
    "suits": 1.2, "copied": 2.0, "nearest": 0.1, "distinct": 0.03, "own": 0.25, "weakest": 0.4,
}  # fmt: skip
"""Each sign's deviation among candidates that nothing was passed over of (the starter on three tasks). What is decided was chosen by these
very signs, so that they hardly differ there: measured by their own deviation, chance would overrule what the gauges say."""
LEANINGS = 3
"""Numbers that a candidate has beside its signs: which way its words, its values, and both together lean."""
SELDOM, OFTEN = 1 / 8, 0.6
"""Of the decisions that have a word, from which share on and up to which it is learned together with what was asked for: a word of the form
that is not always the same (the ability of a skill check, say), of which there are enough to have met each value."""
FARTHEST = 4.0
"""Deviations from its mean at which a sign is cut off: one odd text must not outweigh the rest."""

Decided = tuple[Known, bool]
"""A candidate, and whether it was kept."""
Something = TypeVar("Something")


def latest(decided: Iterable[tuple[Something, bool]]) -> list[tuple[Something, bool]]:
    """Of decisions of which the last comes first, those that are learned from, the last of them last. Where nearly all is kept, or hardly
    anything, the last `MOST` alone would not have enough of both, and what was learned would be lost again."""
    found: list[tuple[Something, bool]] = []
    counts = {True: 0, False: 0}
    for each in decided:
        if len(found) >= MOST and min(counts.values()) >= LEAST:
            break
        if len(found) < MOST or counts[each[1]] < LEAST:
            found.append(each)
            counts[each[1]] += 1
    return found[::-1]


class Predictor:
    """Learned from decisions, the latest last."""

    def __init__(self, decided: Sequence[Decided]) -> None:
        decided = latest(reversed(decided))
        self.kept = sum(label for _, label in decided)
        self.rejected = len(decided) - self.kept
        self.learned = min(self.kept, self.rejected) >= LEAST
        self._model = Logistic(tuple(GAUGES.get(name, 0.0) for name in NAMES), 0.0)
        if self.learned:
            self._learn(decided)

    def _learn(self, decided: Sequence[Decided]) -> None:
        ages = [0.5 ** ((len(decided) - 1 - place) / HALF_LIFE) for place in range(len(decided))]
        weighed = [(known, kept, age) for (known, kept), age in zip(decided, ages, strict=True)]
        self._words = Leaning((known.words, kept, age) for known, kept, age in weighed)
        self._asked = Leaning((known.asked, kept, age) for known, kept, age in weighed)
        counts = Counter(word for known, _ in decided for word in known.words)
        self._telling = {word for word, count in counts.items() if SELDOM * len(decided) <= count <= OFTEN * len(decided)}
        self._together = Leaning((self._pairs(known), kept, age) for known, kept, age in weighed)
        rows = [self._row(known, kept, age) for known, kept, age in weighed]
        names = [*NAMES, *[""] * LEANINGS]
        self._scale = [(mean, max(deviation, USUAL.get(name, 0.0))) for name, (mean, deviation) in zip(names, _scales(rows), strict=True)]
        guess = [GAUGES.get(name, 0.0) * deviation for name, (_, deviation) in zip(names, self._scale, strict=True)]
        pull = [PULL if name else PULL_TASTE for name in names]
        labels = [kept for _, kept in decided]
        self._model = _fit_leaning_up(list(map(self._standard, rows)), labels, ages, guess, pull)

    def _pairs(self, known: Known) -> set[tuple[str, str]]:
        """Each attribute value with each telling word of the text: what is right for one value may be wrong for another."""
        return {(value, word) for word in known.words & self._telling for value in known.asked}

    def _row(self, known: Known, kept: bool | None = None, weight: float = 0.0) -> list[float]:
        """The signs, and which way the words, the values asked for, and both together lean; as if it had not been decided itself."""
        return [
            *known.signs,
            self._words.score(known.words, kept, weight),
            self._asked.score(known.asked, kept, weight),
            self._together.score(self._pairs(known), kept, weight),
        ]

    def _standard(self, row: Sequence[float]) -> list[float]:
        """Mean 0 and deviation 1, as of the decided ones, or of what nobody chose from where that is the greater."""
        return [
            max(-FARTHEST, min(FARTHEST, (value - mean) / deviation)) for value, (mean, deviation) in zip(row, self._scale, strict=True)
        ]

    def chance(self, known: Known) -> float:
        """How likely a candidate is to be kept, 0 to 1; while nothing is learned, good for an order only."""
        return sigmoid(self._score(known))

    def chances(self, several: Sequence[Known]) -> list[float]:
        """The same for candidates that are held against each other. While nothing is learned it is as if they were good ones and bad ones in the
        mean: what the gauges say of good texts lies so near to 1 that any likeness would outweigh it."""
        scores = [self._score(known) for known in several]
        middle = fmean(scores) if scores and not self.learned else 0.0
        return [sigmoid(score - middle) for score in scores]

    def _score(self, known: Known) -> float:
        """Log-odds."""
        return self._model.score(self._standard(self._row(known)) if self.learned else known.signs)


def _fit_leaning_up(
    rows: Sequence[list[float]], labels: Sequence[bool], ages: Sequence[float], guess: Sequence[float], pull: Sequence[float]
) -> Logistic:
    """The fit in which no leaning speaks against what it leans to; those that would are as if they were not there.

    A decision is left out of its own leaning, which thereby leans away from it: a kept one leaves fewer kept ones behind. Where nothing else is
    to be learned from a leaning, its weight would be below 0 for that alone.
    """
    while True:
        model = fit(rows, labels, ages, guess, pull)
        turned = {place for place in range(len(NAMES), len(guess)) if model.weights[place] < 0}
        if not turned:
            return model
        rows = [[0.0 if place in turned else value for place, value in enumerate(row)] for row in rows]


def _scales(rows: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Mean and deviation of each column."""
    scales = []
    for column in zip(*rows, strict=True):
        mean = fmean(column)
        deviation = math.sqrt(fmean((value - mean) ** 2 for value in column))
        scales.append((mean, deviation if deviation > 1e-9 else 1.0))
    return scales
