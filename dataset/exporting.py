"""The examples as files that `import` and other tools read: .jsonl (lossless), .csv, .md (the heading form)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path

from core.errors import FlavorError
from core.files import write_atomic
from core.task import Task
from dataset.rows import Example


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


def write_rows(rows: Iterable[Example], task: Task, path: Path) -> int:
    """Write the rows to `path`, in the form its ending names; their number. Raises FlavorError where that cannot be done."""
    writer = _WRITERS.get(path.suffix.lower())
    if not writer:
        raise FlavorError(f"{path} has an unknown ending.", f"Known: {', '.join(_WRITERS)}.")
    kept = list(rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, writer(kept, task))
    except OSError as error:
        raise FlavorError(f"{path} cannot be written: {error.strerror}.", "Choose another place.") from None
    return len(kept)
