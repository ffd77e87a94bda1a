"""How much a person changed of a text."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=4096)
def edit_distance(before: str, after: str) -> float:
    """Words put in, taken out or replaced (Levenshtein), over the words of the longer text: 0 for no change, 1 for another text."""
    first, second = before.split(), after.split()
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
    row = list(range(len(second) + 1))
    for above, word in enumerate(first, 1):
        left, row[0], corner = above, above, above - 1
        for place, other in enumerate(second, 1):
            left = min(row[place] + 1, left + 1, corner + (word != other))
            corner, row[place] = row[place], left
    return row[-1] / longer
