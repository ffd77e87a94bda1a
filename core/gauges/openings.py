"""Texts that begin alike and names that come again and again: what people complain of first in generated texts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from core.text import per_word, words

Groups = list[tuple[str, list[str]]]
"""Something that texts share, and their ids; the largest group first, and none of one."""

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SENTENCE_ENDS = frozenset('.!?…:;\n"“”‘«»()[]—–-*')


NOUNS = 0.12
"""The share of words with a capital, of those within sentences, from which on all nouns are taken to have one: in German a fifth has, in English a
thirtieth, names and all."""


def _groups(found: Mapping[str, list[str]]) -> Groups:
    return sorted(((what, uids) for what, uids in found.items() if len(uids) > 1), key=lambda item: (-len(item[1]), item[0]))


def same_openings(texts: Mapping[str, str], size: int = 3) -> Groups:
    """The texts that have their first `size` words in common, or twice as many characters, where each counts for a word. Shorter ones
    begin like nothing."""
    found: dict[str, list[str]] = {}
    for uid, text in texts.items():
        tokens = words(text)
        wanted = size * per_word(tokens)
        first = tokens[:wanted]
        if len(first) == wanted:
            found.setdefault(" ".join(first), []).append(uid)
    return _groups(found)


def names(texts: Mapping[str, str], common: Collection[str] = ()) -> Groups:
    """The proper names of several texts: words with a capital inside a sentence that stand nowhere in small letters.

    `common` are words (in small letters) that are none. Languages that write every noun with a capital show those too (`nouns_too`), and ones
    without capitals show none; the human rows' own level tells what is usual.
    """
    small = {word for text in texts.values() for word in _WORD.findall(text) if word == word.lower()} | set(common)
    found: dict[str, list[str]] = {}
    for uid, text in texts.items():
        for name in dict.fromkeys(_names(text)):
            if name.lower() not in small:
                found.setdefault(name, []).append(uid)
    return _groups(found)


def nouns_too(texts: Iterable[str]) -> bool:
    """Whether their language writes every noun with a capital, so that what `names` finds may be none."""
    within = [word for text in texts for word in _within(text)]
    return sum(map(_has_capital, within)) > NOUNS * len(within)


def _names(text: str) -> list[str]:
    """The words with a capital that do not begin a sentence, the English genitive taken off."""
    return [re.sub(r"['’]s$", "", word) for word in _within(text) if _has_capital(word)]


def _has_capital(word: str) -> bool:
    return len(word) > 2 and word[0].isupper() and not word.isupper()


def _within(text: str) -> Iterator[str]:
    """The words that do not begin a sentence."""
    for match in _WORD.finditer(text):
        before = text[: match.start()].rstrip(" \t")
        if before and before[-1] not in _SENTENCE_ENDS:
            yield match.group()
