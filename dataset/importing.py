"""Rows from files: .jsonl, .csv, .md (the heading form), .txt. All or nothing, with one error that names file, line and remedy.

A file may come from anyone, so it is read in one pass, a line at a time, and everything in it is bounded: bytes, lines, the length
of a line, rows. What a terminal would hide or obey is refused, for nobody looks at imported rows one by one before they are trained on.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from core.errors import FlavorError
from core.reading import decode, read_regular
from core.task import Task
from core.text import MAX_TEXT, check_text, hidden, short
from dataset.rows import Parsed

MAX_BYTES = 20 * 1024 * 1024
MAX_ROWS = 10_000
MAX_LINES = 1_000_000
MAX_LINE = 1 << 20
"""Characters in one line: six for each of a text written out as \\uXXXX would be 120,000."""
MAX_COLUMNS = 1000
SUFFIXES = (".jsonl", ".csv", ".md", ".txt")

Lines = Iterator[tuple[int, str]]


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """A regular file as text. Raises FlavorError where it is absent, too large, a device, or not UTF-8 (with the byte)."""
    return decode(_bytes(path, limit), path)


def _bytes(path: Path, limit: int) -> bytes:
    try:
        return read_regular(path, limit, "import")
    except FileNotFoundError:
        raise FlavorError(f"{path} cannot be opened: No such file or directory.", "Check the name.", "missing") from None


def _wrong(message: str, hint: str) -> NoReturn:
    raise FlavorError(message, hint, "import")


def _lines(data: bytes) -> Lines:
    """The lines of a file with their numbers, without their ends. Decoded as they are read, so that a long file is never held twice."""
    file = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        if number > MAX_LINES:
            _wrong(f"line {number}: more than {MAX_LINES} lines.", "Split the file.")
        if len(line) == MAX_LINE:
            _wrong(f"line {number} has {MAX_LINE} characters or more.", "One row a line, and nothing else in it.")
        yield number, line.rstrip("\r\n")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it names {short(next(name for name in names if names.count(name) > 1), 20)!r} twice")
    return found


def _is_value(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and value not in (math.inf, -math.inf)


_decoder = json.JSONDecoder(object_pairs_hook=_no_doubles, parse_constant=_no_constant)


def _jsonl(lines: Lines, task: Task) -> Iterator[tuple[int, Parsed]]:
    known = {field.name for field in task.fields}
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row = _decoder.decode(line)
        except (ValueError, RecursionError) as error:
            _wrong(f"line {number} is not JSON ({short(str(error), 80)}).", "One object a line.")
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            _wrong(f"line {number} has no text.", 'A row: {"text": "...", "fields": {"Name": "value"}}.')
        fields = row.get("fields")
        if fields is None:  # fields may also stand beside the text; whatever is not a field of the task is then ignored
            fields = {name: value for name, value in row.items() if name in known}
        if not isinstance(fields, dict) or not all(map(_is_value, fields.values())):
            _wrong(f"line {number}: fields must be an object of texts.", '{"Name": "value"}')
        yield number, (row["text"], {name: str(value) for name, value in fields.items()})


def _csv(lines: Lines, task: Task) -> Iterator[tuple[int, Parsed]]:
    reader = csv.reader((line + "\n" for _, line in lines), strict=True)
    try:
        names = next(reader, [])
        if "text" not in names:
            _wrong("the first line has no column `text`.", "Name the columns: text, and one for each field.")
        if len(names) > MAX_COLUMNS or len(set(names)) < len(names):
            _wrong(f"the first line has more than {MAX_COLUMNS} columns, or two of one name.", "Each field once.")
        before = reader.line_num
        for cells in reader:
            number, before = before + 1, reader.line_num
            if len(cells) > len(names):
                _wrong(f"line {number} has more cells than columns.", "Quote cells that hold commas.")
            row = dict(zip(names, [*cells, *[""] * (len(names) - len(cells))], strict=True))
            if cells:
                yield number, (row.pop("text"), row)
    except csv.Error as error:
        _wrong(f"line {reader.line_num}: {error}.", "Write it as RFC 4180 CSV.")


class _Block:
    """The lines of one text, gathered up to the limit of a text."""

    def __init__(self) -> None:
        self.start = 0
        self._lines: list[str] = []
        self._size = 0

    def add(self, number: int, line: str) -> None:
        if not self._lines:
            if not line.strip():
                return
            self.start = number
        self._lines.append(line)
        self._size += len(line) + 1
        if self._size > 2 * MAX_TEXT:
            _wrong(f"line {self.start}: the text that begins here is too long.", f"At most {MAX_TEXT} characters.")

    def take(self) -> str:
        """The text so far; the block is empty again."""
        text = "\n".join(self._lines).strip()
        self._lines, self._size = [], 0
        return text


def _markdown(lines: Lines, task: Task) -> Iterator[tuple[int, Parsed]]:
    start, section = 0, ""
    fields: dict[str, str] = {}
    body = _Block()
    for number, line in lines:
        if re.match(r"#(\s|$)", line):
            if start:
                yield start, (body.take(), fields)
            start, section, fields, body = number, "", {}, _Block()
        elif not start:
            if line.strip():
                _wrong(f"line {number}: there is no `# Heading` above it.", "Each text stands under its own `# Heading`.")
        elif match := re.match(r"##\s+(.+)", line):
            section, body = match.group(1).strip(), _Block()
        elif section == task.attributes_heading and task.fields:
            name, colon, value = line.partition(":")
            name = name.strip()
            if line.strip() and (not colon or name in fields):
                _wrong(f"line {number} is not `Name: value`, or names it again.", "One attribute a line.")
            if line.strip():
                fields[name] = value.strip()
        else:
            body.add(number, line)
    if start:
        yield start, (body.take(), fields)


def _rule(line: str) -> bool:
    return bool(re.fullmatch(r"-{3,}|\*{3,}", line.strip()))


def _plain(lines: Iterable[tuple[int, str]], marked: bool) -> Iterator[tuple[int, Parsed]]:
    block = _Block()
    for number, line in lines:
        if _rule(line) if marked else not line.strip():
            if text := block.take():
                yield block.start, (text, {})
        else:
            block.add(number, line)
    if text := block.take():
        yield block.start, (text, {})


def _rows(suffix: str, data: bytes, task: Task) -> Iterator[tuple[int, Parsed]]:
    match suffix:
        case ".jsonl":
            return _jsonl(_lines(data), task)
        case ".csv":
            return _csv(_lines(data), task)
        case ".md":
            return _markdown(_lines(data), task)
        case _:
            return _plain(_lines(data), marked=any(_rule(line) for _, line in _lines(data)))


def _check(text: str, fields: dict[str, str], task: Task) -> Parsed:
    for what, value in (("the text", text), *fields.items()):
        if len(value) <= 2 * MAX_TEXT and (code := hidden(value)):
            _wrong(f"{short(what)} holds {code}, which a terminal hides or obeys.", "Take it out, or write what should be seen.")
    return check_text(text), task.check(fields)


def read_rows(path: Path, task: Task) -> list[Parsed]:
    """All rows of a file, checked against the task. Raises one FlavorError, naming the place, at the first bad one."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise FlavorError(f"{path} has an unknown ending.", f"Known: {', '.join(SUFFIXES)}.", "import")
    data = _bytes(path, MAX_BYTES)
    decode(data, path)  # names the byte; the text itself is made a line at a time
    rows: list[Parsed] = []
    try:
        for number, (body, fields) in _rows(suffix, data, task):
            try:
                rows.append(_check(body, fields, task))
            except FlavorError as error:
                raise FlavorError(f"line {number}: {error.message}", error.hint, error.kind) from None
            if len(rows) > MAX_ROWS:
                _wrong(f"line {number}: more than {MAX_ROWS} rows.", "Split the file.")
    except FlavorError as error:
        raise FlavorError(f"{path}, {error.message}", f"{error.hint} Nothing was imported.".strip(), error.kind) from None
    if not rows:
        raise FlavorError(f"{path} holds no rows.", "Nothing was imported.", "empty")
    return rows
