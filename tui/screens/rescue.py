"""The disk failed: write again, or save a copy elsewhere. Everything that was acknowledged is still in memory."""

from __future__ import annotations

import shlex
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Footer, Input

from core.errors import FlavorError
from core.files import typed_path
from tui.say import program
from tui.screens.dialog import Dialog
from tui.session.rescue import save_copy
from tui.session.session import Session
from tui.widgets.plain import Plain, plain


class RescueDialog(Dialog[str | None]):
    """Gives what was done, in words; None where it was left."""

    HELP = "The disk refuses what you decide and type. It is all still in memory: write again once there is room, or save a copy to another disk."
    BINDINGS = [
        Binding("ctrl+s", "again", "write again", priority=True, id="rescue_again"),
        Binding("enter", "copy", "save a copy", priority=True, id="rescue_copy"),
        Binding("escape", "leave", "leave", id="rescue_leave"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="small"):
            yield Plain(plain("Nothing can be written here", "bold"), id="dialog-title")
            yield Plain(plain(self._session.store.journal.broken))
            yield Plain(
                "ctrl+s tries to write again, once there is room. Or name a new folder elsewhere and press enter: a copy of all texts,"
            )
            yield Plain("decisions and drafts is saved there, and can be opened like any workspace.")
            yield Input(str(Path.home() / f"{self._session.folder.name}-copy"), id="rescue-folder", compact=True)
            yield Plain(id="dialog-error")
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def _say(self, error: FlavorError) -> None:
        self.query_one("#dialog-error", Plain).update(plain(f"! {error}", "$text-error"))

    def action_again(self) -> None:
        try:
            self._session.store.renew()
        except FlavorError as error:
            self._say(error)
            return
        self.dismiss("Writing works again: every acknowledged decision is on the disk.")

    def action_copy(self) -> None:
        folder = typed_path(self.query_one(Input).value)
        try:
            save_copy(self._session, folder)
        except FlavorError as error:
            self._say(error)
            return
        self.dismiss(f"Saved. To go on there: {program()} {shlex.quote(str(folder))}")

    def action_leave(self) -> None:
        self.dismiss(None)
