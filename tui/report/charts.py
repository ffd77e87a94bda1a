"""The report's pictures as inline SVG, 360 wide: as wide as a phone's page, so that no letter is smaller than 10 pixels there. Colours by CSS class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from core.gauges.forecast import MORE, Forecast
from core.gauges.statistics import Interval
from core.text import clean_line, short
from dataset.rounds import Round
from tui.report.contents import Course, Report, RowLosses

WIDTH = 360
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 30
"""Around a chart's lines."""
NAMES = 96
"""Pixels for names at the left of lines."""
LINE = 22
"""Pixels from one line to the next."""
TALL = 210
MOST_RUNS = 24
TICKS = 4


def words(text: str) -> str:
    """`text` as it may stand in HTML and SVG: harmless, and nothing hidden."""
    return escape(clean_line(text), quote=True)


@dataclass(frozen=True)
class Scale:
    """Numbers from `low` to `high` on pixels from `first` to `last`."""

    low: float
    high: float
    first: float
    last: float

    def at(self, value: float) -> float:
        span = (self.high - self.low) or 1.0
        return self.first + (self.last - self.first) * (value - self.low) / span


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "quiet") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{words(text)}</text>'


def _line(x0: float, y0: float, x1: float, y1: float, kind: str) -> str:
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" class="{kind}"/>'


def _dot(x: float, y: float, tip: str, kind: str = "dot", radius: float = 4) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{kind}"><title>{words(tip)}</title></circle>'


def _path(points: Sequence[tuple[float, float]], kind: str) -> str:
    return f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" class="{kind}"/>'


def figure(about: str, height: float, parts: Sequence[str]) -> str:
    """A picture with its caption, which is also what a screen reader says."""
    drawn = "".join(parts)
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{words(about)}">{drawn}</svg>'
        f"<figcaption>{words(about)}</figcaption></figure>"
    )


def _upright(scale: Scale, form: str = "{:.2f}") -> list[str]:
    """The lines across, with their values at the left."""
    parts = []
    for step in range(TICKS + 1):
        value = scale.low + (scale.high - scale.low) * step / TICKS
        y = scale.at(value)
        parts += [_line(LEFT, y, WIDTH - RIGHT, y, "grid"), _text(LEFT - 6, y + 4, form.format(value), "end")]
    return parts


# -- shares with their intervals -------------------------------------------------------------------------------------------


def _shares(about: str, rows: Sequence[tuple[str, float, Interval | None, str]]) -> str:
    """Lines of a name, a share of 1, its interval and a note."""
    scale = Scale(0.0, 1.0, NAMES + 8, WIDTH - RIGHT - 8)
    height = TOP + LINE * len(rows) + BOTTOM
    bottom = height - BOTTOM + 4
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = scale.at(share)
        parts += [_line(x, TOP, x, bottom, "grid"), _text(x, bottom + 15, f"{share:.0%}", "middle")]
    for place, (name, share, interval, note) in enumerate(rows):
        y = TOP + LINE * (place + 0.5)
        parts.append(_text(NAMES, y + 4, short(name, 14), "end"))
        if interval:
            parts.append(_line(scale.at(interval[0]), y, scale.at(interval[1]), y, "whisker"))
        parts.append(_dot(scale.at(share), y, f"{name}: {note}"))
    return figure(about, height, parts)


def kept(rounds: Sequence[Round]) -> str:
    rows = [(told.checkpoint, told.share, told.interval(), f"{told.kept} of {told.decided} kept") for told in rounds]
    return _shares(
        "How many of each checkpoint's candidates were kept; the line is where the share of all that it would show you lies, nine times out of ten",
        rows,
    )


def changed(rounds: Sequence[Round]) -> str:
    """Nothing where nothing was edited."""
    rows = [
        (told.checkpoint, told.edits, told.edits_interval(), f"changed by {told.edits:.0%}") for told in rounds if told.edits is not None
    ]
    return _shares("How much of the edited ones was changed, in words", rows) if rows else ""


# -- the learning curve ----------------------------------------------------------------------------------------------------


def curve(told: Forecast) -> str:
    """Held-out loss over the number of rows, by its logarithm; the law through the points; the rows that there are."""
    levels = told.levels
    if not levels:
        return ""
    first, last = levels[0].size, float(max(levels[-1].size, told.rows + MORE))
    ends = [end for level in levels for end in (level.interval or (level.loss, level.loss))]
    if told.law:
        ends += [told.law.at(first), told.law.at(last)]
    margin = 0.06 * (max(ends) - min(ends)) or 0.05
    across = Scale(math.log(first), math.log(last), LEFT + 8, WIDTH - RIGHT - 8)
    up = Scale(min(ends) - margin, max(ends) + margin, TALL - BOTTOM, TOP)

    def x(rows: float) -> float:
        return across.at(math.log(rows))

    parts = _upright(up)
    parts += [_line(x(told.rows), TOP, x(told.rows), TALL - BOTTOM, "now")] if told.rows >= first else []
    if told.law:
        sizes = [first * (last / first) ** (step / 40) for step in range(41)]
        parts.append(_path([(x(size), up.at(told.law.at(size))) for size in sizes], "law"))
    for level in levels:
        if level.interval:
            parts.append(_line(x(level.size), up.at(level.interval[0]), x(level.size), up.at(level.interval[1]), "whisker"))
        parts.append(_dot(x(level.size), up.at(level.loss), f"{level.size:.0f} rows: {level.loss:.3f} nats a token"))
    parts += _ticks([*(round(level.size) for level in levels), told.rows + MORE], x)
    return figure(f"Held-out loss, nats a token, by number of rows; the broken line is now: {told.rows} rows of yours", TALL, parts)


