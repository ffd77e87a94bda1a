"""Rows that teach against each other: one text under different attributes, or one prompt whose texts say the contrary. Each with its proof.

No model reads them: what is found can be pointed at, a number or a word with a "not". What contradicts itself in other words is not found.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.gauges.copying import runs
from core.text import words

SAME_TEXT = 0.7
"""Two texts are one text where they share this much of the shorter one's runs of three words."""
FEWEST_RUNS = 6
"""Of a shorter one all must be shared: three words in common are nothing."""
SAME_VALUE = 0.8
"""Two free values that share this much of their words are one value."""
RUN = 3
MOST_HELD = 40
"""Of the rows that share a run of words or a value's word so many, the last, are held against a row: among thousands of rows of one pattern all
pairs would take minutes."""
NEGATIONS = frozenset({"not", "never", "no", "without", "cannot", "nor", "neither", "nobody", "none"})
EMPTY = frozenset({
    "the", "and", "but", "for", "with", "from", "that", "this", "these", "those", "there", "their", "they", "them", "then", "than",
    "have", "has", "had", "was", "were", "will", "would", "can", "could", "shall", "should", "may", "might", "must", "been", "being",
    "does", "did", "doing", "very", "more", "most", "much", "many", "some", "such", "only", "even", "ever", "into", "onto", "over",
    "under", "about", "what", "when", "where", "which", "while", "whom", "whose", "your", "yours", "ours", "each", "every", "other",
    "another", "because", "through",
})  # fmt: skip
"""Words that a "not" before them says nothing about."""

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*")


@dataclass(frozen=True)
class Entry:
    """A row: its id, its attributes, its text. `free` are the names of attributes that are free texts; `human`: a person wrote or mended it."""

    uid: str
    fields: Mapping[str, str]
    text: str
    free: frozenset[str] = frozenset()
    human: bool = True


@dataclass(frozen=True)
class Conflict:
    """Two rows and what speaks against them, in words."""

    first: str
    second: str
    words: str


def conflicts(rows: Sequence[Entry]) -> list[Conflict]:
    """All that is found, the surest first: the same text under different attributes, then contrary texts under the same."""
    same = [
        Conflict(one.uid, two.uid, f"the same text, but {_differences(one.fields, two.fields)}")
        for one, two in _twins(rows)
        if _differences(one.fields, two.fields)
    ]
    said = functools.cache(_said)
    pairs = _same_prompts([row for row in rows if row.human])
    contrary = [Conflict(one.uid, two.uid, words) for one, two in pairs if (words := _contrary(said(one.text), said(two.text)))]
    return same + contrary


def _twins(rows: Sequence[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Pairs of rows whose texts are nearly the same."""
    found = {row.uid: set(runs(tokens, RUN)) or {tuple(tokens)} for row in rows if (tokens := words(row.text))}
    by_uid = {row.uid: row for row in rows}
    holders: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row in (row for row in rows if row.uid in found):
        own = found[row.uid]
        shared = Counter(uid for run in own for uid in holders[run][-MOST_HELD:])
        for run in own:
            holders[run].append(row.uid)
        for uid, count in shared.items():
            fewer, more = sorted((len(own), len(found[uid])))
            least = SAME_TEXT * fewer if fewer >= FEWEST_RUNS else more
            if 2 * count >= least and len(own & found[uid]) >= least:  # runs that very many hold were not all counted
                yield by_uid[uid], row


def _differences(one: Mapping[str, str], two: Mapping[str, str]) -> str:
    """Where two rows' attributes differ; one that is left open differs from none."""
    apart = [name for name in one if two.get(name) and one[name].casefold() != two[name].casefold()]
    return ", ".join(f"{name} is {one[name]} here and {two[name]} there" for name in apart)


def _same_prompts(rows: Sequence[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Pairs of rows that ask for the same thing: every attribute the same, a free one among them. Where all are chosen from lists, or
    there are none, the texts are meant to differ. What sampling asks for is drawn anew from the values there are, so that of its texts many
    have the same prompt and are meant to differ too: give only the rows that people wrote."""
    groups: dict[tuple[tuple[str, str], ...], list[Entry]] = defaultdict(list)
    for row in rows:
        if any(row.fields.get(name) for name in row.free):
            groups[tuple(sorted((name, value) for name, value in row.fields.items() if name not in row.free))].append(row)
    for group in groups.values():
        values = {row.uid: {name: frozenset(words(row.fields.get(name, ""))) for name in sorted(row.free)} for row in group}
        common = Counter(word for of_row in values.values() for word in _telling(of_row))
        holders: dict[str, list[Entry]] = defaultdict(list)
        for row in group:
            own = values[row.uid]
            keys = _rarest(_telling(own), common)
            for other in {each.uid: each for key in keys for each in holders[key][-MOST_HELD:]}.values():
                names = [name for name in row.free if row.fields.get(name) or other.fields.get(name)]
                if all(_alike(own[name], values[other.uid][name]) for name in names):
                    yield other, row
            for key in keys:
                holders[key].append(row)


def _telling(values: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The words of the first free value that has any."""
    return next(filter(None, values.values()), frozenset())


def _rarest(value: frozenset[str], common: Mapping[str, int]) -> list[str]:
    """So many of a value's words, the rarest, that whatever is alike has one of them among its own."""
    return sorted(value, key=lambda word: (common[word], word))[: len(value) - math.ceil(SAME_VALUE * len(value)) + 1]


def _alike(first: frozenset[str], second: frozenset[str]) -> bool:
    return len(first & second) >= SAME_VALUE * len(first | second)


def _contrary(first: _Said, second: _Said) -> str:
    """What one text says and the other denies; empty where nothing."""
    for place in sorted(first.numbers.keys() & second.numbers.keys()):
        if not first.numbers[place] & second.numbers[place]:
            one, two = (" or ".join(sorted(said.numbers[place])) for said in (first, second))
            return f"the same prompt, but “{place}” with {one} here and {two} there"
    for here, there, where in ((first, second, "here"), (second, first, "there")):
        for stem in sorted((here.denied.keys() - here.stated.keys()) & there.stated.keys() - there.denied.keys()):
            return f"the same prompt, but {where} it is “{here.denied[stem]}”, in the other “{there.stated[stem]}”"
    return ""


@dataclass(frozen=True)
class _Said:
    """What a text says: the numbers beside a word, the words that are denied and those that are not, by stem."""

    numbers: dict[str, set[str]]
    denied: dict[str, str]
    stated: dict[str, str]


def _stem(word: str) -> str:
    """A word without a common ending, crudely: to hold `opens` against `open`."""
    return re.sub(r"(?:ing|ed|es|s)$", "", word) if len(word) > 4 else word


def _said(text: str) -> _Said:
    said = _Said({}, {}, {})
    tokens = [token.lower().replace("’", "'") for token in _TOKEN.findall(text)]
    reach, denial = 0, ""
    for place, token in enumerate(tokens):
        if token[0].isdigit():
            beside = tokens[place - 1] if place and tokens[place - 1] not in EMPTY else ""
            if beside and not beside[0].isdigit():
                said.numbers.setdefault(beside, set()).add(token)
        elif token in NEGATIONS or token.endswith("n't"):
            reach, denial = 3, token
        elif len(token) >= 4 and token not in EMPTY:
            if reach > 0:
                said.denied.setdefault(_stem(token), f"{denial} {token}")
                reach = 0
            else:
                said.stated.setdefault(_stem(token), token)
        reach -= 1
    return said
