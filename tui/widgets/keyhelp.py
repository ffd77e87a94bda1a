"""The keys of a screen, as `?` shows them: our own first, then those that only move about in what has the focus."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import HelpPanel, KeyPanel, Markdown
from textual.widgets._key_panel import BindingsTable


class KeyTable(BindingsTable):
    """Textual lists a widget's keys before its screen's: at 80 x 24 a dozen cursor keys, and none of the screen's."""

    def render_bindings_table(self) -> Table:
        own: dict[str, list[Binding]] = {}
        moving: dict[str, list[Binding]] = {}
        for active in self.screen.active_bindings.values():
            if not active.binding.system:
                # Every key in `tui/keys.py` has an id; what the footer shows counts too.
                part = own if active.binding.id or active.binding.show else moving
                part.setdefault(active.binding.action, []).append(active.binding)
        table = Table(padding=(0, 0), show_header=False, show_edge=False, box=None)
        table.add_column(justify="right")
        key, words = (self.get_component_rich_style(f"bindings-table--{part}") for part in ("key", "description"))
        for part in (own, moving):
            if table.row_count:
                table.add_row()
            for bindings in part.values():
                shown = " ".join(dict.fromkeys(map(self.app.get_key_display, bindings)))
                told = Text(bindings[0].description, end="", style=words)
                if bindings[0].tooltip:
                    told.append(f" {bindings[0].tooltip}", "dim")
                table.add_row(Text(shown, style=key), told)
        return table


class OwnKeyPanel(KeyPanel):
    def compose(self) -> ComposeResult:
        yield KeyTable(shrink=True, expand=False)


class OwnHelpPanel(HelpPanel):
    """Textual's, with that order."""

    def compose(self) -> ComposeResult:
        yield Markdown(id="widget-help")
        yield OwnKeyPanel(id="keys-help")
