"""The examples as files that `import` and other tools read: .jsonl (lossless), .csv, .md (the heading form); and what was preferred."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from core.errors import FlavorError
from core.files import write_atomic
from core.task import Task
from dataset.pairs import find_pairs, labelled
from dataset.rows import Example
from dataset.store import Store


def _jsonl(rows: Iterable[Example], task: Task) -> str:
    keys = ("text", "fields", "origin", "created")
    return "".join(json.dumps({key: getattr(row, key) for key in keys}, ensure_ascii=False) + "\n" for row in rows)


def _csv(rows: Iterable[Example], task: Task) -> str:
    out = io.StringIO(newline="")
    names = [field.name for field in task.fields]
    writer = csv.writer(out)
    writer.writerow(["text", *names])
    writer.writerows([row.text, *(row.fields.get(name, "") for name in names)] for row in rows)
    return out.getvalue()


def _markdown(rows: Iterable[Example], task: Task) -> str:
    return "\n".join(task.prompt(row.fields) + row.text + "\n" for row in rows)


_WRITERS = {".jsonl": _jsonl, ".csv": _csv, ".md": _markdown}


def write_preferences(store: Store, task: Task, form: Literal["dpo", "kto"], path: Path) -> int:
    """Write what the person preferred, as .jsonl in the form that TRL's trainers take; the number of rows.

    dpo: prompt, chosen, rejected. kto: prompt, completion, label (whether it is wanted). Raises FlavorError where there is nothing.
    """
    if form == "dpo":
        names: tuple[str, ...] = ("prompt", "chosen", "rejected")
        rows: list[tuple[str | bool, ...]] = [
            ("".join(text for text, _ in pair.prompt), pair.chosen, pair.rejected) for pair in find_pairs(store, task)
        ]
    else:
        names, rows = ("prompt", "completion", "label"), [*labelled(store, task)]
    if not rows:
        raise FlavorError("There is nothing to prefer yet.", "Write examples, and reject or edit candidates first.", "empty")
    _write(path, "".join(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n" for row in rows))
    return len(rows)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text)
    except OSError as error:
        raise FlavorError(f"{path} cannot be written: {error.strerror}.", "Choose another place.") from None


def write_rows(rows: Iterable[Example], task: Task, path: Path) -> int:
    """Write the rows to `path`, in the form its ending names; their number. Raises FlavorError where that cannot be done."""
    writer = _WRITERS.get(path.suffix.lower())
    if not writer:
        raise FlavorError(f"{path} has an unknown ending.", f"Known: {', '.join(_WRITERS)}.")
    kept = list(rows)
    _write(path, writer(kept, task))
    return len(kept)
