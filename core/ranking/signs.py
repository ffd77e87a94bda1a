"""A candidate as numbers: what its text shows, held against the examples, and what the models told of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import pairwise
from statistics import fmean, pstdev

from core.protocol import Traits
from core.text import words

TEXT = (
    "ended", "flags", "length off", "length", "form", "opening", "ending", "punctuation", "fields", "copied", "nearest", "distinct",
)  # fmt: skip
MODEL = ("own", "weakest", "base", "gain")
NAMES = (*TEXT, *MODEL)
PLACES = 32
"""The numbers after the named ones say what the text is about."""
SIZE = len(NAMES) + PLACES
MARKS = '.,:;!?"“”()-#*\n'
STEM = 4
"""Letters by which two forms of a word are taken for the same."""


class Habits:
    """How the examples are: their lengths, the words and marks that most of them have, how they begin and end."""

    def __init__(self, texts: Iterable[str]) -> None:
        texts = list(texts)
        self._words = [words(text) for text in texts]
        counts = Counter(word for found in self._words for word in set(found))
        shared = max(2.0, len(texts) / 2)
        self.form = {word for word, count in counts.items() if count >= shared}
        """Words that half of the examples have: the form of the task."""
        self.contents = [content(found, self.form) for found in self._words]
        lengths = [math.log(len(found) + 1) for found in self._words]
        self.length = fmean(lengths) if lengths else 0.0
        self.spread = max(0.1, pstdev(lengths)) if lengths else 1.0
        self.openings = Counter(found[0] for found in self._words if found)
        self.endings = Counter(text.rstrip()[-1:] for text in texts)
        rates = [mark_rates(text, len(found)) for text, found in zip(texts, self._words, strict=True)]
        self.marks = [(fmean(column), max(0.5, pstdev(column))) for column in zip(*rates, strict=True)] if rates else []

    def share(self, counter: Counter[str], key: str) -> float:
        """The share of the examples that have `key`; 0 without examples."""
        return counter[key] / len(self._words) if self._words else 0.0


def content(found: Iterable[str], form: Set[str]) -> frozenset[str]:
    """Words of four letters or more that are not the form's."""
    return frozenset(word for word in found if len(word) >= STEM) - form


def mark_rates(text: str, count: int) -> list[float]:
    """Each mark's number for a hundred words, and that of digits."""
    found = Counter(text)
    digits = sum(found[str(digit)] for digit in range(10))
    return [100 * number / max(count, 1) for number in (*(found[mark] for mark in MARKS), digits)]


def likeness(one: Set[str], other: Set[str]) -> float:
    """Share of the words of the smaller set that the other has too, 0 to 1."""
    return len(one & other) / min(len(one), len(other)) if one and other else 0.0


def mentioned(found: Sequence[str], fields: Mapping[str, str]) -> float:
    """The share of the attribute values' words that the text has, in any form; 1 where there is none."""
    own = {word[:STEM] for word in found if len(word) >= STEM}
    asked = {word[:STEM] for value in fields.values() for word in words(value) if len(word) >= STEM}
    return len(asked & own) / len(asked) if asked else 1.0


def signs(
    text: str, fields: Mapping[str, str], flags: Sequence[str], finish: str, copied: int, traits: Traits | None, habits: Habits
) -> list[float]:
    """The numbers of a candidate, in the order of `NAMES`, then its place; `copied` is its longest span in words that an example has.

    Without traits (a candidate of an older worker) it ends after `TEXT`.
    """
    found = words(text)
    length = (math.log(len(found) + 1) - habits.length) / habits.spread
    pairs = list(pairwise(found))
    rates = mark_rates(text, len(found))
    off = [min(3.0, abs(rate - mean) / spread) for rate, (mean, spread) in zip(rates, habits.marks, strict=False)]
    own = content(found, habits.form)
    values = [
        float(finish == "stop" and "began a new heading" not in flags),
        float(len([flag for flag in flags if flag != "never ended" and not flag.startswith("copies ")])),
        min(3.0, abs(length)),
        max(-3.0, min(3.0, length)),
        len(habits.form & set(found)) / len(habits.form) if habits.form else 1.0,
        habits.share(habits.openings, found[0]) if found else 0.0,
        habits.share(habits.endings, text.rstrip()[-1:]),
        fmean(off) if off else 0.0,
        mentioned(found, fields),
        float(copied),
        max((likeness(own, other) for other in habits.contents), default=0.0),
        len(set(pairs)) / len(pairs) if pairs else 0.0,
    ]
    if traits:
        values += [traits.own, traits.weakest, traits.base, traits.own - traits.base, *(traits.place or [0.0] * PLACES)]
    return [round(value, 3) for value in values]
