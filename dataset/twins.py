"""Near-duplicates among rows that come in: of each other, and of the examples that are there already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.text import words

SHARE = 0.5
"""Share of a text's runs of four words that one other text holds, from which it is a near-duplicate of it."""
HOLDERS = 8
"""Texts that are remembered for a run: what more of them share is the form of the task."""


@dataclass(frozen=True)
class Twin:
    """A row that is a near-duplicate, and of what."""

    row: int
    """Its place among the rows that come in."""
    of: str
    """The id of an example, or empty."""
    first: int | None = None
    """The place of an earlier row, where it is one of those."""
    same: bool = False
    """Whether the two have the same words."""


Key = str | int
"""The id of an example, or the place of a row."""


def _keys(text: str) -> tuple[str, list[int]]:
    """The words, and a number for every run of four of them."""
    found = words(text)
    return " ".join(found), [*map(hash, zip(found, found[1:], found[2:], found[3:], strict=False))]


class _Holders:
    """Which texts hold a run. Most are held by one, so that a list for each would cost more than the texts."""

    def __init__(self) -> None:
        self.whole: dict[str, Key] = {}
        self._runs: dict[int, Key | list[Key]] = {}

    def add(self, key: Key, exact: str, found: list[int]) -> None:
        self.whole.setdefault(exact, key)
        known = self._runs
        for run in found:
            held = known.setdefault(run, key)
            if held is not key:
                if not isinstance(held, list):
                    known[run] = [held, key]
                elif len(held) < HOLDERS and held[-1] is not key:
                    held.append(key)

    def most_like(self, found: list[int]) -> Key | None:
        """The text that holds at least `SHARE` of some runs, if one does."""
        shared: Counter[Key] = Counter()
        known = self._runs
        for held in map(known.get, found):
            if isinstance(held, list):
                shared.update(held)
            elif held is not None:
                shared[held] += 1
        best = shared.most_common(1)
        return best[0][0] if best and best[0][1] / len(found) >= SHARE else None


def find_twins(rows: Sequence[str], there: Mapping[str, str]) -> list[Twin]:
    """The rows that are near-duplicates of an example (by id) or of an earlier row. Linear in all texts."""
    holders = _Holders()
    for uid, text in there.items():
        holders.add(uid, *_keys(text))
    twins = []
    for place, text in enumerate(rows):
        exact, found = _keys(text)
        like = holders.whole.get(exact) if exact else None
        same = like is not None
        if like is None and found:
            like = holders.most_like(found)
        if like is not None:
            twins.append(Twin(place, like if isinstance(like, str) else "", like if isinstance(like, int) else None, same))
        holders.add(place, exact, found)
    return twins
