"""Screens that are left by themselves, and end once: keys and clicks that were on their way to one when it ended do nothing any more."""

from __future__ import annotations

from textual.await_complete import AwaitComplete
from textual.binding import Binding
from textual.screen import ModalScreen, Screen, ScreenResultType

from tui.screens.whole import Whole


class Leaving(Whole, Screen[ScreenResultType]):
    """A screen whose actions count, and which ends, only while it is the one in front."""

    _ending: tuple[ScreenResultType | None] | None = None
    """The result that it was left with while another screen stood in front of it."""

    @property
    def _in_front(self) -> bool:
        """Textual's own `is_current` is true as well of a screen that shows through the one in front."""
        return self.is_current and self.app.screen is self

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._in_front

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """End with `result`; behind another screen, which Textual would take away in its place, as soon as that one is gone."""
        if self.left:
            return AwaitComplete()
        if self._in_front and self.is_mounted:
            self.left = True
            return super().dismiss(result)
        if self._in_front:  # left before it is drawn: its `on_mount` is still to come, and would miss its widgets
            self.call_later(self._leave, result)
        elif not self._ending:
            self._ending = (result,)
        return AwaitComplete()

    def on_screen_resume(self) -> None:
        if self._ending:
            self.dismiss(*self._ending)

    def _leave(self, result: ScreenResultType | None) -> None:
        """Gives nothing to wait for: a screen cannot wait for its own end."""
        self.dismiss(result)


class Dialog(Leaving[ScreenResultType], ModalScreen[ScreenResultType]):
    """The same over another screen. `HELP` says in a sentence or two what it is for; F1 shows it with the keys."""

    CSS_PATH = "dialog.tcss"
    BINDINGS = [Binding("f1,question_mark", "app.help", "help", id="help")]
    """The program's own keys end at a dialog, so this one is here again. Where something is typed, `?` is a character."""
