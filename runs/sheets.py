"""`sheet.jsonl`: contact sheets, the same prompts and seeds at every checkpoint. One line a sheet, one a finished column of it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from core.errors import FlavorError
from core.files import append_line, read_jsonl, signature
from core.task import Segment

FILE = "sheet.jsonl"


class Sheet(msgspec.Struct, frozen=True, tag="sheet"):
    """What is asked of every checkpoint. `key` is a hash of the task and the settings: a change of either begins another sheet."""

    key: str
    created: str
    fields: list[dict[str, str]]
    """The attribute values of each prompt."""
    prompts: list[list[Segment]]
    seeds: list[int]
    settings: dict[str, bool | int | float | str]
    shown: list[Segment] = []
    """What the few-shot lane has before each prompt; empty: there is none."""


class Text(msgspec.Struct, frozen=True):
    text: str
    finish: str


class Column(msgspec.Struct, frozen=True, tag="column"):
    """What one lane wrote for every prompt of a sheet, in the prompts' order."""

    sheet: str
    lane: str
    created: str
    texts: list[Text]


class Sheets:
    """The file of a workspace. One writer: the session."""

    def __init__(self, workspace: Path) -> None:
        self.path = workspace / FILE
        self._seen: tuple[int, int, int] | None = None
        self._sheets: dict[str, Sheet] = {}
        self._columns: dict[tuple[str, str], Column] = {}

    def _read(self) -> None:
        seen = signature(self.path)
        if seen == self._seen:
            return
        self._seen, self._sheets, self._columns = seen, {}, {}
        for value in read_jsonl(self.path):
            with contextlib.suppress(msgspec.ValidationError):
                found = msgspec.convert(value, Sheet | Column)
                if isinstance(found, Sheet):
                    self._sheets[found.key] = found
                elif (sheet := self._sheets.get(found.sheet)) and len(found.texts) == len(sheet.prompts):
                    self._columns[found.sheet, found.lane] = found

    def sheet(self, key: str) -> Sheet | None:
        """The sheet of that key, if it was begun."""
        self._read()
        return self._sheets.get(key)

    def column(self, sheet: str, lane: str) -> Column | None:
        """A lane's texts, if they were made."""
        self._read()
        return self._columns.get((sheet, lane))

    def columns(self, sheet: str) -> dict[str, Column]:
        """All finished columns of a sheet, by lane, oldest first."""
        self._read()
        return {lane: column for (key, lane), column in self._columns.items() if key == sheet}

    def lanes(self) -> set[str]:
        """Whose columns were made, of any sheet."""
        self._read()
        return {lane for _, lane in self._columns}

    def add(self, made: Sheet | Column) -> None:
        """Append; it is on the disk when this returns. Raises FlavorError where it cannot be written."""
        try:
            append_line(self.path, msgspec.json.encode(made) + b"\n")
        except OSError as error:
            raise FlavorError(
                f"{FILE} could not be written: {error.strerror}.", "Make room; the columns before are kept.", "disk"
            ) from None
