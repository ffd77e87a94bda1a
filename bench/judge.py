"""The bench's judge: seven criteria, written down before anything was run, each a pure function of a text and what stood before it.

What a task adds (its form, how it names its subject, what its attributes ask for) stands in `bench/rules.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.text import words
from core.worker.originals import PART

CRITERIA = ("form", "length", "ends", "own words", "subject", "attributes", "new")
SHORTER, LONGER = 0.6, 1.5
"""A text may be this much shorter than the shortest of the written rows, and longer than the longest."""
MOST_COPIED = 8
"""Tokens of a span that stands in only one example."""
MOST_ALIKE = 0.5
"""Share of a text's own content words that one earlier text may hold."""
ENDINGS = (".", "!", "?", '."', ".'", '!"', '?"', ".”", "!”", "?”", ".)", "…")
LITTER = re.compile(
    r"(?<!\w)#\w|(?m:^\s*(#{1,6}\s|[-*•]\s|\d+[.)]\s))|https?://|www\.|\*\*|<\w+>|(?m:^\s*(Chapter|Part|Note|Attributes|Description)\b.{0,12}$)"
)
"""Hashtags, headings, lists, links, bold, tags, chapters: never part of a flavour text."""

Fields = Mapping[str, str]


@dataclass(frozen=True)
class Rules:
    """What a task adds to the judge. Every function gives True where the text passes."""

    form: Callable[[str], bool]
    subject: Callable[[str, Fields, Sequence[str]], bool]
    """Of a text, its fields, and the examples."""
    attributes: Callable[[str, Fields], bool]
    lengths: tuple[int, int]
    """The fewest and the most words of the written rows."""
    body: Callable[[str], str] = str
    """The text without a sentence that the form prescribes word for word: that is no copy."""


@dataclass(frozen=True)
class Tokens:
    """A text and where its tokens end, in characters."""

    text: str
    ends: Sequence[int]


def clean_form(text: str) -> bool:
    """No litter, begins as a sentence begins, ends as one ends."""
    return bool(text) and not LITTER.search(text) and not text[0].islower() and text[0].isprintable() and text.endswith(ENDINGS)


def right_length(text: str, lengths: tuple[int, int]) -> bool:
    return SHORTER * lengths[0] <= len(words(text)) <= LONGER * lengths[1]


def _form(example: Tokens, examples: Sequence[Tokens]) -> list[bool]:
    """For each token of an example, whether it stands in a part of `PART` tokens that another one has too, or begins with: the task's form."""
    starts = [0, *example.ends]
    form = [False] * len(example.ends)
    for first in range(-1, len(form) - PART + 1):
        part = example.text[starts[max(first, 0)] : starts[first + PART]]
        if any(other.text.startswith(part) if first < 0 else part in other.text for other in examples if other is not example):
            form[max(first, 0) : first + PART] = [True] * (first + PART - max(first, 0))
    return form


def longest_copy(text: str, examples: Sequence[Tokens], free: Iterable[str] = ()) -> tuple[int, str]:
    """The longest span of `text`, in an example's tokens, that only this one example has, and the span. Spans within `free` do not count.

    Two examples' common spans are the form of the task, and so is one of more than `MOST_COPIED` tokens of which no window of
    `MOST_COPIED` + 1 has more than half its tokens outside the form. Quadratic in an example's length at worst.
    """
    best, found = 0, ""
    window = MOST_COPIED + 1

    def own(first: int, count: int) -> bool:
        """Whether some window of a span is mostly no form."""
        return any(2 * sum(form[at : at + window]) < window for at in range(first, first + count - window + 1))

    for example in examples:
        starts = [0, *example.ends]
        form: list[bool] = []
        for first in range(len(example.ends)):
            count = best + 1  # only a longer one is of interest
            while first + count < len(starts):
                span = example.text[starts[first] : starts[first + count]]
                if span not in text:
                    break
                if sum(span in other.text for other in examples) == 1 and not any(span in given for given in free):
                    form = form or _form(example, examples)
                    if count < window or own(first, count):
                        best, found = count, span
                count += 1
    return best, found


def _content(text: str) -> set[str]:
    return {word for word in words(text) if len(word) > 3}


def likeness(text: str, earlier: Sequence[str]) -> tuple[float, str]:
    """The largest share of the text's content words that one earlier text holds, and that text. Words that a third of the earlier
    texts have (of three or more) belong to the form and do not count."""
    contents = [_content(other) for other in earlier]
    counts = Counter(word for content in contents for word in content)
    form = {word for word, count in counts.items() if count >= max(3, len(earlier) / 3)}
    own = _content(text) - form
    shares = [(len(own & content) / len(own), other) for content, other in zip(contents, earlier, strict=True)] if own else []
    return max(shares, default=(0.0, ""))


def judge(text: str, fields: Fields, ended: bool, copied: int, earlier: Sequence[str], rules: Rules) -> dict[str, bool]:
    """Every criterion of a text. `ended`: by itself; `copied`: tokens of `longest_copy` of its body; `earlier`: the examples as they stand now."""
    return {
        "form": clean_form(text) and rules.form(text),
        "length": right_length(text, rules.lengths),
        "ends": ended,
        "own words": copied <= MOST_COPIED,
        "subject": rules.subject(text, fields, earlier),
        "attributes": rules.attributes(text, fields),
        "new": likeness(text, earlier)[0] <= MOST_ALIKE,
    }
