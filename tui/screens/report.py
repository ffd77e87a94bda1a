"""Report: the evening in one scroll; what is missing of it can be measured from here, and all of it written as a page and as Markdown."""

from __future__ import annotations

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll

from core.errors import FlavorError
from runs import measured, points
from tui import keys
from tui.report import terminal
from tui.report.contents import Report, gather
from tui.report.words import sections
from tui.screens.page import Page
from tui.widgets.plain import Plain, line

TWO_COLUMNS = 124
"""Cells from which the sections stand in two columns."""
NAMES = {"html": "report.html", "md": "report.md"}
"""In the workspace's folder."""


class ReportScreen(Page):
    """Gathered anew when something that it tells has changed, while keys are answered."""

    CSS_PATH = "report.tcss"
    MODE = "report"
    BINDINGS = keys.bindings("report")
    HELP = """
# Report
What this workspace has become: rows and time, what you kept of each checkpoint, held-out loss by number of rows, verdicts, attribute
values without an example, rows that stand out or contradict each other, the best new texts, and what to do next.

**e** writes it into the workspace as `report.html`, one page to keep or to show, and as `report.md`. **m** measures the loss of
every row under the active checkpoint, which finds typos, another style, and the most original texts. **l** shows how the held-out
loss falls with the number of rows, and measures it with **enter**. **s** trains beside each other what other ranks, rates and epochs would give.
"""

    def __init__(self) -> None:
        super().__init__()
        self._seen: object = None
        self.report: Report | None = None
        self._to_write = False
        """It is to be written as soon as it is gathered."""

    def body(self) -> ComposeResult:
        with VerticalScroll(id="report"), Horizontal(id="report-columns"):
            yield Plain("gathering the report", id="report-left")
            yield Plain(id="report-right")

    def on_mount(self) -> None:
        self.query_one("#report").focus()

    def _signature(self) -> object:
        """What the report depends on."""
        session = self.session
        paths = [session.folder / name for name in (measured.FILE, points.FILE)]
        when = [path.stat().st_mtime_ns if path.exists() else 0 for path in paths]
        registry = session.registry
        return session.store.journal.seq, registry.current(), registry.names(), registry.live, bool(session.wish), when

    def renew(self) -> None:
        if self._signature() != self._seen:
            self._gather()

    @work(exclusive=True, group="report")
    async def _gather(self) -> None:
        state = self._signature()  # before: what changes meanwhile is told next time
        self.report = await gather(self.session)
        self._seen = state
        self._lay_out()
        if self._to_write:
            self._write()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        if self.report is None or not self.is_mounted:
            return
        width = max(20, self.size.width - 6)
        two = width >= TWO_COLUMNS
        drawn = [terminal.parts_of(each, self.report, width // 2 - 2 if two else width) for each in sections(self.report)]
        left, right = _halves(drawn) if two else (drawn, [])
        for name, column in (("#report-left", left), ("#report-right", right)):
            widget = self.query_one(name, Plain)
            widget.update(line(*(part for each in column for part in (*each, ("\n", "")))))
            widget.display = bool(column)

    # -- keys ----------------------------------------------------------------------------------------------------------

    def action_export_report(self) -> None:
        try:
            self.session.must_write()
        except FlavorError as error:
            self.flavor.complain(error)
            return
        if self.report is None or self._signature() != self._seen:  # what is written is what holds now
            self._to_write = True
            self.flavor.say("The report is being gathered; it is written as soon as that is done.")
            self._gather()
        else:
            self._write()

    def _write(self) -> None:
        """Write what was gathered last."""
        from tui.commands.report import write_report

        self._to_write = False
        if self.report is None:
            return
        try:
            for form, name in NAMES.items():
                write_report(self.report, self.session.folder / name, form)
        except FlavorError as error:
            self.flavor.complain(error)
            return
        self.flavor.say(f"{' and '.join(NAMES.values())} are in {self.session.folder}.")

    def action_retrain_report(self) -> None:
        self.flavor.retrain(fresh=False)

    def action_retrain_fresh_report(self) -> None:
        self.flavor.retrain(fresh=True)

    def action_measure_report(self) -> None:
        self.flavor.measure_examples()

    def action_curve_report(self) -> None:
        from tui.screens.curve import CurveDialog

        self.app.push_screen(CurveDialog())

    def action_sweep_report(self) -> None:
        from tui.screens.sweep import SweepDialog

        self.app.push_screen(SweepDialog())


def _halves(drawn: list[list[terminal.Part]]) -> tuple[list[list[terminal.Part]], list[list[terminal.Part]]]:
    """The sections in two columns of about the same height, in order."""
    heights = [sum(text.count("\n") for text, _ in each) + 1 for each in drawn]
    best = min(range(len(drawn) + 1), key=lambda cut: abs(sum(heights[:cut]) - sum(heights[cut:])))
    return drawn[:best], drawn[best:]
