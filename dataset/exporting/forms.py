"""What a row looks like to whoever reads it: as it is kept, as prompt and completion, as a chat, raw, or as what was preferred."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from core.errors import FlavorError
from core.task import Task
from dataset.folds import held_out
from dataset.pairs import find_pairs, labelled
from dataset.rows import Example
from dataset.store import Store

Form = Literal["rows", "prompt", "chat", "raw", "dpo", "kto"]
FORMS: tuple[Form, ...] = ("rows", "prompt", "chat", "raw")
"""The forms of the examples; `dpo` and `kto` are those of preferences."""
Kinds = dict[str, Any]
"""Columns by kind: `text`, `bool`, `turns`, or the names in a struct of texts."""


@dataclass(frozen=True)
class Table:
    """Rows of one form."""

    kinds: Kinds
    rows: list[dict[str, Any]]


def _kinds(form: Form, task: Task) -> Kinds:
    match form:
        case "rows":
            fields = {"fields": [field.name for field in task.fields]} if task.fields else {}
            return {"text": "text", **fields, "origin": "text", "created": "text"}
        case "prompt":
            return {"prompt": "text", "completion": "text"}
        case "chat":
            return {"messages": "turns"}
        case "raw":
            return {"text": "text"}
        case "dpo":
            return {"prompt": "text", "chosen": "text", "rejected": "text"}
        case _:
            return {"prompt": "text", "completion": "text", "label": "bool"}


def _row(form: Form, example: Example, task: Task) -> dict[str, Any]:
    match form:
        case "rows":
            fields = {"fields": example.fields} if task.fields or example.fields else {}
            return {"text": example.text, **fields, "origin": example.origin, "created": example.created}
        case "prompt":
            return {"prompt": task.prompt(example.fields), "completion": example.text}
        case "chat":
            asked = {"role": "user", "content": task.prompt(example.fields).strip()}
            return {"messages": [asked, {"role": "assistant", "content": example.text}]}
        case _:
            return {"text": task.prompt(example.fields) + example.text}


def table(examples: Iterable[Example], task: Task, form: Form = "rows") -> Table:
    """Examples in one form. Raises FlavorError where the raw one cannot tell prompt and text apart."""
    rows = list(examples)
    if form == "raw":
        _check_raw(rows, task)
    return Table(_kinds(form, task), [_row(form, row, task) for row in rows])


def _check_raw(rows: Iterable[Example], task: Task) -> None:
    """Raises FlavorError where a text without values begins with a line that a prompt with values has: behind the bare heading it would be read
    as a part of the prompt."""
    opens = re.compile(rf"##[^\S\n]+({re.escape(task.attributes_heading)}|{re.escape(task.text_heading)})[^\S\n]*(\n|$)")
    if any(opens.match(row.text) and not task.only(row.fields) for row in rows):
        raise FlavorError(
            "A text begins with a ## line itself, as one that has attributes does.", "Export .jsonl or .csv in the usual form."
        )


def with_all_names(splits: Mapping[str, Table]) -> dict[str, Table]:
    """Splits whose rows have all names of all rows in their `fields`, with nothing behind those that they lack: `datasets` knows the names of the
    first split only, and refuses another one that has more."""
    rows = [row for found in splits.values() for row in found.rows]
    names = (name for found in splits.values() for name in found.kinds.get("fields", ()))
    blank = dict.fromkeys((*names, *(name for row in rows for name in row.get("fields", ()))), "")
    if not blank:
        return dict(splits)
    return {
        split: replace(found, rows=[{**row, "fields": {**blank, **row.get("fields", {})}} for row in found.rows])
        for split, found in splits.items()
    }


def preferences(store: Store, task: Task, form: Form) -> Table:
    """What the person preferred, as TRL's trainers take it. Raises FlavorError where there is nothing.

    dpo: prompt, chosen, rejected, from edits and rejections. kto: prompt, completion, label (whether it is wanted).
    """
    rows: list[tuple[Any, ...]] = (
        [("".join(text for text, _ in pair.prompt), pair.chosen, pair.rejected) for pair in find_pairs(store, task)]
        if form == "dpo"
        else [*labelled(store, task)]
    )
    if not rows:
        raise FlavorError("There is nothing to prefer yet.", "Write examples, and reject or edit candidates first.", "empty")
    kinds = _kinds(form, task)
    return Table(kinds, [dict(zip(kinds, row, strict=True)) for row in rows])


def split_rows(examples: Mapping[str, Example]) -> dict[str, list[Example]]:
    """`train` and `test`: the rows that a run afresh holds out are the test split, where there are any. A refit is trained on all."""
    out = held_out(uid for uid, example in examples.items() if example.human)
    splits = {
        "train": [row for uid, row in examples.items() if uid not in out],
        "test": [row for uid, row in examples.items() if uid in out],
    }
    return {name: rows for name, rows in splits.items() if rows}
