"""Rows from files: .jsonl, .csv, .md (the heading form), .txt. All or nothing, with errors that name file, line and remedy."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from core.errors import FlavorError
from core.task import Task
from core.text import check_text
from dataset.rows import Parsed

MAX_BYTES = 20 * 1024 * 1024
MAX_ROWS = 10_000
SUFFIXES = (".jsonl", ".csv", ".md", ".txt")


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """A regular file as text. Raises FlavorError where it is absent, too large, a device, or not UTF-8 (with the byte)."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise FlavorError(f"{path} cannot be opened: {error.strerror}.", "Check the name.", "missing") from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise FlavorError(f"{path} is not a regular file.", "Give a file.", "import")
    with os.fdopen(handle, "rb") as file:
        if status.st_size > limit:
            raise FlavorError(f"{path} has {status.st_size} bytes; the limit is {limit}.", "Split it.", "import")
        data = file.read(limit + 1)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FlavorError(f"{path} is not UTF-8 at byte {error.start}.", "Save it as UTF-8.", "import") from None


def _jsonl(text: str, task: Task) -> Iterator[tuple[int, Parsed]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FlavorError(f"line {number} is not JSON ({str(error)[:80]}).", "One object a line.", "import") from None
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise FlavorError(f"line {number} has no text.", 'A row: {"text": "...", "fields": {"Name": "value"}}.', "import")
        fields = row.get("fields")
        if fields is None:  # fields may also stand beside the text; whatever is not a field of the task is then ignored
            known = {field.name for field in task.fields}
            fields = {name: value for name, value in row.items() if name in known}
        if not isinstance(fields, dict) or not all(isinstance(v, str | int | float) and not isinstance(v, bool) for v in fields.values()):
            raise FlavorError(f"line {number}: fields must be an object of texts.", '{"Name": "value"}', "import")
        yield number, (row["text"], {str(name): str(value) for name, value in fields.items()})


def _csv(text: str, task: Task) -> Iterator[tuple[int, Parsed]]:
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        if "text" not in (reader.fieldnames or []):
            raise FlavorError("the first line has no column `text`.", "Name the columns: text, and one for each field.", "import")
        for row in reader:
            if None in row:
                raise FlavorError(f"line {reader.line_num} has more cells than columns.", "Quote cells that hold commas.", "import")
            yield reader.line_num, (row.pop("text") or "", {name: value or "" for name, value in row.items()})
    except csv.Error as error:
        raise FlavorError(f"line {reader.line_num}: {error}.", "Write it as RFC 4180 CSV.", "import") from None


def _markdown(text: str, task: Task) -> Iterator[tuple[int, Parsed]]:
    lines = text.replace("\r\n", "\n").split("\n")
    starts = [number for number, line in enumerate(lines) if re.match(r"#\s", line)]
    if not starts:
        raise FlavorError("line 1: there is no `# Heading`.", "Each text stands under its own `# Heading`.", "import")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        fields: dict[str, str] = {}
        body: list[str] = []
        section = ""
        for number in range(start + 1, end):
            line = lines[number]
            if match := re.match(r"##\s+(.+)", line):
                section = match.group(1).strip()
                body = []
            elif section == task.attributes_heading and task.fields:
                name, colon, value = line.partition(":")
                if line.strip() and not colon:
                    raise FlavorError(f"line {number + 1} is not `Name: value`.", "One attribute a line.", "import")
                if line.strip():
                    fields[name.strip()] = value.strip()
            else:
                body.append(line)
        yield start + 1, ("\n".join(body).strip(), fields)


def _plain(text: str, task: Task) -> Iterator[tuple[int, Parsed]]:
    lines = text.replace("\r\n", "\n").split("\n")
    marked = any(re.fullmatch(r"-{3,}|\*{3,}", line.strip()) for line in lines)
    block: list[str] = []
    for number, line in enumerate([*lines, "---" if marked else ""], 1):
        ends = bool(re.fullmatch(r"-{3,}|\*{3,}", line.strip())) if marked else not line.strip()
        if not ends:
            block.append(line)
        elif any(part.strip() for part in block):
            yield number - len(block), ("\n".join(block).strip(), {})
            block = []
        else:
            block = []


_READERS = {".jsonl": _jsonl, ".csv": _csv, ".md": _markdown, ".txt": _plain}


def read_rows(path: Path, task: Task) -> list[Parsed]:
    """All rows of a file, checked against the task. Raises one FlavorError, naming the place, at the first bad one."""
    reader = _READERS.get(path.suffix.lower())
    if not reader:
        raise FlavorError(f"{path} has an unknown ending.", f"Known: {', '.join(SUFFIXES)}.", "import")
    text = read_text(path)
    rows: list[Parsed] = []
    try:
        for number, (body, fields) in reader(text, task):
            try:
                rows.append((check_text(body), task.check(fields)))
            except FlavorError as error:
                raise FlavorError(f"line {number}: {error.message}", error.hint, error.kind) from None
            if len(rows) > MAX_ROWS:
                raise FlavorError(f"line {number}: more than {MAX_ROWS} rows.", "Split the file.", "import")
    except FlavorError as error:
        raise FlavorError(f"{path}, {error.message}", f"{error.hint} Nothing was imported.".strip(), error.kind) from None
    if not rows:
        raise FlavorError(f"{path} holds no rows.", "Nothing was imported.", "empty")
    return rows
