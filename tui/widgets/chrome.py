"""What every screen has: the bar above (workspace, checkpoint, counts, tabs) and the line of what is going on below."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Click, Resize
from textual.widget import Widget
from textual.widgets._toast import ToastRack

from core.text import counted
from tui.session.session import Session
from tui.widgets.plain import Plain, line

WIDE = 110
"""Cells from which things stand side by side."""
KEY_LINES = 1
"""Of the keys, below the line of activity."""
TABS = ("write", "curate", "library", "runs", "report")
"""The screens, each of them also the action that goes there."""


def summary(session: Session) -> Content:
    """Workspace, active checkpoint and counts, as the bar shows them."""
    counts = session.store.counts
    accepted = counts["accepted"] + counts["edited"]
    decided = accepted + counts["rejected"]
    share = f" ({accepted / decided:.0%})" if decided else ""
    only = " · READ-ONLY" if session.held_by or session.store.read_only else ""
    current = session.active()
    return line(
        (session.folder.name[:24] + "  ", "bold $accent"),
        (f"{current} · {counted(len(session.store.examples), 'example')} · accepted {accepted} of {decided}{share}", "$text-muted"),
        (only, "bold $error"),
    )


class Tab(Plain):
    """The name of a screen; a click goes there."""

    def __init__(self, mode: str, key: str, active: bool) -> None:
        super().__init__(line((f" {mode.capitalize()} ", "bold"), (key, "$text-muted"), " "), classes="tab active" if active else "tab")
        self.mode = mode

    def on_click(self, event: Click) -> None:
        self.app.switch_mode(self.mode)


class TopBar(Vertical):
    """Two lines: what is open and how it stands; the screens."""

    def __init__(self, session: Session, mode: str, key_of: Callable[[str], str]) -> None:
        """`key_of` says which key an action has."""
        super().__init__(id="topbar")
        self._key_of = key_of
        self.session = session
        self.mode = mode

    def compose(self) -> ComposeResult:
        yield Plain(summary(self.session), id="summary")
        with Horizontal(id="tabs"):
            for mode in TABS:
                yield Tab(mode, self._key_of(mode), mode == self.mode)

    def renew(self) -> None:
        self.query_one("#summary", Plain).update(summary(self.session))


class Activity(Widget):
    """One line: what the worker is doing, with a sign and a word; never colour alone."""

    DEFAULT_CSS = "Activity { height: auto; max-height: 3; padding: 0 1; }"

    def __init__(self) -> None:
        super().__init__(id="activity")
        self._content: Content = Content("")

    def show(self, content: Content) -> None:
        if content != self._content:
            self._content = content
            self.refresh(layout=True)

    def on_resize(self, event: Resize) -> None:
        """Passing notes stand above it, however many lines it has."""
        below = event.size.height + KEY_LINES
        for rack in self.screen.query(ToastRack):
            if rack.styles.margin.bottom != below:  # else everything is laid out anew, before the first picture too
                rack.styles.margin = (0, 0, below, 0)

    def render(self) -> Content:
        return self._content