def _ticks(sizes: Sequence[int], x: Callable[[float], float]) -> list[str]:
    """Numbers below, as many as fit, the last in any case."""
    parts, free = [], -math.inf
    last = x(sizes[-1])
    for size in sorted(set(sizes)):
        place = x(size)
        if place - free >= 24 and (size == sizes[-1] or last - place >= 24):
            parts.append(_text(place, TALL - BOTTOM + 16, f"{size}", "middle"))
            free = place
    return parts


# -- runs ------------------------------------------------------------------------------------------------------------------


def runs(courses: Sequence[Course]) -> str:
    """Held-out loss over all epochs, run after run."""
    shown = courses[-MOST_RUNS:]
    if not shown:
        return ""
    values = [loss for course in shown for _, loss in course.losses]
    margin = 0.06 * (max(values) - min(values)) or 0.05
    up = Scale(min(values) - margin, max(values) + margin, TALL - BOTTOM, TOP)
    total = sum(len(course.losses) for course in shown)
    across = Scale(0.0, max(1.0, total - 1.0), LEFT + 8, WIDTH - RIGHT - 8)
    parts, place, named = _upright(up), 0, -math.inf
    for course in shown:
        points = [(across.at(place + number), up.at(loss)) for number, (_, loss) in enumerate(course.losses)]
        if place:
            parts.append(_line(points[0][0] - 4, TOP, points[0][0] - 4, TALL - BOTTOM, "grid"))
        parts.append(_path(points, "run"))
        for (epoch, loss), (x, y) in zip(course.losses, points, strict=True):
            chosen = epoch == course.chosen
            tip = f"{course.run}, {f'epoch {epoch}' if epoch else 'its start'}: {loss:.3f}{', chosen' if chosen else ''}"
            parts.append(_dot(x, y, tip, "dot" if chosen else "small", 5 if chosen else 2.5))
        if points[0][0] - named >= 34:
            named = points[0][0]
            parts.append(_text(named, TALL - BOTTOM + 16, course.run))
        place += len(course.losses)
    left_out = f"; the last {MOST_RUNS} of {len(courses)} runs" if len(courses) > MOST_RUNS else ""
    return figure(
        f"Held-out loss over the epochs of each run, from its start; the large dot is the epoch that was chosen{left_out}", TALL, parts
    )


# -- rows ------------------------------------------------------------------------------------------------------------------


def losses(rows: RowLosses, texts: Callable[[str], str]) -> str:
    """A dot for each row by its loss, those that stand out marked. `texts` gives a row's text by id."""
    if len(rows.losses) < 2:
        return ""
    low, high = min(rows.losses.values()), max(rows.losses.values())
    across = Scale(low, high, LEFT, WIDTH - RIGHT - 8)
    odd = {each.outlier.row for each in rows.odd}
    stacks: dict[int, int] = {}
    dots = []
    for uid, loss in sorted(rows.losses.items(), key=lambda item: item[1]):
        column = round(across.at(loss) / 7)
        stacks[column] = stacks.get(column, 0) + 1
        dots.append((column * 7.0, stacks[column], uid, loss))
    step = min(7.0, 150 / max(stacks.values()))
    height = TOP + step * max(stacks.values()) + BOTTOM + 8
    floor = height - BOTTOM
    parts = [_line(LEFT - 8, floor, WIDTH - RIGHT, floor, "grid")]
    for number in range(TICKS + 1):
        value = low + (high - low) * number / TICKS
        parts.append(_text(across.at(value), floor + 16, f"{value:.1f}", "middle"))
    for x, level, uid, loss in dots:
        tip = f"{loss:.2f}: {short(texts(uid), 60)}"
        parts.append(_dot(x, floor - 6 - (level - 1) * step, tip, "odd" if uid in odd else "small", 3.5 if uid in odd else 3))
    return figure("The loss of each row, nats a token; those that stand out are ringed", height, parts)


def pictures(report: Report) -> dict[str, list[str]]:
    """All pictures by the name that sections know them by."""
    found = {
        "rounds": [kept(report.rounds), changed(report.rounds)] if report.rounds else [],
        "curve": [curve(report.outlook.forecast)],
        "runs": [runs(report.courses)],
        "losses": [losses(report.rows, lambda uid: report.texts.get(uid, ""))],
    }
    return {name: [drawn for drawn in several if drawn] for name, several in found.items()}
