"""A dialog for one line about a checkpoint or a run."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Footer

from core.choices import NOTE
from tui.screens.dialog import Dialog
from tui.widgets.boxes import CleanInput
from tui.widgets.plain import Plain, plain


class NoteDialog(Dialog[str | None]):
    """Gives the line, or None where it was left."""

    HELP = "One line of your own about a checkpoint or a run. It stands in Runs and in the report."
    BINDINGS = [
        Binding("enter,ctrl+s", "save", "keep", priority=True, id="note_save"),
        Binding("escape", "leave", "leave, unchanged", id="note_leave"),
    ]

    def __init__(self, name: str, note: str) -> None:
        super().__init__()
        self._name, self._note = name, note

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="small"):
            yield Plain(plain(f"A line about {self._name}", "bold"), id="dialog-title")
            yield CleanInput(self._note, placeholder="what you tasted", max_length=NOTE, id="note")
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(CleanInput).focus()

    def action_save(self) -> None:
        self.dismiss(self.query_one(CleanInput).value)

    def action_leave(self) -> None:
        self.dismiss(None)
