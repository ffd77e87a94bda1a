"""CSV and TSV: the first line names the columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from itertools import count

from core.text import short
from dataset.importing.bounds import MAX_COLUMNS, Found, lines, wrong

GUARDED = re.compile(r"'+[=+\-@\t\r＝＋－＠]")
"""A cell that an export guarded against being taken for a formula: a `'` before what a spreadsheet would calculate."""


def _separator(data: bytes, tabs: bool) -> str:
    """The separator: a tab, or what the first line that is not blank has: commas, or the semicolons of spreadsheets in half of Europe, or tabs."""
    if tabs:
        return "\t"
    head = data[:10_000].decode("utf-8-sig", "replace").lstrip(" \r\n").partition("\n")[0]
    return next((mark for mark in (",", ";", "\t") if mark in head), ",")


def _own(cell: str) -> str:
    """A cell without the guard against formulas."""
    return cell[1:] if cell[:1] == "'" and GUARDED.match(cell) else cell


def _all_named(cells: Sequence[str]) -> list[str]:
    """Names of columns; one without has its number, or where another is called so the next that is free."""
    taken = set(cells)
    names = []
    for number, name in enumerate(cells, 1):
        names.append(name or next(free for n in count(number) if (free := f"column {n}") not in taken))
        taken.add(names[-1])
    return names


def delimited(data: bytes, tabs: bool = False) -> Found:
    """One record a row, by the names in the first line that is not blank. A cell that was guarded against formulas is itself again; an empty one
    of a column without a name is left out."""
    reader = csv.reader((line + "\n" for _, line in lines(data)), delimiter=_separator(data, tabs), strict=True)
    try:
        head = next((cells for cells in reader if any(map(str.strip, cells))), [])
        named = [_own(name).strip() for name in head]
        before = reader.line_num
        if len(named) > MAX_COLUMNS:
            wrong(f"line {before}: more than {MAX_COLUMNS} columns.", "Leave out what is not text.")
        names = _all_named(named)
        if len(set(names)) < len(names):
            twice = next(name for at, name in enumerate(names) if name in names[:at])
            wrong(f"line {before}: two columns are called {short(twice, 30)!r}.", "Each column once.")
        for cells in reader:
            number, before = before + 1, reader.line_num
            if len(cells) > len(names):
                wrong(f"line {number} has more cells than columns.", "Quote cells that hold separators.")
            if cells:
                own = [*map(_own, cells), *[""] * (len(names) - len(cells))]
                yield f"line {number}", {name: cell for name, was, cell in zip(names, named, own, strict=True) if was or cell}
    except csv.Error as error:
        wrong(f"line {reader.line_num}: {error}.", "Write it as RFC 4180 CSV.")
