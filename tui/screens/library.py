"""Library: every example and every decided candidate in one table; search, filter, open, delete, undo."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DataTable, Input

from core.errors import FlavorError
from core.text import counted, short, words
from dataset.rows import Candidate, Example, Op
from tui import keys
from tui.screens.edit import dialog_for
from tui.screens.page import Page
from tui.session import losses
from tui.session.marks import TWIN
from tui.widgets.boxes import CleanInput
from tui.widgets.plain import Plain, fitted, line, plain
from tui.widgets.rowtable import RowTable

EXAMPLES, ALL = "examples", "all"
FILTERS = (EXAMPLES, ALL, "written", "imported", "accepted", "edited", "rejected", "skipped", "passed")
SIGNS = {
    "written": "✎ written",
    "imported": "⇣ imported",
    "accepted": "✓ accepted",
    "edited": "✓ edited",
    "rejected": "✗ rejected",
    "skipped": "· skipped",
    "passed": "· passed",
}
OTHERS = "rejected, skipped or passed over"
UNDESCRIBED = "no attributes"
"""What stands in the place of a row's attributes, and is found by a search."""
BESIDE, LEAST_ROOM = 35, 30
"""Cells of the other columns and the edges, and of a text at least."""
LEAST_VALUES, MOST_VALUES = 13, 40
"""Cells of the column of attributes: a third of what the others leave, within these."""


def done_in_library(op: Op) -> bool:
    """Whether it was done here: what changes rows, and a decision of a candidate that did not wait, for those that wait are decided on Curate."""
    if op.kind == "decide":
        return all(candidate is None or candidate.state != "pending" for candidate in op.was.candidates.values())
    return op.kind in ("change", "delete", "import")


class Search(CleanInput):
    """The box above the table. What leaves it is not for what goes on behind: there the same key stops a retraining."""

    BINDINGS = [Binding("escape", "clear", "clear, leave", id="search_leave")]

    def action_clear(self) -> None:
        self.value = ""
        self.screen.query_one(DataTable).focus()


class LibraryTable(RowTable[object]):
    """The rows. The footer says what enter does, which a table's own binding hides."""

    BINDINGS = [Binding("enter", "select_cursor", "open", tooltip="Open the row", show=True, id="open")]

    def __init__(self) -> None:
        super().__init__(cursor_type="row", zebra_stripes=True, id="library-table")


