"""How much of a text stands already in an example, word for word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from core.text import per_word, words

SIZE = 4
"""Words in the runs that are indexed; shorter matches say nothing."""
SIZES = (4, 5, 6)
"""Words in the runs whose share is measured: the n-gram score of Slack and Al Moubayed (2510.11372), which rises before texts are
copied whole and before the held-out loss turns."""

RunHolders = dict[tuple[str, ...], set[str]]


def runs(tokens: Sequence[str], size: int = SIZE) -> list[tuple[str, ...]]:
    """All runs of `size` words, in order."""
    return list(zip(*(tokens[start:] for start in range(size)), strict=False))


class Copying:
    """An index of all runs of four words in the examples. Adding is linear in the text; asking is linear in the candidate."""

    def __init__(self, texts: Iterable[tuple[str, str]] = ()) -> None:
        self._runs: dict[tuple[str, ...], set[tuple[str, int]]] = {}
        """The examples that hold a run, and where."""
        self._words: dict[str, list[str]] = {}
        self._sets: dict[str, frozenset[str]] = {}
        """The words of the examples as they were last asked for."""
        for uid, text in texts:
            self.add(uid, text)

    def add(self, uid: str, text: str) -> None:
        tokens = self._words[uid] = words(text)
        for place, run in enumerate(runs(tokens)):
            self._runs.setdefault(run, set()).add((uid, place))

    def remove(self, uid: str) -> None:
        self._sets.pop(uid, None)
        for place, run in enumerate(runs(self._words.pop(uid, []))):
            self._runs.get(run, set()).discard((uid, place))

    def longest(self, text: str, but: str = "") -> tuple[int, str]:
        """Length in words of the longest span that an example (other than `but`) has too, and that example's id.

        Spans under four words count as 0. Of a script without blanks two characters count for a word.
        """
        span, source = self.span(text, but)
        return len(span) // per_word(span), source

    def span(self, text: str, but: str = "") -> tuple[list[str], str]:
        """The words of the longest span that an example (other than `but`) has too, and that example's id."""
        tokens = words(text)
        best, source, end = 0, "", 0
        alive: dict[tuple[str, int], int] = {}
        for start, run in enumerate(runs(tokens)):
            holders = self._runs.get(run, set())
            alive = {(uid, place): alive.get((uid, place - 1), SIZE - 1) + 1 for uid, place in holders if uid != but}
            for (uid, _), length in alive.items():
                if length > best:
                    best, source, end = length, uid, start + SIZE
        return tokens[end - best : end], source

    def spans(self, text: str, least: int) -> list[tuple[int, int]]:
        """Where in the words of `text` spans of at least `least` words stand that one example has too: first word, and that after the last."""
        found: list[tuple[int, int]] = []
        alive: dict[tuple[str, int], int] = {}
        tokens = words(text)
        least *= per_word(tokens)
        for start, run in enumerate(runs(tokens)):
            alive = {(uid, place): alive.get((uid, place - 1), SIZE - 1) + 1 for uid, place in self._runs.get(run, set())}
            longest = max(alive.values(), default=0)
            if longest >= least:
                span = start + SIZE - longest, start + SIZE
                if found and span[0] <= found[-1][1]:
                    span = min(found.pop()[0], span[0]), span[1]
                found.append(span)
        return found

    def overlap(self, text: str, but: str = "") -> tuple[float, str]:
        """The largest share of the text's runs of four words that one example holds, 0 to 1, and that example's id."""
        found = runs(words(text))
        counts: dict[str, int] = {}
        for run in found:
            for uid in {uid for uid, _ in self._runs.get(run, set())}:
                counts[uid] = counts.get(uid, 0) + 1
        counts.pop(but, None)
        if not counts:
            return 0.0, ""
        uid = max(counts, key=lambda key: counts[key])
        return counts[uid] / len(found), uid

    def nearest(self, text: str) -> tuple[float, str]:
        """The example most like `text` by shared words (Jaccard, 0 to 1) and its id: for hints while writing, so its words are kept ready."""
        mine = set(words(text))
        best, source = 0.0, ""
        for uid, theirs in self._words.items():
            if uid not in self._sets:
                self._sets[uid] = frozenset(theirs)
            shared = len(mine & self._sets[uid])
            if shared and (score := shared / (len(mine) + len(self._sets[uid]) - shared)) > best:
                best, source = score, uid
        return best, source


def run_holders(texts: Mapping[str, str]) -> RunHolders:
    """The runs of 4, 5 and 6 words of some texts, and the ids of those that hold them."""
    holders: RunHolders = {}
    for uid, text in texts.items():
        tokens = words(text)
        for size in SIZES:
            for run in runs(tokens, size):
                holders.setdefault(run, set()).add(uid)
    return holders


def copied_shares(texts: Mapping[str, str], holders: RunHolders) -> dict[str, float]:
    """The share of each text's runs of 4, 5 and 6 words that a text of another id holds, 0 to 1, the mean of the three.

    Texts measured against themselves give their own level, each against all others: what texts of this task share anyway. Texts of
    fewer than four words are left out; a size for which a text is too short does not count.
    """
    shares = {}
    for uid, text in texts.items():
        tokens, own = words(text), {uid}
        measured = [found for size in SIZES if (found := runs(tokens, size))]
        if measured:
            of_size = [sum(run in holders and holders[run] != own for run in found) / len(found) for found in measured]
            shares[uid] = sum(of_size) / len(of_size)
    return shares
