"""A dialog that ends once: keys and clicks that were on their way to it when it ended do nothing any more."""

from __future__ import annotations

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, ScreenResultType

from tui.screens.whole import Whole


class Dialog(Whole, ModalScreen[ScreenResultType]):
    """A modal screen whose actions and whose result count only while it is the one that is seen."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.is_current

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        return super().dismiss(result) if self.is_current else AwaitComplete()
