"""`flavor-tui report`: the evening on the terminal, as Markdown and as a page."""

from __future__ import annotations

import os
from pathlib import Path

from core.errors import FlavorError
from core.files import exists, read_bytes, write_atomic
from core.text import clean_line
from tui.commands.output import Line, Output, Progress, start
from tui.report import markdown, terminal
from tui.report.contents import Report, gather
from tui.session import losses
from tui.session.session import Session

OURS = 400
"""Bytes at a file's beginning within which a report says that it is one."""


def write_report(report: Report, path: Path, form: str) -> None:
    """Write the report as `html` or `md`. Raises FlavorError where that fails, or another kind of file is there already."""
    from tui.report import page

    text, mark = (page.page(report), page.MARK) if form == "html" else (markdown.page(report), markdown.MARK)
    try:
        if exists(path) and mark.encode() not in read_bytes(path, OURS):
            raise FlavorError(f"{path} is there already, and is no report.", "Choose another name.", "exists")
        write_atomic(path, text)
    except OSError as error:
        raise FlavorError(f"{path} cannot be written: {error.strerror}.", "Choose another place.", "disk") from None


async def report(workspace: Path, html: Path | None, md: Path | None, measure: bool) -> Output:
    """The files where they are asked for, else the text; `measure`: the loss of every row under the active checkpoint before."""
    if html and md and os.path.realpath(html) == os.path.realpath(md):
        raise FlavorError("--html and --md name the same file.", "Choose two names.", "usage")
    with Session(workspace, read_only=not measure) as session:
        if measure:
            session.must_write()
            try:
                async for progress in start(session):
                    yield progress
                async for done in losses.measure(session):
                    if isinstance(done, float):
                        yield Progress(f"measuring the loss of {len(session.store.examples)} examples: {done:.0%}")
            finally:
                await session.stop_worker()
        told = await gather(session)
    for form, path in (("html", html), ("md", md)):
        if path:
            write_report(told, path, form)
    for section, text in terminal.text_of(told):
        table = {"head": section.table.head, "rows": section.table.rows} if section.table else {}
        quotes = {"quotes": [{"text": quote.text, "note": quote.note} for quote in section.quotes]} if section.quotes else {}
        yield Line({"section": section.title, "lines": section.lines, **table, **quotes}, "" if html or md else text)
    files = {form: str(path) for form, path in (("html", html), ("md", md)) if path}
    data = {
        "rows": sum(told.origins.values()),
        "origins": dict(told.origins),
        "verdicts": dict(told.verdicts),
        "active_seconds": round(told.activity.active, 1),
        "clock_seconds": round(told.activity.clock, 1),
        "conflicts": [{"rows": [each.first, each.second], "why": each.words} for each in told.conflicts],
        "odd": [{"row": each.outlier.row, "loss": each.outlier.loss, "signs": each.signs} for each in told.rows.odd],
        "next": {"action": told.next.action, "sentence": told.next.sentence},
        **files,
    }
    yield Line(data, f"The report is in {clean_line(' and '.join(files.values()))}." if files else "")
