"""A candidate as numbers: what its text shows, held against the examples, and how sure its model was of it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from core.ranking.spread import Spread
from core.ranking.suits import Suits, tally
from core.text import is_character, words

NAMES = (
    "ended", "flags", "length off", "length", "shape", "strange", "punctuation", "fields", "suits", "copied", "nearest", "distinct", "own",
    "weakest",
)  # fmt: skip
"""The signs, in their order. Numbers of another count are of another version, and say nothing but what `stored` makes of them."""
MARKS = '.,:;!?"“”()-#*\n'
STEM = 4
"""Letters by which two forms of a word are taken for the same, and with fewer of which a word tells nothing."""
SYLLABLES = 2
"""The same of Korean, where a character is a syllable of two or three letters."""
FARTHEST = 3.0
"""Deviations beyond which off is off."""
_PIECE = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|[^\w\s]|\n")

Step = tuple[str, str]


@dataclass(frozen=True)
class Known:
    """What the ranking knows of a candidate: its signs, its different words, and the attribute values that were asked for."""

    signs: Sequence[float]
    words: frozenset[str]
    asked: frozenset[str]

    def suited(self, text: str, fields: Mapping[str, str]) -> Known:
        """The same text, as if these attribute values had been asked for. Whether its words suit them is not asked: it may be an example
        itself by now."""
        found = list(self.signs)
        found[NAMES.index("suits")] = 0.0
        found[NAMES.index("fields")] = round(mentioned(words(text), fields), 3)
        return Known(found, self.words, asked_for(fields))


class Row:
    """An example as `Habits` counts it."""

    def __init__(self, text: str, fields: Mapping[str, str]) -> None:
        found = words(text)
        self.fields = fields
        self.telling = telling(found)
        self.words = {*found, *self.telling}
        self.pieces = _PIECE.findall(text.lower())
        self.length = math.log(len(found) + 1)
        self.marks = mark_rates(text, len(found))
        self.steps: set[Step] = set()
        self.content: frozenset[str] = frozenset()

    def read(self, form: Set[str]) -> None:
        """See what of it is the form's, and what its own."""
        self.steps = _steps(self.pieces, form)
        self.content = frozenset(self.telling) - form


class Habits:
    """How the examples are: their lengths, the words, marks and steps that most of them have, and the words that go with their values. Examples
    that come and go are counted in and out: to read 2,000 of them anew takes half a second, and one comes with each accepted candidate."""

    def __init__(self, examples: Iterable[tuple[str, Mapping[str, str]]] = ()) -> None:
        self._rows: dict[Row, None] = {}
        self._words: Counter[str] = Counter()
        self._steps: Counter[Step] = Counter()
        self._contents: Counter[frozenset[str]] = Counter()
        self._length, self._marks = Spread(), [Spread() for _ in mark_rates("", 0)]
        self.suits = Suits()
        self.form: set[str] = set()
        """Words that half of the examples have: the form of the task."""
        self.usual_steps: set[Step] = set()
        self.change(come=[Row(text, fields) for text, fields in examples])

    def change(self, gone: Iterable[Row] = (), come: Iterable[Row] = ()) -> None:
        """Count some rows out that were counted in, and others in. The same as to count all of them that are left."""
        gone, come = list(gone), list(come)
        for row in gone:
            self._put(row, -1)
            self._count(row, -1)
            del self._rows[row]
        for row in come:
            self._put(row, 1)
        often = max(2.0, (len(self._rows) + len(come)) / 2)
        form = {word for word, count in self._words.items() if count >= often}
        turned = form ^ self.form
        self.form = form
        for row in self._rows if turned else ():
            if not turned.isdisjoint(row.words):
                self._count(row, -1)
                self._read(row)
        for row in come:
            self._read(row)
            self._rows[row] = None
        self.usual_steps = {step for step, count in self._steps.items() if count >= often}

    def _put(self, row: Row, times: int) -> None:
        """What does not depend on the form."""
        tally(self._words, row.words, times)
        self._length.add(row.length, times)
        for spread, rate in zip(self._marks, row.marks, strict=True):
            spread.add(rate, times)

    def _read(self, row: Row) -> None:
        row.read(self.form)
        self._count(row, 1)

    def _count(self, row: Row, times: int) -> None:
        """What depends on the form."""
        tally(self._steps, row.steps, times)
        tally(self._contents, [row.content], times)
        self.suits.add(row.content, row.fields, times)

    @property
    def contents(self) -> Iterable[frozenset[str]]:
        """The words of each example that are not the form's."""
        return self._contents

    def is_step(self, step: Step) -> bool:
        """Whether an example has it."""
        return step in self._steps

    @property
    def length(self) -> float:
        return self._length.mean

    @property
    def spread(self) -> float:
        return max(0.1, self._length.deviation) if self._rows else 1.0

    @property
    def marks(self) -> list[tuple[float, float]]:
        """Of each mark the rate and its deviation; empty where there are no examples."""
        return [(spread.mean, max(0.5, spread.deviation)) for spread in self._marks] if self._rows else []


def skeleton(text: str, form: Set[str]) -> set[Step]:
    """The steps from one word or mark of a text to the next, where all that is not the form's stands for itself alone: a word is a
    blank, a number is 0, and the text has a beginning and an end. Steps between blanks say nothing and are left out."""
    return _steps(_PIECE.findall(text.lower()), form)


def _steps(found: Iterable[str], form: Set[str]) -> set[Step]:
    pieces = ["^"]
    for piece in found:
        if piece[0].isalpha():
            piece = piece if piece in form else "_"
        elif piece[0].isdigit():
            piece = "0"
        if piece != "_" or pieces[-1] != "_":
            pieces.append(piece)
    return set(pairwise([*pieces, "$"]))


def telling(found: Sequence[str]) -> list[str]:
    """Of the words of a text, in their order, those that tell what it is about: those of four letters or more. In a script without blanks a
    character is a word and tells little by itself: there it is every two that follow each other."""
    pairs = [one + other for one, other in pairwise(found) if is_character(one) and is_character(other)]
    return [word for word in found if len(word) >= _stem(word) and not is_character(word)] + pairs


def stems(found: Sequence[str]) -> set[str]:
    """The same, with all forms of a word as one."""
    return {word[: _stem(word)] for word in telling(found)}


def _stem(word: str) -> int:
    return SYLLABLES if "가" <= word[0] <= "힣" else STEM


def content(found: Sequence[str], form: Set[str]) -> frozenset[str]:
    """What tells something in a text of these words, but for what is the form's."""
    return frozenset(telling(found)) - form


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
    asked = {stem for value in fields.values() for stem in stems(words(value))}
    return len(asked & stems(found)) / len(asked) if asked else 1.0


def stored(found: Sequence[float]) -> Sequence[float] | None:
    """Numbers that were stored with a candidate, in this order; None where they are of an unknown version. The one before had no `suits`."""
    if len(found) == len(NAMES) - 1:
        at = NAMES.index("suits")
        return [*found[:at], 0.0, *found[at:]]
    return found if len(found) == len(NAMES) else None


def asked_for(fields: Mapping[str, str]) -> frozenset[str]:
    """The attribute values, each as one word that no text has."""
    return frozenset(f"{name}={value}" for name, value in fields.items())


@dataclass(frozen=True)
class Arrival:
    """A candidate as it comes from the model. `copied`: its longest span in words that an example has; `own`, `weakest`: how likely its
    model found it, and its least likely part, nats a token."""

    text: str
    fields: Mapping[str, str]
    flags: Sequence[str]
    finish: str
    copied: int
    own: float
    weakest: float


def signs(of: Arrival, habits: Habits) -> list[float]:
    """The numbers of a candidate, in the order of `NAMES`, to three places."""
    found = words(of.text)
    length = (math.log(len(found) + 1) - habits.length) / habits.spread
    pairs = list(pairwise(found))
    steps = skeleton(of.text, habits.form)
    rates = mark_rates(of.text, len(found))
    off = [min(FARTHEST, abs(rate - mean) / spread) for rate, (mean, spread) in zip(rates, habits.marks, strict=False)]
    own = content(found, habits.form)
    values = [
        float(of.finish == "stop" and "began a new heading" not in of.flags),
        float(len([flag for flag in of.flags if flag != "never ended" and not flag.startswith("copies ")])),
        min(FARTHEST, abs(length)),
        max(-FARTHEST, min(FARTHEST, length)),
        len(steps & habits.usual_steps) / len(habits.usual_steps) if habits.usual_steps else 1.0,
        sum(not habits.is_step(step) for step in steps) / len(steps),
        fmean(off) if off else 0.0,
        mentioned(found, of.fields),
        max(-FARTHEST, min(FARTHEST, habits.suits.score(own, of.fields))),
        float(of.copied),
        max((likeness(own, other) for other in habits.contents), default=0.0),
        len(set(pairs)) / len(pairs) if pairs else 0.0,
        of.own,
        of.weakest,
    ]
    return [round(value, 3) for value in values]
