"""What an import may cost: bytes, lines, rows; and how a fault in a file is said. Readers stop at these before they hold much."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from core.errors import FlavorError
from core.text import MAX_TEXT

MAX_BYTES = 20 * 1024 * 1024
"""Of one file."""
MAX_ROWS = 10_000
MAX_LINES = 1_000_000
MAX_LINE = 1 << 20
"""Characters in one line or one JSON object: six for each of a text written out as \\uXXXX would be 120,000."""
MAX_COLUMNS = 1000
MAX_FILES = 10_000
"""In a folder; a Kiln project has one for each run."""
MAX_FAULTS = 20
"""After so many a reader stops: nothing will be imported anyway."""

Lines = Iterator[tuple[int, str]]
Columns = dict[str, Any]
"""A record as a file holds it: values by column."""


class Ready(NamedTuple):
    """A text whose fields the form itself names, as Markdown and plain text do."""

    text: str
    fields: dict[str, str]


Found = Iterator[tuple[str, Ready | Columns | FlavorError]]
"""What a reader finds: where (`line 3`), and the record there or what is wrong with it. What ends the reading is raised instead."""


def fault(message: str, hint: str) -> FlavorError:
    """What is wrong, and the remedy."""
    return FlavorError(message, hint, "import")


def wrong(message: str, hint: str) -> NoReturn:
    raise fault(message, hint)


def lines(data: bytes) -> Lines:
    """The lines of a file with their numbers, without their ends. Decoded as they are read, so that a long file is never held twice."""
    file = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        if number > MAX_LINES:
            wrong(f"line {number}: more than {MAX_LINES} lines.", "Split the file.")
        if len(line) == MAX_LINE:
            wrong(f"line {number} has {MAX_LINE} characters or more.", "One row a line, and nothing else in it.")
        yield number, line.rstrip("\r\n")


class Block:
    """The lines of one text, gathered up to the limit of a text."""

    def __init__(self) -> None:
        self.start = 0
        self._lines: list[str] = []
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, number: int, line: str) -> None:
        if not self._lines:
            if not line.strip():
                return
            self.start = number
        self._lines.append(line)
        self._size += len(line) + 1
        if self._size > 2 * MAX_TEXT:
            wrong(f"line {self.start}: the text that begins here is too long.", f"At most {MAX_TEXT} characters.")

    def take(self) -> str:
        """The text so far; the block is empty again."""
        text = "\n".join(self._lines).strip()
        self._lines, self._size = [], 0
        return text
