"""Near-duplicates among rows that come in: of each other, and of the examples that are there already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.gauges.copying import runs
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


def _keys(text: str) -> tuple[str, list[tuple[str, ...]]]:
    found = words(text)
    return " ".join(found), runs(found)


def find_twins(rows: Sequence[str], there: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> list[Twin]:
    """The rows that are near-duplicates of an example or of an earlier row. Linear in all texts."""
    whole: dict[str, str | int] = {}
    holders: dict[tuple[str, ...], list[str | int]] = {}

    def add(key: str | int, exact: str, found: list[tuple[str, ...]]) -> None:
        whole.setdefault(exact, key)
        for run in set(found):
            held = holders.setdefault(run, [])
            if len(held) < HOLDERS:
                held.append(key)

    for uid, text in there.items() if isinstance(there, Mapping) else there:
        add(uid, *_keys(text))
    twins = []
    for place, text in enumerate(rows):
        exact, found = _keys(text)
        like = whole.get(exact) if exact else None
        same = like is not None
        if like is None and found:
            shared = Counter(key for run in found for key in holders.get(run, ()))
            best = shared.most_common(1)
            like = best[0][0] if best and best[0][1] / len(found) >= SHARE else None
        if like is not None:
            twins.append(Twin(place, like if isinstance(like, str) else "", like if isinstance(like, int) else None, same))
        add(place, exact, found)
    return twins
