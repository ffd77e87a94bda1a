"""The app as its screens know it: what they ask for is done by the jobs behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.content import Content

from core.errors import FlavorError
from dataset.rows import Op
from tui.desk import Desk
from tui.front import Front
from tui.jobs.jobs import Jobs
from tui.widgets.plain import line

if TYPE_CHECKING:
    from textual.widgets import TextArea


class Host(Front):
    """A front with jobs behind it."""

    jobs: Jobs
    desk: Desk

    def changed(self) -> None:
        """Something in the session changed: redraw, and see that the queue is filled."""
        if self.opened:
            self.jobs.changed()
        else:
            self.renew()

    def want_others(self) -> None:
        """Other candidates come first from now on: of another checkpoint or strength, or with other attributes."""
        self.prefer_new = True
        self.jobs.samples.stop()
        self.changed()

    def activity_line(self) -> Content:
        """What is going on behind, with a sign and a word."""
        if self.session.held_by:
            return line(("○ read-only", "$text-warning"))
        return self.jobs.line()

    def undo(self) -> Op | None:
        """Take the last thing back and say so."""
        try:
            op = self.session.undo()
        except FlavorError as error:
            self.complain(error)
            return None
        self.say(f"Taken back: {op.told()}." if op else "There is nothing to take back.")
        if op and op.kind == "go":
            self.want_others()
        return op

    def retrain(self, fresh: bool, again: str = "") -> None:
        self.jobs.retraining.ask(fresh, again)

    def taste(self) -> None:
        self.jobs.retraining.taste()

    def sample_more(self) -> None:
        self.jobs.samples.ask()

    def continue_text(self, area: TextArea, fields: dict[str, str]) -> None:
        self.jobs.samples.continue_text(area, fields)

    def measure_examples(self, done: Callable[[dict[str, float]], None]) -> None:
        self.jobs.losses.ask(done)
