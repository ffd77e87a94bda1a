"""How untrusted text reaches the terminal: made visible, as `Content`, never as markup; and the filter through which every line passes."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.color import Color
from textual.content import Content
from textual.filter import LineFilter
from textual.widgets import Static

from core.text import clean, has_controls, strip_controls


def plain(text: str, style: str = "") -> Content:
    """`text` without markup, in one style, with everything visible that a terminal would hide or obey."""
    text = clean(text)
    return Content.styled(text, style) if style else Content(text)


def line(*parts: str | tuple[str, str] | Content) -> Content:
    """Several pieces in a row; a pair is a text and its style."""
    return Content.assemble(
        *(part if isinstance(part, Content) else plain(*((part,) if isinstance(part, str) else part)) for part in parts)
    )


def fitted(text: str, cells: int) -> str:
    """`text` in so many cells, with an ellipsis where it is longer."""
    return text if cell_len(text) <= cells else set_cell_size(text, cells - 1).rstrip(" ,") + "…"


class Plain(Static):
    """A `Static` that knows no markup."""

    def __init__(self, text: str | Content = "", *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(text, id=id, classes=classes, markup=False)


class ControlFilter(LineFilter):
    """The last line of defence: no control character of any text reaches the terminal, whichever widget it came through."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if not has_controls("".join([segment.text for segment in segments if not segment.control])):
            return segments
        return [segment if segment.control else Segment(strip_controls(segment.text), segment.style) for segment in segments]
