"""Whether the words of a text are those of the examples that have the same attribute values."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set

LEAST = 2
"""Examples that must have a value, and must have another one, before its words tell anything."""


class Attribute:
    """The words of the examples by their value of one attribute, each word once an example."""

    def __init__(self) -> None:
        self._rows: Counter[str] = Counter()
        self._having: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._all: Counter[str] = Counter()

    def add(self, value: str, found: Set[str]) -> None:
        self._rows[value] += 1
        self._having[value].update(found)
        self._all.update(found)

    def excess(self, value: str, found: Iterable[str]) -> tuple[float, float]:
        """How much more often examples with the value have these words than the others have, each word weighed by its rarity, summed; and
        the variance that the sum would have if values did not matter. (0, 0) where too few examples tell."""
        total = self._rows.total()
        same, other = self._rows[value], total - self._rows[value]
        if min(same, other) < LEAST:
            return 0.0, 0.0
        having = self._having[value]
        mean = variance = 0.0
        for word in found:
            if count := self._all[word]:
                rarity, share = math.log((total + 1) / (count + 0.5)), count / total
                mean += rarity * (having[word] / same - (count - having[word]) / other)
                variance += rarity**2 * share * (1 - share) * (1 / same + 1 / other)
        return mean, variance


class Suits:
    """Knows the examples: for each their words that may tell something, and their attribute values."""

    def __init__(self, examples: Iterable[tuple[Set[str], Mapping[str, str]]]) -> None:
        self._attributes: defaultdict[str, Attribute] = defaultdict(Attribute)
        for found, fields in examples:
            for name, value in fields.items():
                self._attributes[name].add(value, found)

    def score(self, found: Set[str], fields: Mapping[str, str]) -> float:
        """By how many deviations a text's words are more those of examples with the values that were asked for than those of the others. 0
        where no value says anything, as with an attribute that is different in each example."""
        parts = [self._attributes[name].excess(value, found) for name, value in fields.items() if name in self._attributes]
        variance = sum(part for _, part in parts)
        return sum(part for part, _ in parts) / math.sqrt(variance) if variance else 0.0
