"""Which column holds the text and which the fields: by their names, or as the person said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import FlavorError
from core.task import Task
from core.text import MAX_TEXT, short
from dataset.importing.bounds import Columns, fault

USUAL = ("text", "completion", "output", "response", "chosen", "content", "description", "body", "story", "sentence")
"""Names under which a text stands where nobody says otherwise, the likeliest first."""
PROMPT, ANSWERS = "prompt", frozenset([*USUAL, "rejected", "label", "messages", "conversations", "conversation"])
"""A prompt is the text that is wanted, as those for pictures are, where no column of its record answers it, however badly."""
ANSWERED = ".responses"
"""Behind the name of a question, where Argilla's flat form has what people answered to it: a list, or nothing."""
MOST_NAMED = 12


@dataclass(frozen=True)
class Choice:
    """What the person said of a source; empty where its own names should decide."""

    text: str = ""
    """The column of the text."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Columns by the fields' names; an empty column takes the field from nowhere."""
    form: str = ""
    """How to read it, whatever its ending says: one of `FORMS`."""
    mark: str = ""
    """The line between plain texts."""
    split: str = ""
    """Of a dataset with several: the only one to take."""


@dataclass(frozen=True)
class Columned:
    """Where the text and the fields of a record are; empty where they are not."""

    text: str
    fields: Mapping[str, str]


def plain_name(name: str) -> str:
    """A name as it is compared: `Danger_Level` is `danger level`."""
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())


def match(names: Sequence[str], task: Task, choice: Choice, first: bool = True, own: str = "") -> Columned:
    """The columns of a record. Raises FlavorError where the person named one that is not there.

    `first`: whether it is the first of its source, whose only column is the text whatever it is called. `own`: the text's column as the
    record's form names it, which counts more than all names, but less than an attribute that is called so.
    """
    for name in (choice.text, *choice.fields.values()):
        if name and name not in names:
            raise fault(f"it has no column {short(name)!r}.", f"Its columns: {listed(names)}.")
    by_name: dict[str, str] = {}
    for name in names:
        by_name.setdefault(plain_name(name), name)
    text = choice.text or ("" if own in [plain_name(one.name) for one in task.fields] else own)
    if not text:
        text = next((by_name[like] for like in (*USUAL[:1], plain_name(task.text_heading), *USUAL[1:]) if like in by_name), "")
    if not text and not ANSWERS & {name.partition(".")[0] for name in by_name}:
        text = by_name.get(PROMPT, "")
    if not text and first and len(names) == 1:
        text = names[0]
    fields = {}
    for one in task.fields:
        like = plain_name(one.name)
        column = choice.fields[one.name] if one.name in choice.fields else by_name.get(like) or by_name.get(f"{like}{ANSWERED}", "")
        if column and (column != text or one.name in choice.fields):
            fields[one.name] = column
    answered = {name: column if name in choice.fields else _answered(column, names) for name, column in fields.items()}
    return Columned(choice.text or _answered(text, names), answered)


def _answered(column: str, names: Sequence[str]) -> str:
    """What people answered to an Argilla question counts more than the field of that name."""
    answers = f"{column}{ANSWERED}"
    return answers if answers in names else column


def cell(columns: Columns, column: str) -> tuple[str, Any]:
    """Where a value stands in this record, and the value: of an Argilla question its first answer, or the field that it asks of where
    nobody answered."""
    place = column.removesuffix(ANSWERED) if columns.get(column) in (None, []) else column
    value = columns.get(place)
    return place, value[0] if place.endswith(ANSWERED) and isinstance(value, list) else value


def listed(names: Sequence[str]) -> str:
    """Columns for a message."""
    return ", ".join(short(name, 30) for name in names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")


def no_text(names: Sequence[str]) -> FlavorError:
    """No column is known to hold the text."""
    return FlavorError(
        f"it has no text, or no column that is known to be it ({listed(names) or 'none'}).",
        "Say which: --text COLUMN.",
        "columns",
    )


def text_of(value: Any, column: str) -> str:
    """The text in a cell. Raises FlavorError where it is none."""
    if value is not None and not isinstance(value, str):
        raise fault(f"its {short(column, 30)!r} has no text.", "The column of the text must hold texts.")
    return value or ""


def scalar(value: Any) -> str | None:
    """A cell as text; None where it is none. A list with commas between; a whole float without its point, as spreadsheets make them of scales."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list):
        parts = ["" if part == [] else None if isinstance(part, list) else scalar(part) for part in value]
        return None if None in parts else ", ".join(part for part in parts if part)
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, float):
        if not math.isfinite(value):
            return "" if math.isnan(value) else None
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else str(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def spread(record: Columns, depth: int = 2) -> Columns:
    """A record whose objects are columns of their own: `meta.style`."""
    if not any(isinstance(value, dict) for value in record.values()):
        return record
    flat: Columns = {}
    for name, value in record.items():
        if isinstance(value, dict) and depth:
            flat.update({f"{name}.{inner}": deeper for inner, deeper in spread(value, depth - 1).items()})
        else:
            flat[name] = value
    return flat


def too_long(text: str) -> bool:
    """Whether it need not even be looked at."""
    return len(text) > 2 * MAX_TEXT
