"""`flavor-tui export ... dataset|dpo|kto`: the examples and what was preferred, as a file or a folder."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Literal

from core.errors import FlavorError
from core.task import Task
from core.text import clean_line, counted
from dataset.exporting import ENDINGS, Form, Table, preferences, split_rows, table, write_disk, write_file, write_folder
from dataset.rows import Example
from tui.commands.output import Line, Output, at_once
from tui.session.session import Session


def ask_licence(given: str, as_json: bool) -> str:
    """The licence of a card: as said, or asked for where there is somebody to ask."""
    if given or as_json or not sys.stdin.isatty():
        return given
    print("The card names a licence: cc-by-4.0, cc0-1.0, apache-2.0, other, ...", file=sys.stderr)  # noqa: T201
    try:
        with at_once():
            return input("licence: ").strip().lower()
    except EOFError:
        return given


def older_values(rows: Iterable[Example], task: Task) -> tuple[int, list[str]]:
    """How many rows have values of attributes that the task has no more, and which."""
    known = {field.name for field in task.fields}
    found = [[name for name in row.fields if name not in known] for row in rows]
    return sum(map(bool, found)), list(dict.fromkeys(name for names in found for name in names))


def _told(count: int, dest: Path, said: str, rows: Iterable[Example], task: Task, kept: bool, **more: Any) -> Line:
    """What was written where; and of which attributes that are no more there were values, since few other programs would say it."""
    many, older = older_values(rows, task)
    if older:
        names = clean_line(", ".join(older))
        said += f"\n{counted(many, 'row')} {'has' if many == 1 else 'have'} values of attributes that are no more{'' if kept else ', left out here'}: {names}"
        more["no_more"] = older
    return Line({"rows": count, "to": str(dest), **more}, f"{counted(count, 'row')} in {dest}{said}")


def as_table(rows: Iterable[Example], task: Task, dest: Path, form: Form = "rows", like: str = "") -> Table:
    """Rows in the form that a file of this ending has where none is named: Markdown has one only."""
    return table(rows, task, "raw" if (like or dest.suffix.lower()) == ".md" and form == "rows" else form)


async def export(
    workspace: Path,
    what: Literal["dataset", "dpo", "kto"],
    dest: Path,
    form: Form,
    how: str,
    split: str,
    licence: str,
    origins: Collection[str] = (),
) -> Output:
    """Write it: as `how` says (an ending, `folder` or `disk`), else as the ending of `dest` does. Of a file the rows of some origins alone."""
    like = f".{how}" if f".{how}" in ENDINGS else ""
    folder = how in ("folder", "disk") or (not like and not dest.suffix)
    with Session(workspace, read_only=True) as session:
        store, task = session.store, session.task
        if what != "dataset":
            with at_once():
                count = write_file(preferences(store, task, what), dest, like)
            yield Line({"rows": count, "to": str(dest)}, f"{counted(count, 'row')} in {dest}, for TRL's {what.upper()}Trainer")
            return
        if not store.examples:
            raise FlavorError("There is no example to export.", "Write or accept one first.", "empty")
        if origins and (folder or how == "disk"):
            raise FlavorError("--origin goes with a file.", "Give DEST an ending, for instance .csv.", "usage")
        splits = split_rows(store.examples)
        if split != "all" and split not in splits:
            raise FlavorError(
                "No row is held out yet.", "From eight rows of yours on there are some; --split all takes every row.", "empty"
            )
        if how == "disk":
            with at_once():
                count = write_disk({name: table(rows, task, form) for name, rows in splits.items() if split in ("all", name)}, dest)
            told = [row for name, rows in splits.items() if split in ("all", name) for row in rows]
            yield _told(count, dest, ", for datasets.load_from_disk", told, task, kept=False)
        elif folder:
            with at_once():
                counts = write_folder(store, task, dest, licence, form)
            count = sum(rows for path, rows in counts.items() if path.startswith("data/"))
            files = "".join(f"\n  {path}  {counted(rows, 'row')}" for path, rows in counts.items())
            yield _told(count, dest, f", with a card:{files}", store.examples.values(), task, form == "rows", files=counts)
        else:
            rows = list(store.examples.values()) if split == "all" else splits[split]
            rows = [row for row in rows if not origins or row.origin in origins]
            if not rows:
                raise FlavorError(f"No row is {' or '.join(sorted(origins))}.", "Leave --origin out.", "empty")
            with at_once():
                count = write_file(as_table(rows, task, dest, form, like), dest, like)
            yield _told(count, dest, "", rows, task, form == "rows" and (like or dest.suffix.lower()) == ".jsonl")
