"""Passing notes that cannot stop the program: one whose time is over before it is shown still goes away."""

from __future__ import annotations

from time import time

from textual.notifications import Notification

SHORTEST = 0.05
"""Seconds that a note is shown at least."""


class Note(Notification):
    """A notification of which some time is always left.

    Textual 8.2 starts a timer with the seconds that are left when the toast is made; where the process was held up until after its end
    they are negative, and such a timer looks for its next moment for ever, in the event loop.
    """

    @property
    def time_left(self) -> float:
        return max(SHORTEST, super().time_left)

    @property
    def has_expired(self) -> bool:
        return self.raised_at + self.timeout <= time()
