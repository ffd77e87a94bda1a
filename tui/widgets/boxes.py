"""Boxes to type in and lists to choose from, in which what comes from outside is seen as it will be stored. Apart from what every screen
needs, since the classes that they come from take a while to import and the first screen has none of them."""

from __future__ import annotations

import contextlib
from typing import Literal

from textual.events import Paste
from textual.widgets import Input, OptionList, TextArea

from core.text import clean, clean_line
from tui.widgets.plain import fitted


class CleanArea(TextArea):
    """A `TextArea` in which what is pasted or loaded is seen as it will be stored."""

    def __init__(self, text: str = "", *, id: str) -> None:  # noqa: A002
        super().__init__(clean(text), soft_wrap=True, id=id, tab_behavior="focus")

    async def _on_paste(self, event: Paste) -> None:
        event.prevent_default()  # Textual calls the inherited handler too
        await super()._on_paste(Paste(clean(event.text)))

    def _recompute_cursor_offset(self) -> None:
        """In the middle of an undo that takes the scrollbar away, Textual 8.2 asks for it while the cursor stands beyond the text; and
        again when the cursor has moved."""
        with contextlib.suppress(ValueError):
            super()._recompute_cursor_offset()  # type: ignore[no-untyped-call]


class CleanInput(Input):
    """An `Input` in which what is pasted or loaded is seen as it will be stored."""

    def __init__(self, value: str = "", **options: object) -> None:
        super().__init__(clean_line(value), **options)  # type: ignore[arg-type]
        self._whole = self.placeholder

    def on_resize(self) -> None:
        """What does not fit of the placeholder is seen to be missing."""
        self.placeholder = fitted(str(self._whole), max(2, self.size.width) - 1)

    def _on_paste(self, event: Paste) -> None:
        event.prevent_default()
        event.stop()
        super()._on_paste(Paste(clean_line(event.text)))


class Choices(OptionList):
    """An `OptionList` that Textual 8.2 may be asked to page through before it is drawn: it raises then."""

    def _move_page(self, direction: Literal[-1, 1]) -> None:
        with contextlib.suppress(KeyError):
            super()._move_page(direction)
