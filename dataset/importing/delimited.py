"""CSV and TSV: the first line names the columns."""

from __future__ import annotations

import csv
import re

from dataset.importing.bounds import MAX_COLUMNS, Found, lines, wrong

GUARDED = re.compile(r"'+[=+\-@\t\r＝＋－＠]")
"""A cell that an export guarded against being taken for a formula: a `'` before what a spreadsheet would calculate."""


def _separator(data: bytes, tabs: bool) -> str:
    """The separator: a tab, or what the first line has: commas, or the semicolons of spreadsheets in half of Europe, or tabs."""
    if tabs:
        return "\t"
    head = data[:10_000].decode("utf-8-sig", "replace").partition("\n")[0]
    return next((mark for mark in (",", ";", "\t") if mark in head), ",")


def _own(cell: str) -> str:
    """A cell without the guard against formulas."""
    return cell[1:] if cell[:1] == "'" and GUARDED.match(cell) else cell


def delimited(data: bytes, tabs: bool = False) -> Found:
    """One record a row, by the names in the first line. A cell that was guarded against formulas is itself again."""
    reader = csv.reader((line + "\n" for _, line in lines(data)), delimiter=_separator(data, tabs), strict=True)
    try:
        names = [_own(name).strip() for name in next(reader, [])]
        if len(names) > MAX_COLUMNS or len(set(names)) < len(names):
            wrong(f"line 1: more than {MAX_COLUMNS} columns, or two of one name.", "Each column once.")
        before = reader.line_num
        for cells in reader:
            number, before = before + 1, reader.line_num
            if len(cells) > len(names):
                wrong(f"line {number} has more cells than columns.", "Quote cells that hold separators.")
            if cells:
                own = list(map(_own, cells))
                yield f"line {number}", dict(zip(names, [*own, *[""] * (len(names) - len(own))], strict=True))
    except csv.Error as error:
        wrong(f"line {reader.line_num}: {error}.", "Write it as RFC 4180 CSV.")
