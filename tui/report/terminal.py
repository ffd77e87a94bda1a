"""The report for a terminal: tables in columns, pictures of plain characters. Each piece of text goes with its style; a pipe drops that."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from core.text import clean_line
from tui.report.contents import Report
from tui.report.plot import plot
from tui.report.words import Section, Table, sections

Part = tuple[str, str]
"""A text, with its newlines, and its style."""
BLOCKS = "▁▂▃▄▅▆▇█"
GAP = 2
WIDEST = 46
"""Characters of a cell that is a figure or a name."""
BAR = 30
"""Cells from 0 to 100 %."""


def columns(table: Table, width: int) -> list[str]:
    """The table's lines, its head first; the widest columns are cut where it does not fit."""
    rows = [[clean_line(cell) for cell in row] for row in (table.head, *table.rows)]
    sizes = [max(cell_len(row[place]) for row in rows) for place in range(len(table.head))]
    while sum(sizes) + GAP * (len(sizes) - 1) > width and max(sizes) > 4:
        sizes[sizes.index(max(sizes))] -= 1
    return ["".join(_cells(row, sizes, table.numbers)).rstrip() for row in rows]


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> str:
    """`text` in lines of at most `width` cells; a number keeps its per cent sign."""
    joined = clean_line(text).replace(" %", "\u00a0%")
    return "\n".join(textwrap.wrap(joined, width, initial_indent=first, subsequent_indent=rest) or [""]).replace("\u00a0", " ")


def told(table: Table, width: int) -> list[str]:
    """The rows of a table of texts as paragraphs, where columns would cut them; there is no head then, so numbers are named."""

    def named(place: int, cell: str) -> str:
        return f"{table.head[place]} {cell}" if place in table.numbers else cell

    return [_wrapped("  ".join(named(place, cell) for place, cell in enumerate(row) if cell), width, "· ", "  ") for row in table.rows]


def of_texts(table: Table) -> bool:
    """Whether its cells are read rather than compared. Before numbers the first cell of a row is its name: that may be cut, as columns are,
    but without the head nobody could tell which number is which."""
    first = 1 if table.numbers else 0
    return any(len(cell) > WIDEST for row in table.rows for cell in row[first:])


def _cells(row: Sequence[str], sizes: Sequence[int], numbers: frozenset[int]) -> list[str]:
    shown = []
    for place, (cell, size) in enumerate(zip(row, sizes, strict=True)):
        text = cell if cell_len(cell) <= size else set_cell_size(cell, size - 1) + "…"
        padding = " " * (size - cell_len(text))
        shown.append((padding + text if place in numbers else text + padding) + " " * GAP)
    return shown


def spark(values: Sequence[float]) -> str:
    """Values as blocks, the lowest the smallest."""
    low, high = min(values), max(values)
    if high == low:
        return BLOCKS[0] * len(values)
    return "".join(BLOCKS[round((value - low) / (high - low) * (len(BLOCKS) - 1))] for value in values)


def whisker(low: float, middle: float, high: float, cells: int = BAR) -> str:
    """A share of 1 with its interval on a line of `cells`."""
    first, dot, last = (round(end * (cells - 1)) for end in (low, middle, high))
    line = [" "] * cells
    line[first : last + 1] = "─" * (last + 1 - first)
    line[first], line[last] = "├", "┤"
    line[dot] = "●"
    return "".join(line)


def _rounds(report: Report) -> list[str]:
    lines = [
        f"{told.checkpoint:<16}│{whisker(told.interval()[0], told.share, told.interval()[1])}│ {told.share:4.0%} kept"
        for told in report.rounds
    ]
    return [*lines, f"{'':<16}0{'100 %':>{BAR + 3}}"]


def _runs(report: Report) -> list[str]:
    return [
        f"{course.run}  {course.rows:>4} rows  {course.losses[0][1]:.3f} {spark([loss for _, loss in course.losses])} {course.losses[-1][1]:.3f}"
        + (f"  epoch {course.chosen} chosen" if course.chosen is not None else "")
        for course in report.courses
    ]


def _losses(report: Report, bins: int = 40) -> list[str]:
    """How many rows have which loss."""
    values = sorted(report.rows.losses.values())
    low, high = values[0], values[-1]
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / ((high - low) or 1) * bins))] += 1
    most = max(counts)
    drawn = "".join(BLOCKS[round(count / most * (len(BLOCKS) - 1))] if count else " " for count in counts)
    return [drawn, "─" * bins, f"{low:.2f}{high:>{bins - 4}.2f} nats a token"]


def _picture(section: Section, report: Report) -> list[str]:
    match section.picture:
        case "rounds":
            return _rounds(report)
        case "curve":
            return plot(report.outlook.forecast)
        case "runs" if report.courses:
            return ["held-out loss, from the start of each run to its last epoch", *_runs(report)]
        case "losses" if len(report.rows.losses) > 1:
            return _losses(report)
        case _:
            return []


def parts_of(section: Section, report: Report, width: int) -> list[Part]:
    """A section in pieces; `width` in cells."""
    found: list[Part] = [(section.title + "\n", "bold $text-accent")]
    for number, line in enumerate(section.lines):
        style = "bold" if section.title == "What to do next" and not number else ""
        found.append((_wrapped(line, width) + "\n", style))
    if picture := _picture(section, report):
        found.append(("\n" + "\n".join(picture) + "\n", "$text-success"))
    if section.table and of_texts(section.table):
        found.append(("\n" + "\n".join(told(section.table, width)) + "\n", ""))
    elif section.table:
        head, *rows = columns(section.table, width)
        found += [("\n" + head + "\n", "$text-muted"), ("\n".join(rows) + "\n", "")]
    for quote in section.quotes:
        paragraphs = [_wrapped(part, width, "  ", "  ") for part in quote.text.split("\n")]
        note = _wrapped(quote.note, width, "  ", "  ")
        found += [("\n" + "\n".join(paragraphs) + "\n", ""), (note + "\n", "$text-muted")]
    return found


def text_of(report: Report, width: int = 100) -> list[tuple[Section, str]]:
    """Every section with its text, for a pipe."""
    return [(section, "".join(text for text, _ in parts_of(section, report, width))) for section in sections(report)]
