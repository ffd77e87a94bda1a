"""`flavor-tui report`: the evening on the terminal, as Markdown and as a page."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from core.errors import FlavorError
from core.files import exists, read_bytes, write_atomic
from core.text import clean_line
from tui.commands.output import Line, Output, Progress, opened, start
from tui.report import markdown, page, terminal
from tui.report.contents import Report, gather
from tui.session import losses

OURS = 400
"""Bytes at a file's beginning within which a report says that it is one."""
FORMS: dict[str, ModuleType] = {"html": page, "md": markdown}
"""What a report is written as: a `page`, which has a `MARK` at its beginning."""
STDOUT = "-"


def check_place(path: Path, form: str) -> None:
    """Raises FlavorError where a report cannot be written at `path`, or another kind of file is there already."""
    try:
        if exists(path) and FORMS[form].MARK.encode() not in read_bytes(path, OURS):
            raise FlavorError(f"{path} is there already, and is no report.", "Choose another name.", "exists")
    except OSError as error:
        raise _unwritable(path, error.strerror) from None
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise _unwritable(path, "its folder is not there, or nothing may be written into it")


def write_report(report: Report, path: Path, form: str) -> None:
    """Write the report as `html` or `md`. Raises FlavorError as `check_place` does, or where that fails."""
    check_place(path, form)
    try:
        write_atomic(path, FORMS[form].page(report))
    except OSError as error:
        raise _unwritable(path, error.strerror) from None


def _unwritable(path: Path, why: str | None) -> FlavorError:
    return FlavorError(f"{path} cannot be written: {why}.", "Choose another place.", "disk")


async def report(workspace: Path, html: str | None, md: str | None, measure: bool) -> Output:
    """The files where they are asked for, or one of them alone on standard output (`-`), else the text; `measure`: the loss of every row
    under the active checkpoint before."""
    asked = {form: place for form, place in (("html", html), ("md", md)) if place is not None}
    files = {form: place for form, place in asked.items() if place != STDOUT}
    for form, place in files.items():
        check_place(Path(place), form)  # before anything is measured
    with opened(workspace, read_only=not measure) as session:
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
    for form, place in files.items():
        write_report(told, Path(place), form)
    for form in asked.keys() - files.keys():
        yield Line({}, FORMS[form].page(told).removesuffix("\n"))
    for section, text in terminal.text_of(told):
        table = {"head": section.table.head, "rows": section.table.rows} if section.table else {}
        quotes = {"quotes": [{"text": quote.text, "note": quote.note} for quote in section.quotes]} if section.quotes else {}
        yield Line({"section": section.title, "lines": section.lines, **table, **quotes}, "" if asked else text)
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
    yield Line(data, f"The report is in {clean_line(' and '.join(files.values()))}." if files and files == asked else "")
