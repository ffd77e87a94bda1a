"""Whether the words of a text are those of the examples that have the same attribute values."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Set
from typing import TypeVar

Counted = TypeVar("Counted", bound=Hashable)

LEAST = 2
"""Examples that must have a value, and must have another one, before its words tell anything."""


def tally(counts: Counter[Counted], found: Iterable[Counted], times: int) -> None:
    """Count each of `found` in (1 `times`), or out (-1); of what is none left, nothing is."""
    if times > 0:
        counts.update(found)
        return
    for each in found:
        counts[each] -= 1
        if not counts[each]:
            del counts[each]


class Attribute:
    """The words of the examples by their value of one attribute, each word once an example."""

    def __init__(self) -> None:
        self._rows: Counter[str] = Counter()
        self._having: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._all: Counter[str] = Counter()

    def add(self, value: str, found: Set[str], times: int) -> None:
        tally(self._rows, [value], times)
        tally(self._having[value], found, times)
        tally(self._all, found, times)

    def score(self, value: str, found: Iterable[str]) -> float | None:
        """By how many deviations examples with the value have these words more often than the others, each word weighed by its rarity; as
        if values did not matter, it would be 0 in the mean and 1 in its deviation. None where too few examples tell."""
        total = self._rows.total()
        same, other = self._rows[value], total - self._rows[value]
        if min(same, other) < LEAST:
            return None
        having = self._having[value]
        excess = variance = 0.0
        for word in found:
            if count := self._all[word]:
                rarity, share = math.log((total + 1) / (count + 0.5)), count / total
                excess += rarity * (having[word] / same - (count - having[word]) / other)
                variance += rarity**2 * share * (1 - share) * (1 / same + 1 / other)
        return excess / math.sqrt(variance) if variance else 0.0


class Suits:
    """Knows the examples: for each their words that may tell something, and their attribute values."""

    def __init__(self, examples: Iterable[tuple[Set[str], Mapping[str, str]]] = ()) -> None:
        self._attributes: defaultdict[str, Attribute] = defaultdict(Attribute)
        for found, fields in examples:
            self.add(found, fields)

    def add(self, found: Set[str], fields: Mapping[str, str], times: int = 1) -> None:
        """Count an example in, or out with -1 `times`."""
        for name, value in fields.items():
            self._attributes[name].add(value, found, times)

    def score(self, found: Set[str], fields: Mapping[str, str]) -> float:
        """How well a text's words suit the values that were asked for, in deviations: that of the value which they suit least, for a text has
        to suit them all, and those of its subject stand in nearly every one. 0 where no value says anything, as with an attribute that is
        different in each example."""
        scores = [self._attributes[name].score(value, found) for name, value in fields.items() if name in self._attributes]
        return min((score for score in scores if score is not None), default=0.0)
