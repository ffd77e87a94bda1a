"""How much the texts of a batch are alike: compression, self-repetition and distinct words.

These three say most of what is to be said and are little correlated (Shaib et al. 2403.00553); all of them rise or fall with the
length of what is measured, so two sets are compared only after `equal_length`.
"""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Mapping, Sequence
from statistics import median

from core.gauges.copying import SIZE, runs
from core.text import words

Cut = list[list[str]]
"""Texts as words, cut to a common length."""

DRAWS = 20
MOST_DRAWN = 24
"""Texts of a draw: of more it takes long, and they tell little more."""
MOST_PACKED = 4_000
"""Words of a draw: to pack more of them forty times over would be felt."""


def equal_length(texts: Sequence[str], others: Sequence[str]) -> tuple[Cut, Cut]:
    """Both sets as words, with as many texts on either side, each cut to a common length, and as many words in all.

    Where there are more texts than needed they are taken evenly over the set.
    """
    count = min(len(texts), len(others))
    first, second = ([words(texts_[place * len(texts_) // count]) for place in range(count)] for texts_ in (texts, others))
    return _cut(first, second)


def _cut(first: Cut, second: Cut, most: float = math.inf) -> tuple[Cut, Cut]:
    """As many texts on either side, each cut to a common length of at most `most` words, and as many words in all."""
    if not first:
        return [], []
    length = int(min(median(map(len, first)), median(map(len, second)), most))
    first, second = ([tokens[:length] for tokens in cut] for cut in (first, second))
    total = min(sum(map(len, first)), sum(map(len, second)))
    return _shorten(first, total), _shorten(second, total)


def _shorten(texts: Cut, total: int) -> Cut:
    """`texts` with `total` words in all: a word off the longest, again and again, so that none vanishes."""
    texts = [list(tokens) for tokens in texts]
    for _ in range(sum(map(len, texts)) - total):
        max(texts, key=len).pop()
    return texts


def compression_ratio(texts: Cut) -> float:
    """Bytes of the joined words over their bytes when compressed; about 2 for prose, higher the more the texts are alike. 0 for none."""
    joined = "\n".join(" ".join(tokens) for tokens in texts).encode()
    return len(joined) / len(zlib.compress(joined, 9)) if joined else 0.0


def compressions(texts: Sequence[str], others: Sequence[str]) -> list[tuple[float, float]]:
    """Compression ratios of some of either set, at equal length, for `DRAWS` draws of which each leaves a quarter of the larger set out or more: by one of
    them alone the same checkpoint may pass or fail. The same texts give the same draws. None where there are too few."""
    fewer, more = sorted((len(texts), len(others)))
    count = min(fewer, 3 * more // 4, MOST_DRAWN)
    draw = random.Random(0)
    mine, theirs = [words(text) for text in texts], [words(text) for text in others]
    pairs = [_cut(draw.sample(mine, count), draw.sample(theirs, count), MOST_PACKED // max(1, count)) for _ in range(DRAWS)]
    return [(compression_ratio(one), compression_ratio(other)) for one, other in pairs if any(one) and any(other)]


def self_repetition(texts: Cut, size: int = SIZE) -> float:
    """The share of all runs of `size` words that stand in another text of the set too (after Salkar et al. 2022), 0 to 1."""
    holders: dict[tuple[str, ...], set[int]] = {}
    found = [runs(tokens, size) for tokens in texts]
    for number, of_text in enumerate(found):
        for run in of_text:
            holders.setdefault(run, set()).add(number)
    total = sum(map(len, found))
    return sum(len(holders[run]) > 1 for of_text in found for run in of_text) / total if total else 0.0


def distinct(texts: Cut, size: int) -> float:
    """Different runs of `size` words over all of them (Li et al. 1510.03055), 0 to 1; 0 for none."""
    found = [run for tokens in texts for run in runs(tokens, size)]
    return len(set(found)) / len(found) if found else 0.0


def shared_spans(texts: Mapping[str, str], most: int = 5) -> list[tuple[list[str], list[str]]]:
    """The spans of four words or more that stand in most texts: their words and the texts' ids, most widespread first."""
    tokens = {uid: words(text) for uid, text in texts.items()}
    holders: dict[tuple[str, ...], list[str]] = {}
    for uid in tokens:
        for run in dict.fromkeys(runs(tokens[uid])):
            holders.setdefault(run, []).append(uid)
    spans: dict[tuple[str, ...], list[str]] = {}
    covered: set[tuple[str, ...]] = set()
    for run, uids in sorted(holders.items(), key=lambda item: -len(item[1])):
        if len(uids) < 2 or len(spans) == most:
            break
        if run in covered:
            continue
        span = _grow(tokens[uids[0]], run, holders)
        covered.update(runs(span))
        spans[tuple(span)] = uids
    return [(list(span), uids) for span, uids in spans.items()]


def _grow(tokens: list[str], run: tuple[str, ...], holders: Mapping[tuple[str, ...], list[str]]) -> list[str]:
    """The span around `run` in `tokens` as far as the very same texts hold it."""
    found = runs(tokens)
    first = last = found.index(run)
    while first and holders[found[first - 1]] == holders[run]:
        first -= 1
    while last + 1 < len(found) and holders[found[last + 1]] == holders[run]:
        last += 1
    return tokens[first : last + SIZE]
