"""A dialog with every moment of the workspace, the latest first; enter makes everything as it was then."""

from __future__ import annotations

import asyncio

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import DataTable, Footer

from core.errors import FlavorError
from dataset.moments import Moment
from tui.screens.dialog import Dialog
from tui.session.back import all_moments, clock
from tui.widgets.plain import Plain, fitted, line, plain
from tui.widgets.rowtable import RowTable

NOW = " ← now"
"""What is said of the latest moment."""
MOST = 2000
"""Moments that are listed; `flavor-tui back` has all."""
LOOK = 0.5
"""Seconds between two looks whether something has happened meanwhile."""
COLUMNS = ("when", "what", "rows", "kept", "checkpoint")
WHAT, LEAST_ROOM = 1, 20
"""The column that says what happened, and its cells at least."""


def _cells(moment: Moment) -> list[str]:
    kept = f"{moment.kept}/{moment.decided}" if moment.decided else ""
    return [clock(moment.time), moment.told(), str(moment.examples), kept, moment.checkpoint]


class MomentsDialog(Dialog[int | None]):
    """Gives the line of the journal to go to, or None where it was left."""

    HELP = "Every moment of the evening, the newest first. Going to one puts back the dataset and the active checkpoint as they were then."
    BINDINGS = [Binding("escape,z,q", "leave", "leave, unchanged", id="moments_leave")]

    def __init__(self) -> None:
        super().__init__()
        self._seen: object = None
        """What the list was read for last."""
        self._shown: object = None
        """What the rows are of."""
        self._moments: list[Moment] = []
        """Those that are listed, the latest first."""
        self._now = ""
        """The row that says how it is now; empty where none does."""
        self._width = 0
        """Of the table as the rows were made for it."""

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Plain(
                line(
                    ("Go to a moment\n", "bold"),
                    "Dataset and checkpoint together. Nothing is deleted: you may go forward again. enter goes there.",
                ),
                id="dialog-title",
            )
            yield RowTable[object](cursor_type="row", cell_padding=0, id="moments-table")
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(DataTable).focus()
        self._look()
        self.set_interval(LOOK, self._look)

    def on_resize(self) -> None:
        self.call_after_refresh(self._fit)  # when the table knows how wide it is

    def _fit(self) -> None:
        if self._moments and self.query_one(DataTable).size.width != self._width:
            self._fill(self._moments, self._shown)

    def _state(self) -> tuple[int, str]:
        """Changes with what a person does and with the active checkpoint, not with every text that is sampled meanwhile: those are no moments."""
        session = self.flavor.session
        return session.store.last.seq if session.store.last else 0, session.registry.current()

    def _look(self) -> None:
        """Read the list where it is no longer true."""
        if self._seen != (state := self._state()):
            self._seen = state
            self.run_worker(self._read, exclusive=True)

    async def _read(self) -> None:
        flavor, seen = self.flavor, self._seen
        try:
            found = await asyncio.to_thread(all_moments, flavor.session)
        except FlavorError as error:
            flavor.complain(error)
            self.dismiss(None)
            return
        self.call_after_refresh(self._fill, found[: -MOST - 1 : -1], seen)

    def _fill(self, latest_first: list[Moment], seen: object) -> None:
        """A row for each. What happened has the room that the others leave: a checkpoint's name is to be read whole."""
        self._shown, self._moments, self._now = seen, latest_first, ""
        table, now_is = self.query_one(DataTable), self.flavor.session.registry.current()
        at = table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value if table.cursor_row else None
        table.clear(columns=True)
        self._width = table.size.width
        rows = [_cells(moment) for moment in latest_first]
        widths = [1 + max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
        room = max(LEAST_ROOM, self._width - table.styles.scrollbar_size_vertical - sum(widths) + widths[WHAT])
        for place, label in enumerate(COLUMNS):
            table.add_column(label, key=label, width=room if place == WHAT else widths[place])
        for moment, row in zip(latest_first, rows, strict=True):
            # a retraining that has just ended is no moment yet: its checkpoint would be left by going to the latest one
            now = NOW if moment is latest_first[0] and moment.checkpoint in ("", now_is) else ""
            self._now = str(moment.seq) if now else self._now
            row[WHAT] = fitted(row[WHAT], room - 1 - len(now)) + now
            table.add_row(*map(plain, row), key=str(moment.seq))
        if at and at in table.rows:  # on the first row it stays on the first row
            table.move_cursor(row=table.get_row_index(at))

    @on(DataTable.RowSelected)
    def _chosen(self, event: DataTable.RowSelected) -> None:
        if event.cursor_row == 0 and self._shown != self._state():
            self._look()
            return  # what was chosen as now is no longer so
        key = event.row_key.value or ""
        self.dismiss(None if key == self._now else int(key))  # it would be a going to nowhere, which the next `u` took back

    def action_leave(self) -> None:
        self.dismiss(None)
