"""A dialog that shows the learning curve as it grows: picture, table, what ten more rows should bring, and the rows that stand out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Footer

from dataset.rounds import rounds
from tui.report.curve import blocks
from tui.screens.dialog import Dialog
from tui.session.inventing import kept
from tui.session.ways import tallies
from tui.widgets.plain import Plain, line, plain

if TYPE_CHECKING:
    pass


class CurveDialog(Dialog[None]):
    """Measuring goes on when it is left."""

    HELP = "How the held-out loss falls with the number of rows, and what ten more should bring. Points are measured while nothing else is to do."
    BINDINGS = [Binding("escape,l,q", "leave", "leave", id="curve_leave"), Binding("c", "stop", "stop measuring", id="curve_stop")]

    def __init__(self) -> None:
        super().__init__()
        self._shown = False

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Plain("How many examples are enough", id="dialog-title")
            with VerticalScroll(id="evidence"):
                yield Plain("looking through what was measured", id="evidence-text")
            yield Plain(id="curve-doing")
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#evidence").focus()
        self._watch()
        self.set_interval(0.5, self._watch)

    def _watch(self) -> None:
        """The line of activity now, the rest when a point has come."""
        self.query_one("#curve-doing", Plain).update(self.flavor.jobs.line())
        if not self._shown or self.flavor.session.learning.stale():
            self.run_worker(self._look, group="look", exclusive=True)

    async def _look(self) -> None:
        session = self.flavor.session
        outlook = await session.learning.look()
        self._shown = True
        decided = rounds(session.store.decisions.values())
        told = blocks(outlook, dict(session.store.examples), decided, tallies(session.store), kept(session.store))
        self.query_one("#dialog-title", Plain).update(line(("How many examples are enough\n", "bold"), outlook.forecast.sentence))
        self.query_one("#evidence-text", Plain).update(plain("\n" + "\n\n".join(told)))

    def action_stop(self) -> None:
        self.flavor.jobs.curve.stop()

    def action_leave(self) -> None:
        self.dismiss(None)
