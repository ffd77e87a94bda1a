"""A dialog with every moment of the workspace, the latest first; enter makes everything as it was then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import DataTable, Footer

from core.errors import FlavorError
from core.text import short
from dataset.moments import Moment
from tui.screens.dialog import Dialog
from tui.session.back import all_moments, clock
from tui.widgets.plain import Plain, line, plain

if TYPE_CHECKING:
    from tui.host import Host

WHAT, NOW = 26, " ← now"
"""Cells of what happened, and what is said of the latest moment."""
MOST = 2000
"""Moments that are listed; `flavor-tui back` has all."""


class MomentsDialog(Dialog[int | None]):
    """Gives the line of the journal to go to, or None where it was left."""

    HELP = "Every moment of the evening, the newest first. Going to one puts back the dataset and the active checkpoint as they were then."
    BINDINGS = [Binding("escape,z,q", "leave", "leave, unchanged", id="moments_leave")]

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Plain(
                line(
                    ("Go to a moment\n", "bold"),
                    "Dataset and checkpoint together. Nothing is deleted: you may go forward again. enter goes there.",
                ),
                id="dialog-title",
            )
            yield DataTable(cursor_type="row", cell_padding=0, id="moments-table")
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        for label, width in (("when", 17), ("what", WHAT), ("rows", 5), ("kept", 6), ("checkpoint", 13)):
            table.add_column(label, key=label, width=width)
        table.focus()
        self.run_worker(self._read)

    async def _read(self) -> None:
        flavor = cast("Host", self.app)
        try:
            found = await asyncio.to_thread(all_moments, flavor.session)
        except FlavorError as error:
            flavor.complain(error)
            self.dismiss(None)
            return
        table = self.query_one(DataTable)
        for place, moment in enumerate(reversed(found[-MOST:])):
            self._add(table, moment, place == 0)

    def _add(self, table: DataTable[object], moment: Moment, latest: bool) -> None:
        kept = f"{moment.kept}/{moment.decided}" if moment.decided else ""
        what = short(moment.what, WHAT - 1 - len(NOW)) + NOW if latest else short(moment.what, WHAT - 1)
        cells = (clock(moment.time), what, str(moment.examples), kept, moment.checkpoint)
        table.add_row(*map(plain, cells), key=str(moment.seq))

    @on(DataTable.RowSelected)
    def _chosen(self, event: DataTable.RowSelected) -> None:
        self.dismiss(int(event.row_key.value or 0))

    def action_leave(self) -> None:
        self.dismiss(None)
