"""What `?` shows: the keys of the screen one is on, what the screen is for, the keys that hold everywhere, and those that only move about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import ActiveBinding
from textual.binding import Binding as Key
from textual.containers import Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import Markdown, Static

from tui.screens.dialog import Dialog
from tui.widgets.plain import Plain, line

Rows = dict[str, list[Key]]
"""The bindings of each action."""


class HelpDialog(Dialog[None]):
    """Over any other screen, with the keys that held there."""

    HELP = "Every key of the screen below, and what that screen is for."
    BINDINGS = [Key("escape,q", "leave", "close", id="help_leave")]

    def __init__(self, below: Screen[Any]) -> None:
        super().__init__()
        title, self.words = split(below.HELP or "")
        self._title = title or "This dialog"
        self.own, self.everywhere, self.moving = grouped(below.active_bindings)

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="help"):
            yield Plain(line((self._title, "bold"), ("  ↑ ↓ go through it, esc closes it", "$text-muted")), id="dialog-title")
            with VerticalScroll(id="help"):
                yield Static(table(self.app, self.own))
                yield Markdown(self.words, id="help-words")
                yield Static(table(self.app, self.everywhere))
                yield Static(table(self.app, self.moving))

    def on_mount(self) -> None:
        self.query_one("#help").focus()

    def action_leave(self) -> None:
        self.dismiss(None)


def split(words: str) -> tuple[str, str]:
    """A screen's words without their heading, and the heading, which a dialog's have not."""
    words = words.strip()
    if not words.startswith("# "):
        return "", words
    title, _, rest = words.partition("\n")
    return title[2:], rest.strip()


def grouped(bindings: Mapping[str, ActiveBinding]) -> tuple[Rows, Rows, Rows]:
    """A screen's own keys, those of the program, and those that only move about in what has the focus: Textual lists these first."""
    own: Rows = {}
    everywhere: Rows = {}
    moving: Rows = {}
    for active in bindings.values():
        if not active.binding.system:
            # Every key in `tui/keys.py` has an id; what the footer shows counts too.
            ours = active.binding.id or active.binding.show
            part = everywhere if ours and isinstance(active.node, App) else own if ours else moving
            part.setdefault(active.binding.action, []).append(active.binding)
    return own, everywhere, moving


def table(app: App[Any], rows: Rows) -> Table:
    """Key, word, sentence."""
    found = Table(padding=(0, 2, 0, 0), show_header=False, show_edge=False, box=None)
    found.add_column(no_wrap=True)
    found.add_column(no_wrap=True)
    found.add_column(ratio=1)
    for bindings in rows.values():
        keys = " ".join(dict.fromkeys(map(app.get_key_display, bindings)))
        found.add_row(Text(keys, "bold"), bindings[0].description, Text(bindings[0].tooltip, "dim"))
    return found
