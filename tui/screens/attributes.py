"""A dialog to fix attribute values for the next candidates; an empty one is drawn."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Footer, Input

from core.errors import FlavorError
from tui.screens.dialog import Dialog
from tui.session.session import Session
from tui.widgets.fields import FieldInputs
from tui.widgets.plain import Plain, plain


class AttributesDialog(Dialog[dict[str, str] | None]):
    """Gives the fixed values, or None where it was left."""

    HELP = "A value that stands here is in every candidate from now on. An empty one is chosen at random for each."
    BINDINGS = [
        Binding("ctrl+s,enter", "save", "use these", priority=True, id="attributes_save"),
        Binding("escape", "dismiss_none", "leave", id="attributes_leave"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="small"):
            yield Plain(plain("Attributes of the next candidates; empty ones are chosen at random", "bold"), id="dialog-title")
            yield FieldInputs(self._session, self._session.fixed)
            yield Plain(id="dialog-error")
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query(Input).first().focus()

    def action_save(self) -> None:
        inputs = self.query_one(FieldInputs)
        inputs.complete()
        try:
            self.dismiss(self._session.task.check(inputs.values()))
        except FlavorError as error:
            self.query_one("#dialog-error", Plain).update(plain(f"! {error}", "$text-error"))

    def action_dismiss_none(self) -> None:
        self.dismiss(None)
