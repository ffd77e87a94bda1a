"""The fast canvas of the curves draws what the library's own canvas draws."""

import random

from textual.geometry import Size
from textual_hires_canvas import Canvas, HiResMode

from tui.widgets.curves import Dots


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