class LibraryScreen(Page):
    """The table and its search."""

    CSS_PATH = "library.tcss"
    MODE = "library"
    BINDINGS = keys.bindings("library")
    HELP = """
# Library
All examples. **o** shows the candidates too that were rejected, skipped, or passed over because better ones waited, then one origin at a time. **/** searches texts and
attributes, in those candidates as well; `no attributes` finds the rows that have none. **enter** opens a row to read or edit it, **d** deletes an example
(**u** brings it back), **i** imports, **e** writes the examples that the table shows into a file, **l** measures the loss of every example: the highest ones are
typos, off style, or your most original. **≈** marks near-duplicates.
"""

    def __init__(self) -> None:
        super().__init__()
        self._filter = EXAMPLES
        self._shown, self._needle = EXAMPLES, ""
        """The filter and the search that the table's rows are of."""
        self._seen: tuple[object, ...] | None = None
        self._drawn: tuple[object, ...] = ()
        """The cells of the table as they were last put there, with the widths."""
        self.losses: dict[str, float] = {}
        self._stamp: tuple[object, ...] | None = None
        """Of the losses: they are of the active checkpoint, and of the texts as they are now."""

    def body(self) -> ComposeResult:
        with Vertical(id="desk"):
            yield Plain(id="library-head")
            yield Search(placeholder="search; enter goes to the table", id="search", compact=True)
            yield LibraryTable()

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        for label, width in (("origin", 10), ("words", 5), ("≈", 1), ("loss", 5), ("attributes", LEAST_VALUES), ("text", LEAST_ROOM)):
            if label == "attributes" and not self.session.task.fields:
                continue
            table.add_column(label, width=width, key=label)
        table.focus()

    def on_resize(self) -> None:
        if self.is_mounted:
            self.renew()

    def _rows(self) -> list[tuple[str, Example | Candidate]]:
        """What filter and search leave, the examples first, the newest of each first. A search looks into everything from the start."""
        rows: list[tuple[str, Example | Candidate]] = [(e.origin, e) for e in reversed(self.session.store.examples.values())]
        needle = self._typed().casefold()
        if self._filter != EXAMPLES or needle:
            rows += [(c.state, c) for c in reversed(self._decided())]
        return [
            (origin, row) for origin, row in rows if self._filter in (EXAMPLES, ALL, origin) and (not needle or self._holds(row, needle))
        ]

    def _decided(self) -> list[Candidate]:
        """The candidates that are no examples, and wait for nothing."""
        return [c for c in self.session.store.candidates.values() if c.state in ("rejected", "skipped", "passed")]

    def _typed(self) -> str:
        return self.query_one("#search", Input).value.strip()

    def _holds(self, row: Example | Candidate, needle: str) -> bool:
        """Whether the search finds it: in its text, its attributes in their order, or those that the task has no more."""
        fields = self.session.task.fields
        values = [value for field in fields if (value := row.fields.get(field.name))]
        if needle == UNDESCRIBED and fields and not values:
            return True
        return needle in "\n".join((row.text, " · ".join(values), *row.fields.values())).casefold()

    def _attributes(self, row: Example | Candidate) -> str:
        """The values of the task's fields, in their order."""
        values = [row.fields.get(field.name) for field in self.session.task.fields]
        return " · ".join(value or "-" for value in values) if any(values) else UNDESCRIBED

    def _widths(self, attributes: Iterable[str]) -> tuple[int, int]:
        """Cells of the attributes (0: the task has none) and of the text."""
        room = self.size.width - BESIDE
        if not self.session.task.fields:
            return 0, max(LEAST_ROOM, room)
        longest = max(map(cell_len, attributes), default=0)
        values = max(LEAST_VALUES, min(room // 3, MOST_VALUES, longest, room - 2 - LEAST_ROOM))
        return values, max(LEAST_ROOM, room - values - 2)

    def renew(self) -> None:
        stamp, needle = losses.stamp(self.session), self._typed()
        state = (stamp, self._filter, needle, self.size.width)
        if state == self._seen:
            return
        stays = self._seen is not None and self._seen[1:] == state[1:]
        self._seen = state
        if stamp != self._stamp:
            self._stamp, self.losses = stamp, losses.known(self.session)
        table = self.query_one(DataTable)
        rows = self._rows()
        attributes = [self._attributes(row) for _, row in rows]
        values, room = self._widths(attributes)
        twins = {uid for _, row in rows if (uid := row.uid) and self.session.copying.overlap(row.text, but=uid)[0] >= TWIN}
        cells = {}
        for (origin, row), described in zip(rows, attributes, strict=True):
            loss = f"{self.losses[row.uid]:.2f}" if row.uid in self.losses else ""
            head = fitted(" ".join(row.text[: 4 * room].split()), room)
            cells[row.uid] = [
                SIGNS[origin],
                f"{len(words(row.text)):>5}",
                "≈" if row.uid in twins else "",
                loss,
                *([fitted(" ".join(described[: 4 * values].split()), values)] if values else []),
                head,
            ]
        drawn = (list(cells.items()), values, room)
        if drawn != self._drawn or needle != self._needle:  # a batch that was sampled behind changes nothing here
            self._drawn = drawn
            self._fill(table, cells, (values, room), needle, stays)
        self._needle, self._shown = needle, self._filter
        self.query_one("#library-head", Plain).update(self._head(rows, needle))

    def _fill(self, table: DataTable[object], cells: dict[str, list[str]], widths: tuple[int, int], needle: str, stays: bool) -> None:
        """Put all rows anew. The cursor stays on its row, wherever that is now, and where only rows changed (`stays`) so does what is seen."""
        values, room = widths
        at, before, seen = table.cursor_row, self._selected(), table.scroll_y
        table.clear()
        table.ordered_columns[-1].width = room
        if values:
            table.ordered_columns[-2].width = values
        for uid, row in cells.items():
            table.add_row(*map(plain, row), key=uid)
        if not cells:
            return
        place = self._place(list(cells), before, at, needle)
        table.move_cursor(row=place)
        if stays:
            table.call_after_refresh(table.scroll_to, y=max(0, seen + place - at), animate=False)

    def _place(self, order: list[str], before: str | None, at: int, needle: str) -> int:
        """The row for the cursor: the first one that a search finds, else the one it was on, else the one that came in its place."""
        if needle and needle != self._needle:
            return 0
        if before in order:
            return order.index(before)
        return 0 if (needle, self._filter) != (self._needle, self._shown) else min(at, len(order) - 1)

    def _head(self, rows: list[tuple[str, Example | Candidate]], needle: str) -> Content:
        """How many are shown, how many are not, and which key shows them."""
        hidden = len(self._decided())
        others = sum(isinstance(row, Candidate) for _, row in rows)
        if needle and not rows:
            among = "" if self._filter in (EXAMPLES, ALL) else f" among the {self._filter}; {self.flavor.own_key('filter')} shows others"
            said = f"nothing holds “{short(needle, 30)}”{among}"
        elif self._filter not in (EXAMPLES, ALL):
            said = f"{len(rows)} {self._filter} shown"
        elif self._filter == ALL or needle:
            said = f"{len(rows)} shown, {others} of them {OTHERS}"
        else:
            said = f"{self.flavor.own_key('filter')} shows {hidden} more, {OTHERS}" if hidden else "all shown"
        return line((f"{counted(len(self.session.store.examples), 'example')} · ", "bold"), (said, "$text-muted"))

    def _selected(self) -> str | None:
        table = self.query_one(DataTable)
        if not table.row_count:
            return None
        return table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value

    @on(Input.Changed, "#search")
    def _searched(self) -> None:
        self.set_timer(0.15, self.renew)

    @on(Input.Submitted, "#search")
    def _submitted(self) -> None:
        self.renew()  # the last letters may still wait for it
        self.query_one(DataTable).focus()

    @on(DataTable.RowSelected)
    def _row_selected(self) -> None:
        self.action_open()

    def action_open(self) -> None:
        if uid := self._selected():
            self.app.push_screen(dialog_for(self.session, uid), self._edited)

    def _edited(self, saved: bool | None) -> None:
        """Say that it was saved, and where it went if the table shows it no more."""
        last = self.session.store.last
        if not saved or last is None:
            return
        shown = any(row.uid in last.put.examples for _, row in self._rows())
        gone = "" if shown else " It is no longer among the rows that are shown here."
        self.flavor.say(f"Saved: “{last.about()}”. {self.flavor.own_key('undo_library')} takes it back.{gone}", about="undo")
        self.flavor.changed()

    def action_search(self) -> None:
        self.query_one("#search", Input).focus()

    def action_filter(self) -> None:
        self._filter = FILTERS[(FILTERS.index(self._filter) + 1) % len(FILTERS)]
        self.renew()

    def action_delete(self) -> None:
        uid = self._selected()
        if uid is None:
            self.flavor.say("No row is shown that could be deleted.", "warning")
            return
        if uid not in self.session.store.examples:
            self.flavor.say("Only examples can be deleted; what was rejected stays on record.", "warning")
            return
        try:
            self.session.delete_example(uid)
        except FlavorError as error:
            self.flavor.complain(error)
            return
        self.flavor.say(f"Deleted; {self.flavor.key_for('undo_library')} brings it back.", about="undo")
        self.flavor.changed()

    def action_bring_in(self) -> None:
        from tui.screens.importing import ImportDialog

        def done(said: str | None) -> None:
            if said:
                self.flavor.say(said, about="undo")
                self.flavor.changed()

        self.app.push_screen(ImportDialog(self.session), done)

    def action_export_library(self) -> None:
        from tui.screens.exporting import ExportDialog

        rows = [row for _, row in self._rows() if isinstance(row, Example)]
        if rows:
            self.app.push_screen(ExportDialog(self.session, rows[::-1]), lambda said: self.flavor.say(said) if said else None)
        else:
            self.flavor.say("No example is shown that could be exported.", "warning")

    def action_undo_library(self) -> None:
        if self.flavor.undo(here=done_in_library):
            self.flavor.changed()

    def action_measure(self) -> None:
        self.flavor.measure_examples()
