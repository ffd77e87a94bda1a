"""What may be wrong with a text that stands out, held against its neighbours: a typo, a form that the others do not have. Hints only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import quantiles

from core.text import words

HABIT = 0.8
"""What so large a share of the texts do is a habit of theirs."""
FEWEST = 5
"""Fewer texts have no habits."""
KNOWN = 3
"""A word that so many texts have is no typo."""
LONG = 6
"""Letters of a word that may be told for a typo: short ones have too many neighbours."""
ALLOWED_TWICE = frozenset({"had", "that", "very", "no", "so", "far", "ha"})

_TWICE = re.compile(r"\b([^\W\d_]+)\s+\1\b", re.IGNORECASE)
_ENDED = re.compile(r"[.!?…][\"'”’)\]*_]*$")


@dataclass(frozen=True)
class Habits:
    """What the texts have in common. Make it with `habits`."""

    count: int
    shortest: float
    longest: float
    """Words: the quartiles."""
    ended: float
    """The share that ends with a full stop or the like."""
    capital: float
    """The share that begins with a capital letter or no letter."""
    known: Mapping[str, int]
    """In how many texts each word is."""


def _begins_small(text: str) -> bool:
    return text[:1].islower()


def habits(texts: list[str]) -> Habits:
    """The habits of some texts."""
    sizes = sorted(len(text.split()) for text in texts)
    cuts = quantiles(sizes, n=4, method="inclusive") if len(sizes) > 1 else [float(sum(sizes))] * 3
    known = Counter(word for text in texts for word in set(words(text)))
    total = max(1, len(texts))
    ended = sum(bool(_ENDED.search(text.rstrip())) for text in texts) / total
    return Habits(len(texts), cuts[0], cuts[-1], ended, sum(not _begins_small(text) for text in texts) / total, known)


def oddities(text: str, of: Habits) -> list[str]:
    """What is odd about one of the texts, in words."""
    found = [f"“{match.group()}”" for match in _TWICE.finditer(text) if match.group(1).casefold() not in ALLOWED_TWICE]
    found += [f"“{word}”: meant “{meant}”?" for word, meant in _typos(text, of.known)]
    if of.count < FEWEST:
        return found
    size = len(text.split())
    if size < of.shortest / 2:
        found.append(f"short: {size} word{'' if size == 1 else 's'}")
    if size > of.longest * 2:
        found.append(f"long: {size} words")
    if of.ended >= HABIT and not _ENDED.search(text.rstrip()):
        found.append("no full stop at the end")
    if of.capital >= HABIT and _begins_small(text):
        found.append("begins with a small letter")
    return found


def _typos(text: str, known: Mapping[str, int]) -> list[tuple[str, str]]:
    """Words that no other text has, one slip away from a word that several have."""
    rare = [word for word in dict.fromkeys(words(text)) if len(word) >= LONG and word.isalpha() and known.get(word, 0) <= 1]
    common = [word for word, count in known.items() if count >= KNOWN and len(word) >= LONG - 1]
    found = []
    for word in rare:
        meant = next((other for other in common if one_slip(word, other)), "")
        if meant:
            found.append((word, meant))
    return found


def one_slip(word: str, other: str) -> bool:
    """Whether two letters were swapped, or one within the word was left out, doubled or put in. Endings differ for good reasons, and
    another letter often makes another word, so neither counts."""
    if word == other or word[0] != other[0] or word[-1] != other[-1] or abs(len(word) - len(other)) > 1:
        return False
    start = next((place for place, (one, two) in enumerate(zip(word, other, strict=False)) if one != two), min(len(word), len(other)))
    if len(word) == len(other):
        return word[start : start + 2] == other[start : start + 2][::-1] and word[start + 2 :] == other[start + 2 :]
    longer, shorter = (word, other) if len(word) > len(other) else (other, word)
    return longer[start + 1 :] == shorter[start:]
