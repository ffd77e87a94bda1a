"""The keys of a page, in its last line."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer


class KeyLine(Footer):
    """The keys of a page. Textual's own makes all its widgets anew whenever anything may have changed what a key does; this one only where
    another key, word or state is to be seen: two times in three none is."""

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)
        self._drawn: list[tuple[str, str, str, bool]] | None = None

    def _now(self) -> list[tuple[str, str, str, bool]]:
        """Key, word, action and whether it can be pressed, in the order of the line."""
        active = self.screen.active_bindings.values()
        return [(self.app.get_key_display(one), one.description, one.action, on) for _, one, on, _ in active if one.show]

    def compose(self) -> ComposeResult:
        self._drawn = self._now() if self._bindings_ready else None
        yield from super().compose()

    def bindings_changed(self, screen: Screen[object]) -> None:
        if not (self._bindings_ready and self.is_attached and screen is self.screen and self._drawn == self._now()):
            super().bindings_changed(screen)
