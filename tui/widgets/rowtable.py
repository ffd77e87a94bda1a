"""A table whose cursor is a whole row: made with `cursor_type="row"`."""

from __future__ import annotations

from typing import TypeVar

from textual.widgets import DataTable

Cell = TypeVar("Cell")


class RowTable(DataTable[Cell]):
    """`home` and `end` go to the first row and to the last: Textual's go to a column, which such a cursor does not know."""

    def action_scroll_home(self) -> None:
        self.action_scroll_top()

    def action_scroll_end(self) -> None:
        self.action_scroll_bottom()
