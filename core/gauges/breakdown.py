"""Signs that a candidate broke down: the commonest failure of a model tuned on few rows (hashtags, long stories, loops)."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Collection, Sequence

from core.text import is_clean, per_word, words

NOT_BROKEN = ("never ended", "much shorter than any example", "copies ")
"""How flags begin that have a gauge of their own, or are a matter of taste."""
FORMS = ("hashtags", "heading inside", "link", "chapters")
"""Signs that may be how a task's texts look."""


def repeats(text: str, size: int = 4) -> int:
    """How often the most frequent run of `size` words stands in `text`; of twice as many characters, where each counts for a word."""
    tokens = words(text)
    size *= per_word(tokens)
    counts: dict[tuple[str, ...], int] = {}
    for start in range(len(tokens) - size + 1):
        key = tuple(tokens[start : start + size])
        counts[key] = counts.get(key, 0) + 1
    return max(counts.values(), default=0)


def usual(texts: Sequence[str]) -> set[str]:
    """Signs that two of the texts that people wrote bear, and one in eight: in this task they are its form."""
    counts = Counter(flag for text in texts for flag in flags(text, "stop") if flag in FORMS)
    return {flag for flag, count in counts.items() if count > 1 and 8 * count >= len(texts)}


def flags(text: str, finish: str, lengths: Sequence[int] = (), cut_at_heading: bool = False, usual: Collection[str] = ()) -> list[str]:
    """What is suspicious about a candidate, in words; empty when nothing is.

    `finish` is stop or length, `lengths` are the examples' lengths in words, `usual` what is their form. Flags are shown on the card, and
    put it further back.
    """
    found = []
    count = len(words(text))
    if count == 0:
        found.append("empty")
    if finish == "length":
        found.append("never ended")
    if cut_at_heading:
        found.append("began a new heading")
    if len(re.findall(r"(?<!\w)#\w", text)) >= 2:
        found.append("hashtags")
    if re.search(r"(?m)^\s*#{1,6}\s", text):
        found.append("heading inside")
    if re.search(r"https?://|www\.", text):
        found.append("link")
    if re.search(r"(?im)^\s*(chapter|part|act)\s+(\d+|[ivx]+|one|two|three)\b", text):
        found.append("chapters")
    if repeats(text) >= 3 or (len(text) > 200 and len(text.encode()) / len(zlib.compress(text.encode(), 9)) > 3.5):
        found.append("repeats itself")
    if lengths and count > 2 * max(lengths):
        found.append("much longer than any example")
    elif lengths and 0 < count < min(lengths) / 2:
        found.append("much shorter than any example")
    if not is_clean(text) or "<U+" in text or re.search("[\u2400-\u241f]", text):
        found.append("control characters")
    return [flag for flag in found if flag not in usual]


def breaks(found: Sequence[str]) -> list[str]:
    """Of a candidate's flags those that say it broke down."""
    return [flag for flag in found if not flag.startswith(NOT_BROKEN)]


def ended(finish: str, found: Sequence[str]) -> bool:
    """Whether a candidate ended by itself: at its end token, and not only because a new heading was cut off."""
    return finish == "stop" and "began a new heading" not in found
