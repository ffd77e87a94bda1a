"""The canvas of the curves draws the lines it is given, and the picture chooses its scale."""

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


def apart(dot, one, two):
    """How far a dot lies from the line between two points' dots, across the direction in which it has more of them."""
    (x, y), (x0, y0), (x1, y1) = dot, one, two
    if abs(x1 - x0) >= abs(y1 - y0):
        return abs(y - y0 - (y1 - y0) * (x - x0) / (x1 - x0)) if min(x0, x1) <= x <= max(x0, x1) and x1 != x0 else np.hypot(x - x0, y - y0)
    return abs(x - x0 - (x1 - x0) * (y - y0) / (y1 - y0)) if min(y0, y1) <= y <= max(y0, y1) else np.inf


def test_lines_are_drawn_dot_by_dot():
    """Within the picture and across its edges, in all directions: each dot is the nearest to the line, none is missing, none too many."""
    draw = np.random.default_rng(1)
    for number in range(60):
        x, y = draw.uniform(-15, WIDTH + 15, 2), draw.uniform(-5, HEIGHT + 5, 2)
        if number % 3:
            x, y = np.clip(x, 0, WIDTH - 0.1), np.clip(y, 0, HEIGHT - 0.1)
        one, two = ((int(np.floor(2 * a)), int(np.floor(4 * b))) for a, b in zip(x, y, strict=True))
        found = dots(x, y)
        assert all(apart(dot, one, two) <= 0.5 for dot in found)
        if number % 3:  # all of it is inside
            assert len(found) == 1 + max(abs(two[0] - one[0]), abs(two[1] - one[1]))
            assert {one, two} <= found
    assert len(dots([0, 39.9], [0, 11.9])) == 2 * WIDTH
    assert dots([3.2], [1.7]) == {(6, 6)}
    assert dots([0, 5, 9], [1, 8, 2]) == dots([0, 5], [1, 8]) | dots([5, 9], [8, 2])


def seen(app):
    return ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]


async def test_a_single_point_has_a_scale_of_its_own():
    """After the first measurement there is one point, around which the library would draw a scale of millionths."""
    app = App()
    async with app.run_test(size=(80, 24)) as pilot:
        plot = CurvesPlot()
        await app.mount(plot)
        plot.show([(Curve([], [(0, 5.0)]), "●", "green")])
        await pilot.pause()
        assert (plot._x_min, plot._x_max, plot._y_min, plot._y_max) == (-1, 1, 4.5, 5.5)
        (said,) = [line for line in seen(app) if "step" in line]
        assert said.split() == ["step", "0", "1"]
        plot.show([(Curve([], [(0, 5.0), (20, 4.0)]), "●", "green")])
        await pilot.pause()
        assert plot._x_min < 0 and plot._x_max > 20, "the frame would cover the first and the last sign"
        assert plot._y_min < 4 and plot._y_max > 5


async def test_the_axes_say_what_they_are_within_the_lines_that_they_have():
    app = App()
    async with app.run_test(size=(80, 24)) as pilot:
        plot = CurvesPlot()
        await app.mount(plot)
        plot.show([(Curve([], [(0, 5.0), (20, 4.0)]), "●", "green")])
        await pilot.pause()
        lines = seen(app)
        (said,) = [line for line in lines if "step" in line]
        assert said.startswith(" step ") and "10" in said and "loss" in lines[0]
        assert lines[-1] == said or not lines[-1].strip()
