"""Which attribute values have an example, and which combinations of them have none yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, product

from core.task import Field, Task

MOST_CELLS = 2000
"""A table of more combinations tells a person nothing."""


@dataclass(frozen=True)
class Cover:
    """How many examples each combination of the values of one or two fields has."""

    fields: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    """Of each field, in the task's order."""
    counts: Mapping[tuple[str, ...], int]
    """Every combination, those without an example as 0."""
    unlisted: tuple[str, ...] = ()
    """Values that examples have and that are no choices, each behind its field's name: such examples are in no combination."""
    outside: int = 0
    """The examples that have one."""

    @property
    def missing(self) -> list[tuple[str, ...]]:
        return [cell for cell, count in self.counts.items() if not count]


def coverage(task: Task, rows: Sequence[Mapping[str, str]]) -> list[Cover]:
    """A cover for each pair of fields whose values can be listed; for the only one, where there is one. `rows` are examples' values.

    Pairs, since what a model learns of an attribute it must learn apart from the others: an attribute that never came with another
    cannot be told from it. Free texts have no list of values and are left out.
    """
    listed = [field for field in task.fields if field.choices()]
    groups = combinations(listed, 2) if len(listed) > 1 else [(field,) for field in listed]
    return [_cover(group, rows) for group in groups if _cells(group) <= MOST_CELLS]


def _cells(group: Sequence[Field]) -> int:
    cells = 1
    for field in group:
        cells *= len(field.choices())
    return cells


def _cover(group: Sequence[Field], rows: Sequence[Mapping[str, str]]) -> Cover:
    found = Counter(tuple(row.get(field.name, "") for field in group) for row in rows)
    values = tuple(field.choices() for field in group)
    strays = [stray for row in rows if (stray := Task("", fields=tuple(group)).unlisted(row))]
    counts = {cell: found[cell] for cell in product(*values)}
    return Cover(tuple(field.name for field in group), values, counts, tuple(dict.fromkeys(chain(*strays))), len(strays))
