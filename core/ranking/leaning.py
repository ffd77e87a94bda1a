"""Which words, and which attribute values, went with keeping or with rejecting."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Set

DOUBT = 2.0
"""Decisions that a word is thought to have behind it before any, kept at the usual rate."""


class Leaning:
    """Counted over decisions: the words of a candidate, whether it was kept, and how much the decision counts."""

    def __init__(self, decided: Iterable[tuple[Set[Hashable], bool, float]]) -> None:
        self._kept: dict[Hashable, float] = {}
        self._rejected: dict[Hashable, float] = {}
        self._totals = [0.0, 0.0]
        for found, kept, weight in decided:
            self._totals[kept] += weight
            counts = self._kept if kept else self._rejected
            for word in found:
                counts[word] = counts.get(word, 0.0) + weight

    def score(self, found: Set[Hashable], kept: bool | None = None, weight: float = 0.0) -> float:
        """How much these words speak for keeping: the sum of their log-odds against the usual rate, over the root of their number.

        A candidate that was counted itself, with this weight, is left out: else every decision would seem to have been foreseen.
        """
        without = {True: (weight, 0.0), False: (0.0, weight), None: (0.0, 0.0)}[kept]
        usual = (self._totals[1] - without[0] + 1) / (sum(self._totals) - weight + 2)
        good, bad = DOUBT * usual, DOUBT * (1 - usual)
        level = math.log(good / bad)
        kept_less, rejected_less = good - without[0], bad - without[1]
        logs = [math.log((self._kept.get(word, 0.0) + kept_less) / (self._rejected.get(word, 0.0) + rejected_less)) for word in found]
        total = sum(logs) - len(logs) * level
        return total / math.sqrt(max(1, len(found)))
