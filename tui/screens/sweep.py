"""A dialog for a sweep: what to try, how long it takes, and the table as it grows, with what is larger than its noise."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Footer, Input

from core.errors import FlavorError
from core.text import duration
from tui.report.terminal import columns
from tui.report.words import Table
from tui.screens.dialog import Dialog
from tui.session.sweep import NO_END, NUMBERS, Sweep, named, parse_grid, table
from tui.widgets.boxes import CleanInput
from tui.widgets.plain import Plain, line, plain

FIELDS = (("rank", "ranks", "8 16 32"), ("rate", "rates", "2e-4 5e-4 1e-3"), ("epochs", "epochs", "4 8"))
WHOLE = 84
"""Cells from which the whole table fits."""


class SweepDialog(Dialog[None]):
    """Training goes on when it is left."""

    HELP = "Numbers to try, with blanks between. Each setting is trained on the same folds while nothing else is to do. The table says which differ by more than noise."
    BINDINGS = [
        Binding("enter", "begin", "begin, go on", priority=True, id="sweep_begin"),
        Binding("c", "stop", "stop", id="sweep_stop"),
        Binding("tab", "app.focus_next", "what to try", id="sweep_next"),
        Binding("escape,q", "leave", "leave", id="sweep_leave"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._seen: object = None

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Plain(plain("Settings side by side, each on the same folds", "bold"), id="dialog-title")
            for name, label, example in FIELDS:
                with Horizontal(classes="field"):
                    yield Plain(label, classes="field-name")
                    yield CleanInput(placeholder=f"for instance {example}; empty: the present one", id=f"sweep-{name}", compact=True)
            yield Plain(id="sweep-plan")
            with VerticalScroll(id="evidence"):
                yield Plain(id="evidence-text")
            yield Plain(id="curve-doing")
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#evidence").focus()
        self._watch()
        self.set_interval(0.5, self._watch)

    def _sweep(self) -> Sweep:
        """What the inputs ask for. Raises FlavorError."""
        rank, rate, epochs = (self.query_one(f"#sweep-{name}", Input).value for name, _, _ in FIELDS)
        return Sweep(self.flavor.session, parse_grid(rank, rate, epochs))

    @on(Input.Changed)
    def _watch(self) -> None:
        """The line of activity now, the rest when something has changed."""
        self.query_one("#curve-doing", Plain).update(self.flavor.jobs.line())
        about, shown = self.query_one("#sweep-plan", Plain), self.query_one("#evidence-text", Plain)
        session = self.flavor.session
        values = [self.query_one(f"#sweep-{name}", Input).value for name, _, _ in FIELDS]
        try:
            asked = self._sweep()
            asked.check()
        except FlavorError as error:
            self._seen = None
            about.update(plain(f"! {error}", "$text-error"))
            return
        width = max(40, self.query_one("#evidence").size.width - 2)
        refused = ""
        try:
            session.must_write()
        except FlavorError as error:
            refused = str(error)
        state = (values, asked.version, session.store.journal.seq, width, refused)
        if state == self._seen:
            return
        self._seen = state
        missing = asked.missing()
        if refused:
            about.update(plain(f"! {refused}", "$text-error"))
        else:
            left = f"{missing} to do, about {duration(asked.seconds())} if none stops early" if missing else "all done"
            about.update(plain(f"{len(asked.recipes)} settings, {asked.total} trainings: {left}.", "$text-muted"))
        found = asked.compared()
        head, *rows = table(asked.recipes, found, whole=width >= WHOLE)
        drawn = columns(Table(head, tuple(rows), NUMBERS), width)
        if any(each.trials for each in found):
            shown.update(line(("\n" + drawn[0] + "\n", "$text-muted"), "\n".join(drawn[1:]), ("\n\n" + asked.advice(found), "bold")))
        else:
            others = "\n".join(f"  {named(recipe)}" for recipe in asked.recipes[1:])
            shown.update(plain(f"\nBeside the present settings, {named(asked.recipes[0])}:\n{others}"))

    def action_begin(self) -> None:
        try:
            asked = self._sweep()
            asked.check()  # with too few rows nothing is missing either
        except FlavorError as error:
            self.flavor.complain(error)
            return
        if not asked.missing():
            self.flavor.say("All of it is done.")
        self.flavor.jobs.sweep.ask(asked, NO_END)

    def action_stop(self) -> None:
        self.flavor.jobs.sweep.stop()

    def action_leave(self) -> None:
        self.dismiss(None)
