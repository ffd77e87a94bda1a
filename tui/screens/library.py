"""Library: every example and every decided candidate in one table; search, filter, open, delete, undo."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import DataTable, Input

from core.errors import FlavorError
from core.text import counted, short
from dataset.rows import Candidate, Example, Op
from tui import keys
from tui.screens.edit import dialog_for
from tui.screens.page import Page
from tui.session import losses
from tui.session.marks import TWIN
from tui.widgets.boxes import CleanInput
from tui.widgets.plain import Plain, fitted, line, plain

FILTERS = ("all", "written", "imported", "accepted", "edited", "rejected", "skipped", "passed")
SIGNS = {
    "written": "✎ written",
    "imported": "⇣ imported",
    "accepted": "✓ accepted",
    "edited": "✓ edited",
    "rejected": "✗ rejected",
    "skipped": "· skipped",
    "passed": "· passed",
}


def done_in_library(op: Op) -> bool:
    """Whether it was done here: what changes rows, and a decision of a candidate that did not wait, for those that wait are decided on Curate."""
    if op.kind == "decide":
        return all(candidate is None or candidate.state != "pending" for candidate in op.was.candidates.values())
    return op.kind in ("change", "delete", "import")


BESIDE, LEAST_ROOM = 36, 30
"""Cells of the other columns and the edges, and of a text at least."""


class Search(CleanInput):
    """The box above the table. What leaves it is not for what goes on behind: there the same key stops a retraining."""

    BINDINGS = [Binding("escape", "clear", "clear, leave", id="search_leave")]

    def action_clear(self) -> None:
        self.value = ""
        self.screen.query_one(DataTable).focus()


class LibraryScreen(Page):
    """The table and its search."""

    CSS_PATH = "library.tcss"
    MODE = "library"
    BINDINGS = keys.bindings("library")
    HELP = """
# Library
All examples, and the candidates that were rejected, skipped, or passed over because better ones waited. **enter** opens a row to read or edit it, **d** deletes an example
(**u** brings it back), **i** imports, **e** writes the examples that the table shows into a file, **/** searches, **o** shows one origin only, **l** measures the loss of every example: the highest ones are
typos, off style, or your most original. **≈** marks near-duplicates.
"""

    def __init__(self) -> None:
        super().__init__()
        self._filter = "all"
        self._seen: tuple[object, ...] | None = None
        self.losses: dict[str, float] = {}
        self._stamp: tuple[object, ...] | None = None
        """Of the losses: they are of the active checkpoint, and of the texts as they are now."""

    def body(self) -> ComposeResult:
        with Vertical(id="desk"):
            yield Plain(id="library-head")
            yield Search(placeholder="search; enter goes to the table", id="search", compact=True)
            table: DataTable[object] = DataTable(cursor_type="row", zebra_stripes=True, id="library-table")
            yield table

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        for label, width in (("origin", 11), ("words", 5), ("≈", 1), ("loss", 5), ("text", LEAST_ROOM)):
            table.add_column(label, width=width, key=label)
        table.focus()

    def on_resize(self) -> None:
        if self.is_mounted:
            self.renew()

    def _rows(self) -> list[tuple[str, Example | Candidate]]:
        store = self.session.store
        decided = [(c.state, c) for c in store.candidates.values() if c.state in ("rejected", "skipped", "passed")]
        rows: list[tuple[str, Example | Candidate]] = [(e.origin, e) for e in reversed(store.examples.values())]
        rows += list(reversed(decided))
        needle = self.query_one("#search", Input).value.casefold().strip()
        return [
            (origin, row)
            for origin, row in rows
            if self._filter in ("all", origin) and (not needle or needle in " ".join((row.text, *row.fields.values())).casefold())
        ]

    def renew(self) -> None:
        room = max(LEAST_ROOM, self.size.width - BESIDE)
        stamp = losses.stamp(self.session)
        state = (stamp, self._filter, self.query_one("#search", Input).value, room)
        if state == self._seen:
            return
        self._seen = state
        if stamp != self._stamp:
            self._stamp, self.losses = stamp, losses.known(self.session)
        table = self.query_one(DataTable)
        at, before = table.cursor_row, self._selected()
        table.clear()
        table.ordered_columns[-1].width = room
        rows = self._rows()
        twins = {uid for _, row in rows if (uid := row.uid) and self.session.copying.overlap(row.text, but=uid)[0] >= TWIN}
        for origin, row in rows:
            loss = f"{self.losses[row.uid]:.2f}" if row.uid in self.losses else ""
            head = fitted(" ".join(row.text[: 4 * room].split()), room)
            table.add_row(
                plain(SIGNS[origin]),
                plain(f"{len(row.text.split()):>5}"),
                plain("≈" if row.uid in twins else ""),
                plain(loss),
                plain(head),
                key=row.uid,
            )
        if rows:
            order = [row.uid for _, row in rows]
            table.move_cursor(row=order.index(before) if before in order else min(at, len(rows) - 1))
        total = len(self.session.store.examples)
        others = sum(isinstance(row, Candidate) for _, row in rows)
        shown = (
            f"{len(rows)} shown, {others} of them rejected, skipped or passed over"
            if self._filter == "all"
            else f"{len(rows)} {self._filter} shown"
        )
        needle = self.query_one("#search", Input).value.strip()
        if needle and not rows:
            shown = f"nothing holds “{short(needle, 30)}”" + ("" if self._filter == "all" else f" among the {self._filter}; o shows others")
        self.query_one("#library-head", Plain).update(line((f"{counted(total, 'example')} · ", "bold"), (shown, "$text-muted")))

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
        self.flavor.say(f"Saved: “{last.about()}”. {self.flavor.own_key('undo_library')} takes it back.{gone}")
        self.flavor.changed()

    def action_search(self) -> None:
        self.query_one("#search", Input).focus()

    def action_filter(self) -> None:
        self._filter = FILTERS[(FILTERS.index(self._filter) + 1) % len(FILTERS)]
        self.renew()

    def action_delete(self) -> None:
        uid = self._selected()
        if uid not in self.session.store.examples:
            self.flavor.say("Only examples can be deleted; what was rejected stays on record.", "warning")
            return
        try:
            self.session.delete_example(uid)
        except FlavorError as error:
            self.flavor.complain(error)
            return
        self.flavor.say(f"Deleted; {self.flavor.key_for('undo_library')} brings it back.")
        self.flavor.changed()

    def action_bring_in(self) -> None:
        from tui.screens.importing import ImportDialog

        def done(said: str | None) -> None:
            if said:
                self.flavor.say(said)
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
        self.flavor.measure_examples(lambda _: self.renew())
