"""How much of a candidate stands already in an example, word for word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from core.text import words

SIZE = 4
"""Words in the runs that are indexed; shorter matches say nothing."""


class Copying:
    """An index of all runs of four words in the examples. Adding is linear in the text; asking is linear in the candidate."""

    def __init__(self, texts: Iterable[tuple[str, str]] = ()) -> None:
        self._runs: dict[tuple[str, ...], set[str]] = {}
        self._words: dict[str, list[str]] = {}
        for uid, text in texts:
            self.add(uid, text)

    def add(self, uid: str, text: str) -> None:
        tokens = self._words[uid] = words(text)
        for start in range(len(tokens) - SIZE + 1):
            self._runs.setdefault(tuple(tokens[start : start + SIZE]), set()).add(uid)

    def remove(self, uid: str) -> None:
        tokens = self._words.pop(uid, [])
        for start in range(len(tokens) - SIZE + 1):
            self._runs.get(tuple(tokens[start : start + SIZE]), set()).discard(uid)

    def longest(self, text: str, but: str = "") -> tuple[int, str]:
        """Length in words of the longest span that an example (other than `but`) has too, and that example's id.

        Spans under four words count as 0. A span grows while one and the same example holds its next run of four.
        """
        tokens = words(text)
        best, source = 0, ""
        alive: dict[str, int] = {}
        for start in range(len(tokens) - SIZE + 1):
            holders = self._runs.get(tuple(tokens[start : start + SIZE]), set())
            alive = {uid: alive.get(uid, SIZE - 1) + 1 for uid in holders if uid != but}
            for uid, length in alive.items():
                if length > best:
                    best, source = length, uid
        return best, source

    def overlap(self, text: str, but: str = "") -> tuple[float, str]:
        """The largest share of the text's runs of four words that one example holds, 0 to 1, and that example's id."""
        tokens = words(text)
        total = len(tokens) - SIZE + 1
        counts: dict[str, int] = {}
        for start in range(max(total, 0)):
            for uid in self._runs.get(tuple(tokens[start : start + SIZE]), set()):
                counts[uid] = counts.get(uid, 0) + 1
        counts.pop(but, None)
        if not counts:
            return 0.0, ""
        uid = max(counts, key=lambda key: counts[key])
        return counts[uid] / total, uid


def nearest(text: str, texts: Mapping[str, str], but: str = "") -> tuple[float, str]:
    """The example most like `text` by shared words (Jaccard, 0 to 1) and its id: for hints while writing."""
    mine = set(words(text))
    best, source = 0.0, ""
    for uid, other in texts.items():
        theirs = set(words(other))
        if uid != but and (mine or theirs):
            score = len(mine & theirs) / len(mine | theirs)
            if score > best:
                best, source = score, uid
    return best, source


def opening(text: str, size: int = 3) -> Sequence[str]:
    """The first words of a text: many candidates with the same ones are a monoculture."""
    return words(text)[:size]
