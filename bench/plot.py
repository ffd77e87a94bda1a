"""The evening's picture: accept rate and held-out loss by round, one line of two charts for each run. Plain SVG, written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bench.results import Evening

WIDTH, HEIGHT = 480, 230
"""Of one chart, in pixels."""
LEFT, RIGHT, TOP, BOTTOM = 44, 170, 34, 30
"""Around its lines; the right holds the names of the levels."""
OURS, OTHERS = "#1f5fa8", "#8a5a00"
LINE = 12
"""Pixels between two names, at least."""


@dataclass(frozen=True)
class Chart:
    """`points` are ours by round; `levels` are the others, each at one height, by name."""

    title: str
    points: list[tuple[int, float]]
    levels: dict[str, float]
    low: float
    high: float
    form: str


def charts(evening: Evening) -> tuple[Chart, Chart]:
    """What a run's two charts show."""
    last = evening.rounds[-1].number
    others = {peer.tool: peer for peer in evening.peers if peer.after == last}
    lanes = {**({"few-shot": evening.few_shot} if evening.few_shot else {}), **others}
    rates = Chart(
        f"{evening.task}, seed {evening.seed}: accepted",
        [(each.number, each.sampled.accept_rate) for each in evening.rounds],
        {name: lane.accept_rate for name, lane in lanes.items()},
        0.0,
        1.0,
        "{:.0%}",
    )
    losses = [(each.number, each.held_out) for each in evening.rounds if each.held_out is not None]
    levels = {name: lane.held_out for name, lane in lanes.items() if lane.held_out is not None}
    values = [*levels.values(), *(value for _, value in losses)] or [0.0, 1.0]
    margin = 0.08 * (max(values) - min(values)) or 0.1
    return rates, Chart("held-out loss, nats a token", losses, levels, min(values) - margin, max(values) + margin, "{:.2f}")


def spread(heights: Sequence[float], bottom: float, least: float = LINE) -> list[float]:
    """The heights, from top to bottom, moved where two names would lie on one another, none below `bottom`."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + least) if placed else height)
    return [min(height, bottom - least * rest) for height, rest in zip(placed, reversed(range(len(placed))), strict=True)]


def _text(x: float, y: float, words: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'


def draw(chart: Chart, left: float, top: float) -> list[str]:
    """The chart's elements, its corner at `left`, `top`."""
    x0, x1 = left + LEFT, left + WIDTH - RIGHT
    y0, y1 = top + HEIGHT - BOTTOM, top + TOP
    rounds = max([number for number, _ in chart.points], default=1) or 1

    def at(number: float, value: float) -> tuple[float, float]:
        return x0 + (x1 - x0) * number / rounds, y0 - (y0 - y1) * (value - chart.low) / (chart.high - chart.low)

    parts = [_text(left + 8, top + 18, chart.title, 'font-weight="bold"')]
    for step in range(5):
        value = chart.low + (chart.high - chart.low) * step / 4
        y = at(0, value)[1]
        parts.append(f'<line x1="{x0}" y1="{y:.1f}" x2="{x1}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(_text(x0 - 6, y + 4, chart.form.format(value), 'text-anchor="end" fill="#555"'))
    for number, _ in chart.points:
        parts.append(_text(at(number, 0)[0], y0 + 16, "base" if number == 0 else str(number), 'text-anchor="middle" fill="#555"'))
    names = [(at(rounds, value)[1], f"{name} {chart.form.format(value)}", OTHERS) for name, value in chart.levels.items()]
    for y, _, colour in names:
        parts.append(f'<line x1="{x0}" y1="{y:.1f}" x2="{x1}" y2="{y:.1f}" stroke="{colour}" stroke-dasharray="4 3"/>')
    if chart.points:
        places = [at(*point) for point in chart.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{OURS}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{OURS}"/>' for x, y in places]
        names.append((places[-1][1], f"ours {chart.form.format(chart.points[-1][1])}", OURS))
    names.sort()
    for (_, words, colour), y in zip(names, spread([y for y, _, _ in names], y0), strict=True):
        parts.append(_text(x1 + 8, y + 4, words, f'fill="{colour}"'))
    return parts


def svg(evenings: Sequence[Evening]) -> str:
    """The picture of all runs, one below the other."""
    width, height = 2 * WIDTH, HEIGHT * max(1, len(evenings))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for line, evening in enumerate(evenings):
        for column, chart in enumerate(charts(evening)):
            parts += draw(chart, column * WIDTH, line * HEIGHT)
    return "\n".join([*parts, "</svg>", ""])
