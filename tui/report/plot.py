"""The learning curve as a picture of plain characters: the measured sizes, and the law through them and a little beyond."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.gauges.forecast import MORE, Forecast

POINT, CURVE, NOW = "●", "·", "┆"


@dataclass(frozen=True)
class Axes:
    """Where rows (by their logarithm) and losses stand on a canvas of `width` by `height` characters."""

    first: float
    last: float
    low: float
    high: float
    width: int
    height: int

    def column(self, rows: float) -> int:
        return round((self.width - 1) * math.log(rows / self.first) / math.log(self.last / self.first)) if self.last > self.first else 0

    def rows(self, column: int) -> float:
        return self.first * math.pow(self.last / self.first, column / (self.width - 1))

    def line(self, loss: float) -> int:
        return min(self.height - 1, max(0, round((self.height - 1) * (self.high - loss) / (self.high - self.low))))


def _axes(forecast: Forecast, width: int, height: int) -> Axes:
    first, last = forecast.levels[0].size, float(max(forecast.levels[-1].size, forecast.rows + MORE))
    losses = [level.loss for level in forecast.levels]
    if forecast.law:
        losses += [forecast.law.at(first), forecast.law.at(last)]
    margin = 0.05 * (max(losses) - min(losses)) or 0.05
    return Axes(first, last, min(losses) - margin, max(losses) + margin, width, height)


def plot(forecast: Forecast, width: int = 46, height: int = 9) -> list[str]:
    """Held-out loss over the number of rows; nothing where no size was measured. The broken column is the rows that there are now."""
    if not forecast.levels:
        return []
    axes = _axes(forecast, width, height)
    canvas = [[" "] * width for _ in range(height)]
    for line in canvas:
        line[axes.column(forecast.rows)] = NOW
    if forecast.law:
        for place in range(width):
            canvas[axes.line(forecast.law.at(axes.rows(place)))][place] = CURVE
    for level in forecast.levels:
        canvas[axes.line(level.loss)][axes.column(level.size)] = POINT
    labels = {0: f"{axes.high:.2f}", height - 1: f"{axes.low:.2f}"}
    drawn = [f"{labels.get(number, ''):>6} │{''.join(line).rstrip()}" for number, line in enumerate(canvas)]
    ticks = [" "] * (width + 4)
    for rows in sorted({*(round(level.size) for level in forecast.levels), forecast.rows, forecast.rows + MORE}):
        label, place = str(rows), axes.column(rows)
        if all(tick == " " for tick in ticks[max(0, place - 1) : place + len(label) + 1]):
            ticks[place : place + len(label)] = label
    return [*drawn, f"{'':6} └{'─' * width}", f"{'':8}{''.join(ticks).rstrip()} rows"]
