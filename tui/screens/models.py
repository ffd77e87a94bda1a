"""A dialog of the models: what is on this machine, what would fit it, good ones to begin with; fetches one, with progress."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import DataTable, Footer
from textual.worker import Worker

from core.errors import FlavorError
from core.fit import Machine
from tui.commands.fetching import fetch
from tui.commands.models import Known, known, told
from tui.screens.dialog import Dialog
from tui.widgets.plain import Plain, line, plain
from tui.widgets.rowtable import RowTable

COLUMNS = (("model", 30), ("where", 11), ("size", 5), ("needs", 10))
LOOKING = "◌ looking for models on this machine"
MARKS = {"fits": "✓", "tight": "!", "too large": "✗"}


class ModelsDialog(Dialog[str]):
    """Gives the name of the model that was chosen, or an empty one. Fetching stops when it is left; what came stays."""

    HELP = "The models here, and good ones to begin with; whether each fits is an estimate for training in 4 bits. One that is not here is fetched first."
    BINDINGS = [
        Binding("escape,q", "leave", "leave", id="models_leave"),
        Binding("c", "stop", "stop fetching", id="models_stop"),
    ]

    def __init__(self, stays: Callable[[str], str] = lambda name: "") -> None:
        """`stays` says why a model cannot be chosen; nothing where it can."""
        super().__init__()
        self._stays = stays
        self._known: dict[str, Known] = {}
        self._fetching: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Plain(plain("Models", "bold"), id="dialog-title")
            table = RowTable[object](cursor_type="row", id="models-table")
            yield table
            yield Plain(id="models-about")
            yield Plain(id="models-doing")
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        for label, width in COLUMNS:
            table.add_column(label, key=label, width=width)
        table.focus()
        self._look()

    @work(exclusive=True, group="look")
    async def _look(self) -> None:
        """Fill the table as they are found."""
        table = self.query_one(DataTable)
        table.loading = True
        self._say(LOOKING, "$text-muted")
        try:
            async with contextlib.aclosing(known([])) as found:
                async for one in found:
                    table.loading = False
                    if isinstance(one, Machine):
                        self.query_one("#dialog-title", Plain).update(line(("Models  ", "bold"), (told(one), "$text-muted")))
                    elif one.name not in self._known:
                        self._known[one.name] = one
                        table.add_row(*map(plain, _cells(one)), key=one.name)
            if str(self.query_one("#models-doing", Plain).content) == LOOKING:
                self._say("")
        except FlavorError as error:
            self._say(f"! {error}", "$text-error")
        finally:
            if table.is_attached:  # else the dialog was left meanwhile, and its table has no screen to be drawn on
                table.loading = False

    def _say(self, words: str, style: str = "") -> None:
        self.query_one("#models-doing", Plain).update(plain(words, style))

    def _selected(self) -> Known | None:
        table = self.query_one(DataTable)
        if not table.row_count:
            return None
        return self._known.get(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value or "")

    @on(DataTable.RowHighlighted)
    def _about(self) -> None:
        one = self._selected()
        if one is None:
            return
        first = ""
        if one.need and one.need.first > one.need.peak:
            first = f" At its first use, once, {one.need.first / 1e9:.1f} GB."
        memory = f"Training in 4 bits takes about {one.need.peak / 1e9:.1f} GB: {one.need.verdict}.{first}" if one.need else ""
        size = f"{one.bytes / 1e9:.1f} GB on the disk. " if one.where != "to download" else f"{one.bytes / 1e9:.1f} GB to download. "
        does = "enter fetches it." if one.where == "to download" else "enter takes it." if not one.problem else ""
        self.query_one("#models-about", Plain).update(
            line((one.name + "\n", "bold"), (one.rest() + "\n" if one.rest() else ""), size, memory, (f" {does}", "$text-accent"))
        )

    @on(DataTable.RowSelected)
    def _chosen(self) -> None:
        one = self._selected()
        if one is None:
            return
        if one.where == "to download":
            if self._fetching is None or self._fetching.is_finished:
                self._fetching = self._fetch(one)
            else:
                self._say("One at a time: c stops the one that is being fetched.", "$text-warning")
        elif one.problem:
            self._say(f"! {one.name}: {one.problem}", "$text-error")
        elif why := self._stays(one.name):
            self._say(f"! {why}", "$text-warning")
        else:
            self.dismiss(one.name)

    @work(group="fetch")
    async def _fetch(self, one: Known) -> None:
        try:
            async with contextlib.aclosing(fetch(one.name)) as words:
                async for said in words:
                    self._say(f"● {said}")
        except FlavorError as error:
            self._say(f"! {error}", "$text-error")
            return
        except asyncio.CancelledError:
            if self.is_mounted:
                self._say(f"· {one.name}: stopped; what came stays, and enter goes on there.", "$text-warning")
            raise
        self._say(f"✓ {one.name} is on this machine; enter takes it.", "$text-success")
        here = Known(one.name, "hub", one.bytes, one.shape, one.need, one.licence, one.about)
        self._known[one.name] = here
        self.query_one(DataTable).update_cell(one.name, "where", plain(here.where))
        self._about()

    def action_stop(self) -> None:
        if self._fetching and not self._fetching.is_finished:
            self._fetching.cancel()

    def action_leave(self) -> None:
        self.dismiss("")


def _cells(one: Known) -> tuple[str, str, str, str]:
    """A row of the table. Of a path the end is shown: it tells more than the beginning."""
    width = COLUMNS[0][1]
    name = one.name if len(one.name) <= width else "…" + one.name[1 - width :]
    if one.problem or one.need is None:
        return name, one.where, one.size(), "✗ no base" if one.problem else "?"
    return name, one.where, one.size(), f"{MARKS[one.need.verdict]} {one.need.most / 1e9:.1f} GB"
