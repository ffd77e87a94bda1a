"""Passing notes that cannot stop the program: each goes away, whole, though its time was over before it was shown."""

from __future__ import annotations

import contextlib
import re
from time import time

from textual.app import App, ScreenStackError
from textual.css.query import NoMatches
from textual.notifications import Notification, Notifications, SeverityLevel
from textual.widgets._toast import Toast, ToastRack

SHORTEST = 0.05
"""Seconds that a note is shown at least."""
MOST_NOTES = 5
"""Passing notes that are shown at once."""
READ_AT_ONCE = 1.5
"""Seconds in which any note is read,"""
CHARACTERS = 25
"""and how many characters of a longer one are read in a second."""
NUMBER = re.compile(r"(?<![\w/-])\d+(?:\.\d+)?(?![\w/-])")
"""One that stands alone: those in the name of a checkpoint say what a note is about."""


class Note(Notification):
    """A notification of which some time is always left.

    Textual 8.2 starts a timer with the seconds that are left when the toast is made; where the process was held up until after its end
    they are negative, and such a timer looks for its next moment for ever, in the event loop.
    """

    about = ""
    """What it tells of: a later one about the same takes its place."""

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


class WithNotes(App[int]):
    """An app whose notes cost little, however many come at once."""

    question = ""
    """The note that asks for a key once more."""
    _notes_due = False
    """Whether a refresh of the toasts is queued already."""

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
        about: str = "",
    ) -> None:
        """A note, without markup unless asked for, with the few latest beside it, each once. Of many in one moment (a key that is held down,
        a worker that raves) only those are drawn that are still there when the moment is over, or drawing them would hold up the keys. From the
        event loop only. One that differs from another in its numbers only, or is `about` the same, takes its place."""
        note = Note(message, title, severity, self.NOTIFICATION_TIMEOUT if timeout is None else timeout, markup=markup)
        note.about = about
        alike = (NUMBER.sub("0", message), title, severity)
        same = [
            old for old in self._notifications
            if (NUMBER.sub("0", old.message), old.title, old.severity) == alike or (about and getattr(old, "about", "") == about)
        ]  # fmt: skip
        for old in same or list(self._notifications)[: 1 - MOST_NOTES]:
            self._unnotify(old, refresh=False)
        self._notifications.add(note)
        if not self._notes_due:
            self._notes_due = True
            self.call_later(self._refresh_notifications)

    def put_away_read(self) -> None:
        """The person goes on: what has been there long enough to be read covers nothing any more, and a question is answered or taken
        back. Errors stay their time."""
        now = time()
        read = [
            note for note in self._notifications
            if note.message == self.question
            or (note.severity != "error" and now - note.raised_at > max(READ_AT_ONCE, len(note.message) / CHARACTERS))
        ]  # fmt: skip
        for note in read:
            self._unnotify(note, refresh=False)
        if read and not self._notes_due:
            self._notes_due = True
            self.call_later(self._refresh_notifications)

    def _refresh_notifications(self) -> None:
        self._notes_due = False
        with contextlib.suppress(ScreenStackError, NoMatches):
            sweep(self.screen.get_child_by_type(ToastRack), self._notifications)
        super()._refresh_notifications()
