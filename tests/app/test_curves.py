"""The fast canvas of the curves draws what the library's own canvas draws."""

import random

from textual.app import App
from textual.geometry import Size
from textual_hires_canvas import Canvas, HiResMode

from runs.curves import Curve
from tui.widgets.curves import CurvesPlot, Dots


def drawn(kind, lines):
    """The characters of a canvas of 40 x 12 cells and their styles, after some lines."""
    canvas = kind(1, 1)
    canvas.reset(Size(40, 12), refresh=False)
    with canvas.batch_refresh():
        for at, line in enumerate(lines):
            canvas.draw_hires_lines([line], HiResMode.BRAILLE, ("red", "blue")[at % 2])
    return canvas._buffer, canvas._styles


def test_lines_are_those_of_the_library():
    """Within the picture, across its edges, outside, and one on another."""
    draw = random.Random(1)
    for _ in range(30):
        lines = [[draw.uniform(-15, 55), draw.uniform(-5, 17), draw.uniform(-15, 55), draw.uniform(-5, 17)] for _ in range(3)]
        lines.append([0, 0, 39.9, 11.9])
        ours, theirs = drawn(Dots, lines), drawn(Canvas, lines)
        assert ours == theirs
        assert any(char != " " for row in ours[0] for char in row)


async def test_a_single_point_has_a_scale_of_its_own():
    """After the first measurement there is one point, around which the library would draw a scale of millionths."""
    app = App()
    async with app.run_test(size=(80, 24)) as pilot:
        plot = CurvesPlot()
        await app.mount(plot)
        plot.show([(Curve([], [(0, 5.0)]), "●", "green")])
        await pilot.pause()
        assert (plot._x_min, plot._x_max, plot._y_min, plot._y_max) == (-1, 1, 4.5, 5.5)
        plot.show([(Curve([], [(0, 5.0), (20, 4.0)]), "●", "green")])
        await pilot.pause()
        assert plot._x_max > 10
