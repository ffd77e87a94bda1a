"""The export dialog: the examples that Library shows, as a file for another program or another person."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Footer

from core.errors import FlavorError
from core.files import typed_path
from core.text import counted
from dataset.exporting import ENDINGS, write_file
from dataset.rows import Example
from tui.commands.dataset_export import as_table, keeps_older, older_note
from tui.screens.dialog import Dialog
from tui.session.session import Session
from tui.widgets.boxes import CleanInput
from tui.widgets.plain import Plain, plain

FORMS = ".csv for a spreadsheet, .txt the texts alone, .jsonl for programs, .md with the headings, .parquet with types"


def free_name(workspace: Path) -> Path:
    """Beside the workspace, called as it is: a spreadsheet that is not there yet."""
    whole = Path(os.path.abspath(workspace))
    names = [f"{whole.name}.csv", *(f"{whole.name}-{number}.csv" for number in range(2, 1000))]
    return next((place for name in names if not os.path.lexists(place := whole.parent / name)), whole.parent / names[0])


class ExportDialog(Dialog[str | None]):
    """Gives what was written, in a sentence; None where it was left."""

    HELP = "The examples that Library shows, as a file: search and o choose which. The ending says the form. Nothing is overwritten."
    BINDINGS = [
        Binding("enter,ctrl+s", "save", "write", priority=True, id="export_save"),
        Binding("escape", "leave", "leave", id="export_leave"),
    ]

    def __init__(self, session: Session, rows: Sequence[Example]) -> None:
        super().__init__()
        self._session, self._rows = session, list(rows)

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="small"):
            yield Plain(plain(f"{counted(len(self._rows), 'example')} that Library shows, as a file", "bold"), id="dialog-title")
            yield CleanInput(str(free_name(self._session.folder)), placeholder="where to", id="export-path")
            yield Plain(plain(FORMS, "$text-muted"), id="dialog-note")
            yield Plain(id="dialog-error")
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(CleanInput).focus()

    @work(exclusive=True)
    async def action_save(self) -> None:
        try:
            path = self._place(self.query_one(CleanInput).value.strip())
            table = as_table(self._rows, self._session.task, path)
            count = await asyncio.to_thread(write_file, table, path)
        except FlavorError as error:
            self.query_one("#dialog-error", Plain).update(plain(f"{error.message} {error.hint}", "$text-error"))
        else:
            older = older_note(self._rows, self._session.task, keeps_older(path))
            self.dismiss(f"{counted(count, 'example')} in {path}." + (f" {older}." if older else ""))

    def _place(self, typed: str) -> Path:
        if not typed:
            raise FlavorError("Where to?", "Type a name with an ending.")
        path = Path(os.path.abspath(typed_path(typed)))
        if path.suffix.lower() not in ENDINGS:
            raise FlavorError(f"{path.name} has no ending that says its form.", f"Known: {', '.join(ENDINGS)}.")
        return path

    def action_leave(self) -> None:
        self.dismiss(None)
