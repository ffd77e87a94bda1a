"""Curves of several runs with axes: held-out loss as a line with a sign at each epoch, training loss as a dim line behind it.

Imported when Runs is first looked at: it brings numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.style import Style
from textual.app import ComposeResult
from textual.containers import Grid
from textual.geometry import Size
from textual_hires_canvas import Canvas, HiResMode, TextAlign
from textual_plot import PlotWidget
from textual_plot.axis_formatter import NumericAxisFormatter
from textual_plot.plot_widget import Legend, LinePlot, map_coordinate_to_hires_pixel

from runs.curves import Curve, thin

FEW, MANY = 60, 10
"""Points of a training curve, alone and among many."""
ALONE = 4
"""Runs up to which the training curves are drawn with all their points."""
ROOM = 0.04
"""Of the width of all points, and of their height, what is left free around them."""
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.uint8)
"""The bits of a braille character's dots, by line and column."""
BRAILLE = [chr(0x2800 + bits) for bits in range(256)]
FloatArray = npt.NDArray[np.floating]
Drawn = tuple[Curve, str, str]
"""A run on the picture: its losses, its sign, its colour."""


class Dots(Canvas):
    """A canvas that draws a line of braille dots as arrays, not dot by dot: 20 runs are 40 lines of 2,000 characters."""

    _own_style: Style | None = None

    def draw_line_of_dots(self, x: FloatArray, y: FloatArray, style: str) -> None:
        """A line from point to point, in cells; what lies outside the canvas is left out."""
        across, down = np.floor(x * 2).astype(int), np.floor(y * 4).astype(int)
        right, below = np.diff(across), np.diff(down)
        steps = np.maximum(1, np.maximum(abs(right), abs(below)))  # one dot at least, and one for each column or line, whatever is more
        part = np.repeat(np.arange(len(steps)), steps)
        step = np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)
        at_x, at_y = (
            np.append(first[:-1][part] + (2 * way[part] * step + steps[part]) // (2 * steps[part]), first[-1:])
            for first, way in ((across, right), (down, below))
        )
        width, height = self._canvas_region.size
        inside = (at_x >= 0) & (at_x < 2 * width) & (at_y >= 0) & (at_y < 4 * height)
        at_x, at_y = at_x[inside], at_y[inside]
        cells, places = np.unique((at_y >> 2) * width + (at_x >> 1), return_inverse=True)
        bits = np.zeros(len(cells), np.uint8)
        np.bitwise_or.at(bits, places, DOTS[at_y & 3, at_x & 1])
        for cell, dots in zip(cells.tolist(), bits.tolist(), strict=True):
            line, column = divmod(cell, width)
            self._buffer[line][column], self._styles[line][column] = BRAILLE[dots], style
        self.refresh()

    @property
    def rich_style(self) -> Style:
        """Found once for a picture, not for each of its lines."""
        if self._own_style is None:
            self._own_style = super().rich_style
        return self._own_style

    def reset(self, size: Size | None = None, refresh: bool = True) -> None:
        self._own_style = None
        super().reset(size, refresh)

    def notify_style_update(self) -> None:
        self._own_style = None
        super().notify_style_update()


class Steps(NumericAxisFormatter):
    """Ticks at whole steps, from the first one on."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        ticks = ((tick, round(tick)) for tick in super().get_ticks(min_, max_, max_ticks))
        return [whole for tick, whole in ticks if whole >= 0 and abs(tick - whole) < 1e-6]


class CurvesPlot(PlotWidget, can_focus=False):
    """The picture. `show` draws it anew."""

    DEFAULT_CSS = """
    CurvesPlot { & > .plot--axis { color: $text-muted; } & > .plot--tick { color: $text-muted; text-style: none; }
        & > .plot--label { color: $text-muted; text-style: none; } }
    """

    def __init__(self) -> None:
        super().__init__(allow_pan_and_zoom=False)

    def compose(self) -> ComposeResult:
        with Grid():
            yield Dots(1, 1, id="margin-top")
            yield Dots(1, 1, id="margin-left")
            yield Dots(1, 1, id="plot")
            yield Dots(1, 1, id="margin-bottom")
        yield Legend(id="legend")

    def on_mount(self) -> None:
        self.margin_top, self.margin_bottom, self.margin_left = 1, 1, 7
        self.set_ylabel("loss")
        self.set_xlabel("step")
        self.set_x_formatter(Steps())

    def show(self, runs: Sequence[Drawn]) -> None:
        """Draw these runs; the later ones on top."""
        self.clear()
        most = FEW if len(runs) <= ALONE else MANY
        self._set_limits(runs)
        for curve, _, colour in runs:
            if len(curve.train) > 1:
                self._line(thin(curve.train, most), f"dim {colour}")
        for curve, _, colour in runs:
            if len(curve.held) > 1:
                self._line(curve.held, colour)
        for curve, sign, colour in runs:
            if curve.held:
                steps, losses = zip(*curve.held, strict=True)
                self.scatter(steps, losses, marker=sign, marker_style=colour)

    def _set_limits(self, runs: Sequence[Drawn]) -> None:
        """A little room around all points, whose signs the frame would cover; of a single one the library would make a scale of millionths."""
        points = [point for curve, _, _ in runs for point in (*curve.held, *(curve.train if len(curve.train) > 1 else ()))]
        if not points:
            self.set_xlimits(None, None)
            self.set_ylimits(None, None)
            return
        for set_limits, alone, values in zip((self.set_xlimits, self.set_ylimits), (1, 0.5), zip(*points, strict=True), strict=True):
            low, high = min(values), max(values)
            room = (high - low) * ROOM or alone
            set_limits(low - room, high + room)

    def _render_line_plot(self, dataset: LinePlot) -> None:
        limits: Any = (self._x_min, self._x_max, self._y_min, self._y_max)
        x, y = map_coordinate_to_hires_pixel(dataset.x, dataset.y, *limits, self._scale_rectangle)  # type: ignore
        self.query_one("#plot", Dots).draw_line_of_dots(x, y, dataset.line_style)  # type: ignore

    def _line(self, points: Sequence[tuple[float, float]], style: str) -> None:
        steps, losses = zip(*points, strict=True)
        self.plot(steps, losses, line_style=style, hires_mode=HiResMode.BRAILLE)

    def _render_x_label(self) -> None:
        """Before the first number, where there is room: the library's own takes two more lines, and is left out where they are not there."""
        style = self.get_component_rich_style("plot--label")
        self.query_one("#margin-bottom", Canvas).write_text(self.margin_left - 3, 0, f"[{style}]{self._x_label}", TextAlign.RIGHT)

    def _render_plot(self) -> None:
        """Without the batch every dot asks for a picture of its own, which takes longer than the dots."""
        with self.query_one("#plot", Canvas).batch_refresh():
            super()._render_plot()
