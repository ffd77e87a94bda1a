"""How untrusted text reaches the terminal: made visible, as `Content`, never as markup; and the filter through which every line passes."""

from __future__ import annotations

import contextlib
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.color import Color
from textual.content import Content
from textual.events import Paste
from textual.filter import LineFilter
from textual.widgets import Input, OptionList, Static, TextArea

from core.text import clean, clean_line, has_controls, strip_controls


def plain(text: str, style: str = "") -> Content:
    """`text` without markup, in one style, with everything visible that a terminal would hide or obey."""
    text = clean(text)
    return Content.styled(text, style) if style else Content(text)


def line(*parts: str | tuple[str, str] | Content) -> Content:
    """Several pieces in a row; a pair is a text and its style."""
    return Content.assemble(
        *(part if isinstance(part, Content) else plain(*((part,) if isinstance(part, str) else part)) for part in parts)
    )


class Plain(Static):
    """A `Static` that knows no markup."""

    def __init__(self, text: str | Content = "", *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(text, id=id, classes=classes, markup=False)


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
        whole, width = str(self._whole), max(2, self.size.width)
        self.placeholder = whole if cell_len(whole) < width else set_cell_size(whole, width - 2).rstrip(" ,") + "…"

    def _on_paste(self, event: Paste) -> None:
        event.prevent_default()
        event.stop()
        super()._on_paste(Paste(clean_line(event.text)))


class Choices(OptionList):
    """An `OptionList` that Textual 8.2 may be asked to page through before it is drawn: it raises then."""

    def _move_page(self, direction: Literal[-1, 1]) -> None:
        with contextlib.suppress(KeyError):
            super()._move_page(direction)


class ControlFilter(LineFilter):
    """The last line of defence: no control character of any text reaches the terminal, whichever widget it came through."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if not has_controls("".join([segment.text for segment in segments if not segment.control])):
            return segments
        return [segment if segment.control else Segment(strip_controls(segment.text), segment.style) for segment in segments]
