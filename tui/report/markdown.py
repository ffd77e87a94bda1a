"""The report as Markdown: data is escaped, so that a text shows as it is and makes no heading, link, table or HTML."""

from __future__ import annotations

import re

from core.text import clean, clean_line
from dataset.activity import seconds_of
from tui.report.contents import Report
from tui.report.words import Section, Table, sections, when

MARK = "<!-- flavor-tui report -->"
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&$]|:(?=//)|(?<=www)\.)", re.IGNORECASE)
"""What is a mark anywhere; an address is a link without any, but for what is escaped in it."""
_AT = "<!-- -->@"
"""In a mail address: GitHub's own renderer makes a link of one with `\\@` or `&#64;` all the same."""
_AT_START = re.compile(r"^(\s*)([-+#=]|\d+[.)])", re.MULTILINE)
"""What is a list, a heading or a rule at the beginning of a line only."""


def escaped(text: str) -> str:
    """`text` as Markdown that shows it."""
    return _AT_START.sub(_at_start, _SPECIAL.sub(r"\\\1", clean(text))).replace("@", _AT)


def _at_start(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2][:-1]}\\{match[2][-1]}"


def _cell(text: str) -> str:
    return escaped(clean_line(text))


def _table(table: Table) -> list[str]:
    rules = ["---:" if place in table.numbers else "---" for place in range(len(table.head))]
    rows = [[_cell(cell) for cell in row] for row in (table.head, *table.rows)]
    drawn = [f"| {' | '.join(row)} |" for row in rows]
    return [drawn[0], f"| {' | '.join(rules)} |", *drawn[1:]]


def _quoted(text: str) -> list[str]:
    """The lines of a quote that shows `text` line for line, with the blanks before each: Markdown would run them together."""
    lines = text.split("\n")
    return [_quoted_line(line, breaks=bool(after.strip())) for line, after in zip(lines, [*lines[1:], ""], strict=True)]


def _quoted_line(line: str, breaks: bool) -> str:
    """`breaks`: another line of its paragraph comes after it."""
    said = line.rstrip()
    words = said.lstrip(" ")
    return (f"> {'&nbsp;' * (len(said) - len(words))}{escaped(words)}" + ("\\" if breaks else "")) if said else ">"


def _section(section: Section) -> list[str]:
    parts = [[f"## {_cell(section.title)}"], *([escaped(line)] for line in section.lines)]
    if section.table:
        parts.append(_table(section.table))
    for quote in section.quotes:
        parts.append([*_quoted(quote.text), ">", f"> *{_cell(quote.note)}*"])
    return ["\n".join(part) for part in parts]


def page(report: Report) -> str:
    """The whole report."""
    made = when(seconds_of(report.made) or 0.0)
    head = [MARK, f"# {_cell(report.heading)}", f"{_cell(report.workspace)}, on {_cell(report.base)}, {_cell(made)}"]
    return "\n\n".join([*head, *(part for section in sections(report) for part in _section(section))]) + "\n"
