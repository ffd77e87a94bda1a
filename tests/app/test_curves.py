"""The canvas of the curves draws the lines it is given, and the picture chooses its scale."""

import itertools

import numpy as np
from textual.app import App
from textual.geometry import Size

from runs.curves import Curve
from tui.widgets.curves import DOTS, CurvesPlot, Dots

WIDTH, HEIGHT = 40, 12


def dots(x, y):
    """The dots (column, line) of a canvas after a line through some points, in cells."""
    canvas = Dots(1, 1)
    canvas.reset(Size(WIDTH, HEIGHT), refresh=False)
    with canvas.batch_refresh():
        canvas.draw_line_of_dots(np.array(x, float), np.array(y, float), "red")
    assert {style for line in canvas._styles for style in line} <= {"", "red"}
    return {
        (2 * column + right, 4 * line + below)
        for line, row in enumerate(canvas._buffer)
        for column, char in enumerate(row)
        for below in range(4)
        for right in range(2)
        if char != " " and (ord(char) - 0x2800) & int(DOTS[below][right])
    }


def wanted(x, y):
    """A dot for each column or line between two points, whatever is more, nearest to the line between the points' own dots."""
    points = [(int(np.floor(2 * a)), int(np.floor(4 * b))) for a, b in zip(x, y, strict=True)]
    found = set()
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        steps = max(1, abs(x1 - x0), abs(y1 - y0))
        found |= {tuple(a + (2 * (b - a) * step + steps) // (2 * steps) for a, b in ((x0, x1), (y0, y1))) for step in range(steps + 1)}
    return {(a, b) for a, b in found if 0 <= a < 2 * WIDTH and 0 <= b < 4 * HEIGHT}


def test_lines_are_drawn_dot_by_dot():
    """Within the picture, across its edges and outside; a single point; upwards, downwards and back."""
    draw = np.random.default_rng(1)
    for count in range(1, 40):
        x, y = draw.uniform(-15, WIDTH + 15, count), draw.uniform(-5, HEIGHT + 5, count)
        if count % 3:
            x, y = np.clip(x, 0, WIDTH - 0.1), np.clip(y, 0, HEIGHT - 0.1)
        assert dots(x, y) == (wanted(x, y) if count > 1 else wanted([*x, *x], [*y, *y]))
    assert len(dots([0, 39.9], [0, 11.9])) == 2 * WIDTH


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
