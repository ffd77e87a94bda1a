"""How much a person changed of a text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from core.text import pieces


@lru_cache(maxsize=4096)
def edit_distance(before: str, after: str) -> float:
    """Words put in, taken out or replaced (Levenshtein), over the words of the longer text: 0 for no change, 1 for another text. In a script
    without blanks a character is a word."""
    first, second = pieces(before), pieces(after)
    longer = max(len(first), len(second))
    if not longer:
        return 0.0
    start = 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    first, second = first[start:], second[start:]
    while first and second and first[-1] == second[-1]:
        first.pop()
        second.pop()
    return _changes(first, second) / longer


def _changes(first: Sequence[str], second: Sequence[str]) -> int:
    """Levenshtein's distance, a whole column of his table at once (Myers 1999, Hyyrö 2003): a text may have 20,000 characters. Bit n of `up` and
    `down` says whether row n + 1 of the column is one more or one less than row n."""
    if not first:
        return len(second)
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    last, full = 1 << len(first) - 1, (1 << len(first)) - 1
    up, down, changes = full, 0, len(first)
    for word in second:
        same = places.get(word, 0)
        level = (((same & up) + up) ^ up) | same
        right, left = down | ~(level | up) & full, up & level
        changes += bool(right & last) - bool(left & last)
        right, left = right << 1 | 1, left << 1
        up, down = (left | ~(same | down | right)) & full, right & (same | down) & full
    return changes
