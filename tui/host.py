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
from tui.twice import Twice
from tui.widgets.plain import line

if TYPE_CHECKING:
    from textual.widgets import TextArea


class Host(Front):
    """A front with jobs behind it."""

    jobs: Jobs
    desk: Desk

    def __init__(self) -> None:
        super().__init__()
        self._undoing = Twice(self)

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

    def undo(self, here: Callable[[Op], bool] = lambda op: True) -> Op | None:
        """Take the last thing back and say so. What is not of the page that asks, as its `here` says, is named first and wants the key once more;
        a going back is of every page, since what it says of itself promises the key."""
        last = None if self.session.held_by else self.session.store.last
        if last and last.kind != "go" and not here(last) and not self._undoing.sure():
            key = self.key_for("undo", "undo_library", "undo_runs") or self.own_key("undo")
            self.ask(f"The last thing was not done here: {last.told()}. {key} once more takes it back.")
            return None
        before = self.session.registry.current()
        try:
            op = self.session.undo()
        except FlavorError as error:
            self.complain(error)
            return None
        more = ""
        if op and op.kind == "go":
            more = f" {self.session.active()} is active again." if self.session.registry.current() != before else ""
        elif op and any(uid in self.session.wordings for uid in (*op.was.candidates, *op.was.examples)):
            more = " What you had made of it is offered where you edit it again, until you leave."
        self.say(f"Taken back: {op.told()}.{more}" if op else "There is nothing to take back.", about="undo")
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

    def measure_examples(self) -> None:
        self.jobs.losses.ask()
