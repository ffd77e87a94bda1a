"""Texts that begin alike and names that come again and again: what people complain of first in generated texts."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from core.text import per_word, words

Groups = list[tuple[str, list[str]]]
"""Something that texts share, and their ids; the largest group first, and none of one."""

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SENTENCE_ENDS = frozenset('.!?…:;\n"“”‘«»()[]—–-*')


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

    `common` are words (in small letters) that are none. Languages that write every noun with a capital show those too, and ones
    without capitals show none; the human rows' own level tells what is usual.
    """
    small = {word for text in texts.values() for word in _WORD.findall(text) if word == word.lower()} | set(common)
    found: dict[str, list[str]] = {}
    for uid, text in texts.items():
        for name in dict.fromkeys(_names(text)):
            if name.lower() not in small:
                found.setdefault(name, []).append(uid)
    return _groups(found)


def _names(text: str) -> list[str]:
    """The words with a capital that do not begin a sentence, the English genitive taken off."""
    found = []
    for match in _WORD.finditer(text):
        word, before = match.group(), text[: match.start()].rstrip(" \t")
        inside = before and before[-1] not in _SENTENCE_ENDS
        if inside and len(word) > 2 and word[0].isupper() and not word.isupper():
            found.append(re.sub(r"['’]s$", "", word))
    return found
