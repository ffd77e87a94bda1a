"""Unsaved edits from before, offered again at the start."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Footer, OptionList
from textual.widgets.option_list import Option

from core.text import short
from tui.screens.dialog import Dialog
from tui.session.drafts import Typed
from tui.widgets.boxes import Choices
from tui.widgets.plain import Plain, plain


class DraftsDialog(Dialog[Typed | None]):
    """Gives the draft to go on with, or None: they are then offered at the next start."""

    HELP = "Edits that were typed and not saved when the program ended. Take one up, or leave them for later."
    BINDINGS = [Binding("escape", "leave", "later", id="drafts_leave")]

    def __init__(self, drafts: list[Typed]) -> None:
        super().__init__()
        self._drafts = drafts

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="small"):
            yield Plain(plain("Edits that were not saved", "bold"), id="dialog-title")
            yield Plain("enter goes on with one; escape leaves them for the next start")
            yield Choices(*(Option(plain(short(" ".join(typed.text.split()), 70))) for typed in self._drafts), id="drafts")
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._drafts[event.option_index])

    def action_leave(self) -> None:
        self.dismiss(None)
