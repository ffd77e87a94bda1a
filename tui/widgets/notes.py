"""Passing notes that cannot stop the program: each goes away, whole, though its time was over before it was shown."""

from __future__ import annotations

from time import time

from textual.notifications import Notification, Notifications
from textual.widgets._toast import Toast, ToastRack

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


def sweep(rack: ToastRack, notes: Notifications) -> None:
    """Take the toasts of notes that are over away, with what holds them: Textual takes away the toast alone, and the empty holders of an
    evening pile up until a key takes seconds."""
    for holder in rack.children:
        toasts = [child for child in holder.children if isinstance(child, Toast)]
        if not any(toast._notification in notes for toast in toasts):
            holder.remove()
