"""A question that a key asks and the same key answers."""

from __future__ import annotations

import time
from typing import Protocol

AGAIN = 6.0
"""Seconds in which it is to be answered."""
HASTE = 0.3
"""Seconds from one press to the next in which nobody has read the question: two taps of a habit, or a key that is held down."""


class Pressed(Protocol):
    """Who knows how many keys were pressed so far; pastes and clicks count."""

    pressed: int


class Twice:
    """For what one stray key must not do: the next key, if it is the same one and comes soon, does it; any other takes the question back."""

    def __init__(self, by: Pressed) -> None:
        self._by = by
        self._asked: tuple[float, int] | None = None

    def sure(self) -> bool:
        """Whether this is the second time; else it is asked now."""
        now, key = time.monotonic(), self._by.pressed
        sure = self._asked is not None and HASTE <= now - self._asked[0] < AGAIN and key - self._asked[1] <= 1
        self._asked = None if sure else (now, key)
        return sure
