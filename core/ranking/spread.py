"""Mean and deviation of numbers that come and go."""

from __future__ import annotations

import math

UNIT = 1 << 40
"""Numbers are counted in whole parts of this size, so that nothing is left of one that is taken out, and their order does not matter."""


class Spread:
    """Knows the mean and the deviation of what was put in."""

    def __init__(self) -> None:
        self._count = self._sum = self._squares = 0

    def add(self, value: float, times: int = 1) -> None:
        """Put a number in; with -1 `times`, take one out that was put in."""
        whole = round(value * UNIT)
        self._count += times
        self._sum += times * whole
        self._squares += times * whole * whole

    @property
    def mean(self) -> float:
        """0 where there is none."""
        return self._sum / self._count / UNIT if self._count else 0.0

    @property
    def deviation(self) -> float:
        """That of the numbers themselves, not an estimate of a larger set's."""
        return math.sqrt(self._count * self._squares - self._sum**2) / self._count / UNIT if self._count else 0.0
