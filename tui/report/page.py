"""The report as one HTML file that needs nothing else: no script, no font, no picture from anywhere; light and dark as the reader's device is."""

from __future__ import annotations

from html import escape
from importlib import resources

from core.text import clean
from dataset.activity import seconds_of
from dataset.coverage import Cover
from tui.report.charts import pictures, words
from tui.report.contents import Report
from tui.report.words import Quote, Section, Table, cover_title, sections, when

MARK = '<meta name="generator" content="flavor-tui report">'
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Were a text ever taken for more than a text, nothing would be loaded or run."""
NAME = 16
"""Characters of a cell that is not broken in two."""


def _table(table: Table, heat: Cover | None) -> str:
    """`heat`: the table is a cover's, and the more examples a cell has the stronger its colour."""
    most = max(heat.counts.values(), default=0) if heat else 0

    def cell(place: int, text: str) -> str:
        if heat and place in table.numbers:
            count = int(text) if text.isdecimal() else 0
            kind = f'class="number" style="--heat:{round(100 * count / most)}%"' if count else 'class="none"'
        else:
            kind = f'class="{"number" if place in table.numbers else "short" if len(text) <= NAME else "long"}"'
        return f'<td {kind} dir="auto">{words(text)}</td>'

    head = "".join(
        f"<th dir=auto{' class=number' if place in table.numbers else ''}>{words(text)}</th>" for place, text in enumerate(table.head)
    )
    rows = "".join(f"<tr>{''.join(cell(place, text) for place, text in enumerate(row))}</tr>" for row in table.rows)
    of_texts = any(len(text) > 2 * NAME for row in table.rows for text in row)
    kind = "heat" if heat else "texts" if of_texts else "figures"
    return f'<div class="wide" tabindex="0"><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _quote(quote: Quote) -> str:
    return f'<blockquote><p dir="auto">{escape(clean(quote.text), quote=True)}</p><footer>{words(quote.note)}</footer></blockquote>'


def _section(section: Section, drawn: list[str], heat: Cover | None) -> str:
    lines = "".join(f'<p dir="auto">{words(line)}</p>' for line in section.lines)
    table = _table(section.table, heat) if section.table else ""
    quotes = "".join(map(_quote, section.quotes))
    return f"<section><h2>{words(section.title)}</h2>{lines}{''.join(drawn)}{table}{quotes}</section>"


def page(report: Report) -> str:
    """The whole page."""
    drawn = pictures(report)
    covers = {cover_title(cover): cover for cover in report.coverage}
    parts = [_section(each, drawn.get(each.picture, []), covers.get(each.title)) for each in sections(report)]
    style = resources.files("tui.report").joinpath("page.css").read_text("utf-8")
    about = f"{words(report.workspace)}, on {words(report.base)} · {when(seconds_of(report.made) or 0.0)}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">{MARK}\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{words(report.heading)}: the evening's report</title>\n<style>\n{style}</style></head>\n"
        f'<body><header><h1 dir="auto">{words(report.heading)}</h1><p dir="auto">{about}</p></header>\n<main>\n'
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )
