"""The table of Runs: rows are replaced only when they changed, and left and right fold a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.binding import Binding
from textual.content import Content

from tui.session.runlist import Line
from tui.widgets.plain import line, plain
from tui.widgets.rowtable import RowTable

COLUMNS = (
    ("name", "run", 16),
    ("rows", "rows", 12),
    ("time", "time", 6),
    ("held", "held-out", 9),
    ("verdict", "verdict", 14),
    ("kept", "kept", 6),
)
NOTE = 13
"""Cells of a note at least: it has what the others leave."""
Mark = tuple[str, str]
"""A run's sign on the picture, and its colour."""


class RunTable(RowTable[Content]):
    """`show` makes it show these rows; the cursor stays on its row."""

    BINDINGS = [
        Binding("enter", "select_cursor", "use", show=True, id="use"),
        Binding("left", "screen.fold", "fold", show=False),
        Binding("right", "screen.unfold", "unfold", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row", id="runs-table", cell_padding=0)
        self._shown: Sequence[tuple[Line, Mark | None]] = ()

    def on_mount(self) -> None:
        for key, label, width in COLUMNS:
            self.add_column(label, key=key, width=width)
        self.add_column("note", key="note", width=NOTE)

    def on_resize(self) -> None:
        note = self.ordered_columns[-1]
        room = max(NOTE, self.size.width - self.styles.scrollbar_size_vertical - sum(width for _, _, width in COLUMNS))
        if note.width != room:
            note.width = room
            self._clear_caches()
            self._require_update_dimensions = True  # else Textual goes by the widths of before
            self.check_idle()

    @property
    def selected(self) -> str:
        """The key of the row under the cursor."""
        return (self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value or "") if self.row_count else ""

    def show(self, lines: Sequence[Line], marks: Mapping[str, Mark]) -> None:
        """`marks` are those of the runs on the picture, by row."""
        wanted = [(one, marks.get(one.key)) for one in lines]
        if wanted == self._shown:
            return
        before = self.selected
        if [one.key for one in lines] == [one.key for one, _ in self._shown]:
            for (old, was), (new, mark) in zip(self._shown, wanted, strict=True):
                if (old, was) != (new, mark):
                    for key, cell in zip((*(key for key, _, _ in COLUMNS), "note"), _cells(new, mark), strict=True):
                        self.update_cell(new.key, key, cell)
        else:
            self.clear()
            for one, mark in wanted:
                self.add_row(*_cells(one, mark), key=one.key)
            keys = [one.key for one in lines]
            self.move_cursor(row=keys.index(before) if before in keys else 0, scroll=True)
        self._shown = wanted

    def say(self, key: str, word: str) -> None:
        """Another verdict in a row, if it is still there."""
        for at, (one, mark) in enumerate(self._shown):
            if one.key == key and one.verdict != word:
                self._shown = [*self._shown[:at], (one._replace(verdict=word), mark), *self._shown[at + 1 :]]
                self.update_cell(key, "verdict", plain(word))


def _cells(one: Line, mark: Mark | None) -> list[Content]:
    bold = "bold" if one.key.endswith("/") else ""
    sign = (f"{mark[0]} ", mark[1]) if mark else ("  ", "")
    named = line(sign, one.tree, (f" {one.name}", bold))
    return [named, *(plain(text) for text in (one.rows, one.time, one.held, one.verdict, one.kept, one.note))]
