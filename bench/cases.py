"""The bench's three tasks: their rows, which of them are written at the start and which held out, and the judge at work on a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import rules
from bench.judge import Rules, Tokens, judge, longest_copy
from bench.results import Judged
from core.config import template
from core.task import Task
from core.text import words
from core.worker import starter
from dataset.importing import read_rows
from dataset.rows import Parsed

HERE = Path(__file__).parent
WRITTEN = 12
"""The first rows of a file are what the person writes at the start of the evening."""
MEASURED = 16
"""Of the others, which nothing is ever trained on, so many give the held-out loss."""
SOURCES: dict[str, tuple[str, Path, Callable[[tuple[int, int]], Rules]]] = {
    "empires": (
        "alien-empires",
        HERE.parent / "dataset/demo/alien-empires.jsonl",
        functools.partial(Rules, rules.empire_form, rules.empire_subject, rules.empire_attributes),
    ),
    "checks": (
        "skill-checks",
        HERE / "tasks/skill-checks.jsonl",
        functools.partial(Rules, rules.check_form, rules.check_subject, rules.check_attributes, body=rules.check_body),
    ),
    "paintings": (
        "image-prompts",
        HERE / "tasks/paintings.jsonl",
        functools.partial(Rules, rules.painting_form, rules.painting_subject, rules.painting_attributes),
    ),
}


@dataclass(frozen=True)
class Case:
    """One task of the bench."""

    name: str
    task: Task
    written: list[Parsed]
    held_out: list[Parsed]
    rules: Rules

    @property
    def measured(self) -> list[Parsed]:
        """The rows that give the held-out loss."""
        return self.held_out[:MEASURED]


@dataclass(frozen=True)
class Try:
    """A text to be judged: the values that were asked for, whether it ended by itself, and what it might copy freely."""

    text: str
    fields: dict[str, str]
    ended: bool
    free: Sequence[str] = ()


Cut = Callable[[str], Sequence[int]]
"""From a text to the ends of its tokens, in characters."""


def load(name: str) -> Case:
    """A task by its name in `SOURCES`."""
    kind, path, make = SOURCES[name]
    task = template(kind)
    rows = read_rows(path, task)
    counts = [len(words(text)) for text, _ in rows[:WRITTEN]]
    return Case(name, task, rows[:WRITTEN], rows[WRITTEN:], make((min(counts), max(counts))))


@functools.cache
def token_ends() -> Cut:
    """The starter's own tokens."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(starter.convert(starter.find()) / "tokenizer.json"))

    @functools.cache
    def cut(text: str) -> tuple[int, ...]:
        return tuple(end for _, end in tokenizer.encode(text, add_special_tokens=False).offsets)

    return cut


def assess(case: Case, tries: Iterable[Try], examples: Sequence[str], cut: Cut) -> list[Judged]:
    """Judge texts in their order; each accepted one is an earlier text for those after it."""
    known = [Tokens(text, cut(text)) for text in examples]
    earlier, found = list(examples), []
    for each in tries:
        copied, span = longest_copy(each.text, known, each.free)
        own, _ = longest_copy(case.rules.body(each.text), known, each.free)
        criteria = judge(each.text, each.fields, each.ended, own, earlier, case.rules)
        failed = [name for name, passed in criteria.items() if not passed]
        if not failed:
            earlier.append(each.text)
        found.append(Judged(each.text, dict(each.fields), failed, each.ended, copied, span))
    return found


def ceiling(case: Case, cut: Cut) -> tuple[float, float]:
    """The share of the held-out written rows that the judge accepts: with their own attributes, and with those of all the others."""
    examples = [text for text, _ in case.written]
    own = [assess(case, [Try(text, fields, True)], examples, cut)[0] for text, fields in case.held_out]
    others = [
        case.rules.attributes(text, fields) and case.rules.subject(text, fields, examples)
        for place, (text, _) in enumerate(case.held_out)
        for other, (_, fields) in enumerate(case.held_out)
        if other != place
    ]
    return sum(not each.failed for each in own) / len(own), sum(others) / len(others)
