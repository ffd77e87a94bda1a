"""`flavor-tui export ... dataset|dpo|kto`: the examples and what was preferred, as a file or a folder."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Literal

from core.errors import FlavorError
from core.task import Task
from core.text import clean_line, counted
from dataset.exporting import (
    ENDINGS,
    Form,
    Table,
    as_text,
    check_free,
    preferences,
    split_rows,
    table,
    write_disk,
    write_file,
    write_folder,
)
from dataset.rows import Example
from tui.commands.output import Line, Note, Output, at_once, pour
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


def has_card(how: str, dest: Path) -> bool:
    """Whether a dataset goes into a folder with a card: as `how` says (`--as`; empty: nothing), else where DEST has no ending."""
    return how == "folder" or not (how or dest.suffix)


def older_values(rows: Iterable[Example], task: Task) -> tuple[int, list[str]]:
    """How many rows have values of attributes that the task has no more, and which."""
    known = {field.name for field in task.fields}
    found = [[name for name in row.fields if name not in known] for row in rows]
    return sum(map(bool, found)), list(dict.fromkeys(name for names in found for name in names))


def older_note(rows: Iterable[Example], task: Task, kept: bool) -> str:
    """Of which attributes that are no more there were values, since few other programs would say it; empty where there were none."""
    many, older = older_values(rows, task)
    if not older:
        return ""
    left_out = "" if kept else ", left out here"
    return f"{counted(many, 'row')} {'has' if many == 1 else 'have'} values of attributes that are no more{left_out}: {clean_line(', '.join(older))}"


def _told(count: int, dest: Path, said: str, rows: Collection[Example], task: Task, kept: bool, **more: Any) -> Line:
    """What was written where, with the note on older attributes."""
    if note := older_note(rows, task, kept):
        said += f"\n{note}"
        more["no_more"] = older_values(rows, task)[1]
    return Line({"rows": count, "to": str(dest), **more}, f"{counted(count, 'row')} in {dest}{said}")


def as_table(rows: Iterable[Example], task: Task, dest: Path, form: Form = "rows", like: str = "") -> Table:
    """Rows in the form that a file of this ending has where none is named: Markdown has one only."""
    return table(rows, task, "raw" if (like or dest.suffix.lower()) == ".md" and form == "rows" else form)


def keeps_older(dest: Path, form: Form = "rows", like: str = "") -> bool:
    """Whether a file of this ending keeps the values of attributes that the task has no more."""
    return form == "rows" and (like or dest.suffix.lower()) == ".jsonl"


def _put(found: Table, dest: Path | None, like: str) -> int:
    """Write a table into a file, or as that file would be on standard output; its number of rows."""
    with at_once():
        if dest is not None:
            return write_file(found, dest, like)
        pour(as_text(found, like))
        return len(found.rows)


async def export(
    workspace: Path,
    what: Literal["dataset", "dpo", "kto"],
    dest: Path | None,
    form: Form,
    how: str,
    split: str,
    licence: str,
    origins: Collection[str] = (),
    as_json: bool = False,
) -> Output:
    """Write it: as `how` says (an ending, `folder` or `disk`), else as the ending of `dest` does. Of a file the rows of some origins alone. The
    licence of a card is asked for where none is given, when the rest is known to be right. `dest` None: the data alone on standard output, as
    `how` says."""
    like = f".{how}" if f".{how}" in ENDINGS else ""
    folder = dest is not None and (how == "disk" or has_card(how, dest))
    with Session(workspace, read_only=True) as session:
        store, task = session.store, session.task
        if what != "dataset":
            count = _put(preferences(store, task, what), dest, like)
            if dest is not None:
                yield Line({"rows": count, "to": str(dest)}, f"{counted(count, 'row')} in {dest}, for TRL's {what.upper()}Trainer")
            return
        if not store.examples:
            raise FlavorError("There is no example to export.", "Write or accept one first.", "empty")
        if origins and folder:
            raise FlavorError("--origin goes with a file.", "Give DEST an ending, for instance .csv.", "usage")
        splits = split_rows(store.examples)
        if split != "all" and split not in splits:
            raise FlavorError(
                "No row is held out yet.", "From eight rows of yours on there are some; --split all takes every row.", "empty"
            )
        if dest is not None and how == "disk":
            with at_once():
                count = write_disk({name: table(rows, task, form) for name, rows in splits.items() if split in ("all", name)}, dest)
            told = [row for name, rows in splits.items() if split in ("all", name) for row in rows]
            yield _told(count, dest, ", for datasets.load_from_disk", told, task, kept=False)
        elif dest is not None and folder:
            check_free(dest)
            licence = ask_licence(licence, as_json)
            with at_once():
                counts = write_folder(store, task, dest, licence, form)
            count = sum(rows for path, rows in counts.items() if path.startswith("data/"))
            files = "".join(f"\n  {path}  {counted(rows, 'row')}" for path, rows in counts.items())
            yield _told(count, dest, f", with a card:{files}", store.examples.values(), task, form == "rows", files=counts)
        else:
            rows = list(store.examples.values()) if split == "all" else splits[split]
            rows = [row for row in rows if not origins or row.origin in origins]
            if not rows:
                of, options = ("", "--origin") if split == "all" else (f" of {split}", "--split or --origin")
                raise FlavorError(f"No row{of} has the origin {' or '.join(sorted(origins))}.", f"Leave {options} out.", "empty")
            place = dest or Path()
            count, kept = _put(as_table(rows, task, place, form, like), dest, like), keeps_older(place, form, like)
            if dest is not None:
                yield _told(count, dest, "", rows, task, kept)
            elif note := older_note(rows, task, kept):
                yield Note(note)
