"""A dialog for one line about a checkpoint or a run."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Footer

from core.choices import NOTE
from core.errors import FlavorError
from tui.screens.dialog import Dialog
from tui.widgets.boxes import CleanInput
from tui.widgets.plain import Plain, plain


class NoteDialog(Dialog[str | None]):
    """Gives the line that was kept, or None where it was left. It is kept while the dialog is open, so that it is not lost where it cannot be."""

    HELP = "One line of your own about a checkpoint or a run. It stands in Runs."
    BINDINGS = [
        Binding("enter,ctrl+s", "save", "keep", priority=True, id="note_save"),
        Binding("escape", "leave", "leave, unchanged", id="note_leave"),
    ]

    def __init__(self, name: str, note: str, keep: Callable[[str], object]) -> None:
        """`keep` makes the line durable, or raises FlavorError."""
        super().__init__()
        self._name, self._note, self._keep = name, note, keep

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="small"):
            yield Plain(plain(f"A line about {self._name}", "bold"), id="dialog-title")
            yield CleanInput(self._note, placeholder="what you tasted", max_length=NOTE, id="note")
            yield Plain(id="dialog-error")
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(CleanInput).focus()

    def action_save(self) -> None:
        note = self.query_one(CleanInput).value
        try:
            self._keep(note)
        except FlavorError as error:
            self.query_one("#dialog-error", Plain).update(plain(f"! {error}", "$text-error"))
            return
        self.dismiss(note)

    def action_leave(self) -> None:
        self.dismiss(None)
