"""Signs in a text that is held against another: where it differs from it, and what stands in an example. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from core.gauges.copying import Copying
from core.text import word_places, words

TWIN = 0.5
"""Share of a text's runs of four words that another example holds, from which it is marked as a near-duplicate."""
COPIED = 6
"""Words that one example has in the same order, from which on a span is marked."""
SAME = 3
"""Words in a row that two texts share, from which on they count as the same there."""
DIFFERS, OPENS, CLOSES = "≠", "⟦", "⟧"
Piece = tuple[str, str]
"""A part of a text, and what it is: `same`, `copied`, `sign`, or nothing."""


def marked(text: str, beside: str | None, copying: Copying) -> list[Piece]:
    """The text in pieces. `beside` is what it is held against; None: nothing, and no difference is marked."""
    places = word_places(text)
    if not places:
        return [(text, "")]
    same = _same([word for word, _, _ in places], words(beside)) if beside is not None else [False] * len(places)
    copied = [False] * len(places)
    for first, last in copying.spans(text, COPIED):
        copied[first:last] = [True] * len(copied[first:last])
    pieces: list[Piece] = []
    at = 0
    for number, (_, start, end) in enumerate(places):
        begins = copied[number] and (number == 0 or not copied[number - 1])
        differs = beside is not None and not same[number] and (number == 0 or same[number - 1])
        inside = copied[number] and not begins
        _add(pieces, text[at:start], "copied" if inside else "same" if same[number] else "")
        if differs:
            pieces.append((DIFFERS, "sign"))
        if begins:
            pieces.append((OPENS, "copied"))
        _add(pieces, text[start:end], "copied" if copied[number] else "same" if same[number] else "")
        if copied[number] and (number + 1 == len(places) or not copied[number + 1]):
            pieces.append((CLOSES, "copied"))
        at = end
    _add(pieces, text[at:], "")
    return pieces


def _add(pieces: list[Piece], text: str, kind: str) -> None:
    if text and pieces and pieces[-1][1] == kind:
        pieces[-1] = pieces[-1][0] + text, kind
    elif text:
        pieces.append((text, kind))


def _same(own: Sequence[str], others: Sequence[str]) -> list[bool]:
    """Which of a text's words lie in a run of at least `SAME` that the other text has at that place of its course."""
    found = [False] * len(own)
    for start, _, size in SequenceMatcher(None, own, others, autojunk=False).get_matching_blocks():
        if size >= SAME:
            found[start : start + size] = [True] * size
    return found
