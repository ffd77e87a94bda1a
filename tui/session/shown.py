"""Which examples a prompt shows before what is asked for. Knows no Textual."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable, Mapping, Sequence

from core.ranking.signs import likeness, telling
from core.task import Segment, Task
from core.text import words
from dataset.rows import Batch, Example

MOST_SOUGHT = 500
"""Examples among which the nearest are sought, drawn by chance: it is done before a batch begins."""
MOST_SHOWN = 1200
"""Characters of an example that may be shown, and of all those of one prompt that no other shares: reading takes its time."""


def showable(examples: Iterable[Example]) -> list[Example]:
    """The examples that a prompt may show: none that was accepted as a model wrote it, none that is long."""
    return [example for example in examples if example.human and len(example.text) <= MOST_SHOWN]


def shows_examples(batch: Batch) -> bool:
    """Whether its prompts showed any: there is more than one heading in them then."""
    return any(sum(text.startswith("# ") for text, _ in prompt) > 1 for prompt in batch.prompts[:1])


def wanted_examples(batch: Batch) -> bool:
    """Whether its prompts would have shown some, had there been any."""
    return bool(batch.settings.get("few_shot")) and not shows_examples(batch)


def few_shot(task: Task, examples: Sequence[Example], count: int, seed: int) -> list[Segment]:
    """`count` examples drawn by `seed`, as the beginning of a prompt: what a base that was not trained can go by (Lin et al. 2312.01552)."""
    pool = showable(examples)
    return _beginning(task, random.Random(seed).sample(pool, min(count, len(pool))))


def nearest(task: Task, examples: Sequence[Example], count: int, seed: int, asked: Mapping[str, str]) -> list[Segment]:
    """The `count` examples whose attribute values are most like those `asked` for, the likest last, as the beginning of a prompt (Liu et
    al. 2101.06804); among those alike drawn by `seed`. Fewer of long ones, but one. One with the very same values is shown too: without it
    the rest brings less."""
    pool = showable(examples)
    pool = random.Random(seed).sample(pool, min(len(pool), MOST_SOUGHT))
    chosen: list[Example] = []
    room = MOST_SHOWN
    for example in sorted(pool, key=lambda example: -_like(example.fields, asked))[:count]:
        room -= len(example.text)
        if room >= 0:
            chosen.insert(0, example)
    return _beginning(task, chosen)


def _beginning(task: Task, chosen: Iterable[Example]) -> list[Segment]:
    return [part for example in chosen for part in (*task.segments(example.fields), (example.text + "\n\n", 0.0))]


def _like(own: Mapping[str, str], asked: Mapping[str, str]) -> float:
    """How many values are the same; of others half the share of their words."""
    return sum(1.0 if own.get(name) == value else likeness(_long(own.get(name, "")), _long(value)) / 2 for name, value in asked.items())


@functools.lru_cache(4096)
def _long(value: str) -> frozenset[str]:
    return frozenset(telling(words(value)))
