"""Curves of several runs with axes: held-out loss as a line with a sign at each epoch, training loss as a dim line behind it.

Imported when Runs is first looked at: it brings numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor
from typing import Any

from textual.app import ComposeResult
from textual.containers import Grid
from textual_hires_canvas import Canvas, HiResMode
from textual_plot import PlotWidget
from textual_plot.plot_widget import Legend

from runs.curves import Curve, thin

FEW, MANY = 60, 10
"""Points of a training curve, alone and among many."""
ALONE = 4
"""Runs up to which the training curves are drawn with all their points."""
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bits of a braille character's dots, by line and column."""
Drawn = tuple[Curve, str, str]
"""A run on the picture: its losses, its sign, its colour."""


class Dots(Canvas):
    """A canvas that draws lines of braille dots several times faster than the library's, the same ones: 20 runs are 2,000 characters."""

    def draw_hires_lines(self, coordinates: Iterable[Any], hires_mode: HiResMode | None = None, style: str = "white") -> None:
        """Lines from (x, y) to (x, y), four numbers each, in cells."""
        cells: dict[tuple[int, int], int] = {}
        for ends in coordinates:
            clipped = self._clip_line_cohen_sutherland(*map(float, ends))
            if clipped is None:
                continue
            x0, y0, x1, y1 = clipped
            for across, down in self._get_line_coordinates(floor(x0 * 2), floor(y0 * 4), floor(x1 * 2), floor(y1 * 4)):
                place = across >> 1, down >> 2
                cells[place] = cells.get(place, 0) | DOTS[down & 3][across & 1]
        width, height = self._canvas_region.size
        for (x, y), bits in cells.items():
            if 0 <= x < width and 0 <= y < height:
                self._buffer[y][x], self._styles[y][x] = chr(0x2800 + bits), style
        self.refresh()


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
            yield Canvas(1, 1, id="margin-top")
            yield Canvas(1, 1, id="margin-left")
            yield Dots(1, 1, id="plot")
            yield Canvas(1, 1, id="margin-bottom")
        yield Legend(id="legend")

    def on_mount(self) -> None:
        self.margin_top, self.margin_bottom, self.margin_left = 1, 1, 7
        self.set_ylabel("loss")

    def show(self, runs: Sequence[Drawn]) -> None:
        """Draw these runs; the later ones on top."""
        self.clear()
        most = FEW if len(runs) <= ALONE else MANY
        self._room_for_one(runs)
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

    def _room_for_one(self, runs: Sequence[Drawn]) -> None:
        """Limits of its own around a single point, of which the library would make a scale of millionths."""
        points = {point for curve, _, _ in runs for point in (*curve.held, *(curve.train if len(curve.train) > 1 else ()))}
        alone = len(points) == 1
        step, loss = next(iter(points)) if alone else (0, 0.0)
        self.set_xlimits(*((step - 1, step + 1) if alone else (None, None)))
        self.set_ylimits(*((loss - 0.5, loss + 0.5) if alone else (None, None)))

    def _line(self, points: Sequence[tuple[float, float]], style: str) -> None:
        steps, losses = zip(*points, strict=True)
        self.plot(steps, losses, line_style=style, hires_mode=HiResMode.BRAILLE)

    def _render_plot(self) -> None:
        """Without the batch every dot asks for a picture of its own, which takes longer than the dots."""
        with self.query_one("#plot", Canvas).batch_refresh():
            super()._render_plot()
