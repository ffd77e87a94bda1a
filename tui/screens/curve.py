"""A dialog that shows the learning curve as it grows: picture, table, what ten more rows should bring, and the rows that stand out."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Footer
from textual.worker import Worker

from core.errors import FlavorError
from core.text import counted
from dataset.rounds import rounds
from tui.report.curve import blocks
from tui.screens.dialog import Dialog
from tui.session.inventing import kept
from tui.session.learning import BUDGET, Outlook
from tui.session.ways import tallies
from tui.widgets.plain import Plain, line, plain


class CurveDialog(Dialog[None]):
    """Opening it measures nothing; measuring that was begun goes on when it is left."""

    HELP = "How the held-out loss falls with the number of rows, and what ten more should bring. What is missing is measured while nothing else is to do."
    BINDINGS = [
        Binding("enter", "begin", "measure, go on", id="curve_begin"),
        Binding("c", "stop", "stop", id="curve_stop"),
        Binding("escape,l,q", "leave", "leave", id="curve_leave"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._outlook: Outlook | None = None
        self._looking: Worker[None] | None = None
        """What looks through the points; the next look begins when it has ended, else none would where it takes its time."""

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Plain("How many examples are enough", id="dialog-title")
            with VerticalScroll(id="evidence"):
                yield Plain("looking through what was measured", id="evidence-text")
            yield Plain(id="curve-plan")
            yield Plain(id="curve-doing")
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#evidence").focus()
        self._watch()
        self.set_interval(0.5, self._watch)

    def _watch(self) -> None:
        """The line of activity now, the rest when a point has come."""
        self.query_one("#curve-doing", Plain).update(self.flavor.jobs.line())
        self.query_one("#curve-plan", Plain).update(self._plan())
        if (self._looking is None or self._looking.is_finished) and (self._outlook is None or self.flavor.session.learning.stale()):
            self._looking = self.run_worker(self._look)

    def _plan(self) -> Content:
        """What is missing, and the key that measures it; nothing before that is known."""
        if self._outlook is None:
            return plain("")
        learning, curve, missing = self.flavor.session.learning, self.flavor.jobs.curve, self._outlook.missing
        try:
            self.flavor.session.must_write()
            learning.check()
        except FlavorError as error:
            return plain(f"! {error}", "$text-error")
        if not missing:
            return plain("All of it is measured.", "$text-muted")
        how = "c stops it" if curve.going else f"enter begins, for {BUDGET / 60:.0f} minutes at most"
        only = ": they tell the loss of each row, no more" if self._outlook.forecast.takes else ""
        return plain(f"{counted(missing, 'measurement')} to do, while nothing else is{only}; {how}.", "$text-muted")

    async def _look(self) -> None:
        session = self.flavor.session
        self._outlook = outlook = await session.learning.look()
        decided = rounds(session.store.decisions.values())
        told = blocks(outlook, dict(session.store.examples), decided, tallies(session.store), kept(session.store))
        self.query_one("#dialog-title", Plain).update(line(("How many examples are enough\n", "bold"), outlook.forecast.sentence))
        self.query_one("#evidence-text", Plain).update(plain("\n" + "\n\n".join(told)))

    def action_begin(self) -> None:
        self.flavor.jobs.curve.ask(self.flavor.session.learning, BUDGET)
        self._watch()

    def action_stop(self) -> None:
        self.flavor.jobs.curve.stop()

    def action_leave(self) -> None:
        self.dismiss(None)
