"""What the five screens share: the bar above, the line of activity, the footer, and being told when something changed."""

from __future__ import annotations

import time

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import ScreenResume
from textual.screen import Screen

from tui.screens.whole import Whole
from tui.session.session import Session
from tui.widgets.chrome import WIDE, Activity, TopBar


class Page(Whole, Screen[None]):
    """A screen of the app. Subclasses compose `body` and redraw in `renew`."""

    MODE = ""
    _made: tuple[float, tuple[int, str]] = (0.0, (-1, ""))
    """When it was first drawn, and what of."""
    HORIZONTAL_BREAKPOINTS = [(WIDE, "-wide")]

    @property
    def session(self) -> Session:
        return self.flavor.session

    def compose(self) -> ComposeResult:
        yield TopBar(self.session, self.MODE, self.flavor.own_key)
        yield from self.body()
        yield Activity()
        yield Vertical(id="keys")

    def body(self) -> ComposeResult:
        """The screen's own widgets."""
        yield from ()

    def keep(self) -> None:
        """The app ends: put on the disk what is typed and not kept yet."""

    def renew(self) -> None:
        """Redraw what the session holds."""

    def on_mount(self) -> None:
        self._draw()
        self._made = time.monotonic(), self._state()

    async def first_seen(self) -> None:
        """The keys: a widget for each, which would hold up the first picture."""
        from tui.widgets.keyline import KeyLine

        for place in self.query("#keys"):
            if place.is_attached:  # the program may be ending
                await place.mount(KeyLine())
        self.refresh_bindings()  # a footer shows nothing until it is told of them

    def on_screen_resume(self, event: ScreenResume) -> None:
        event.refresh_styles = self.seen  # Textual would give the widgets their styles twice before the first picture
        self.flavor.desk.keep(mode=self.MODE)
        if self.is_mounted and not self._just_drawn():
            self.renew_all()

    def _state(self) -> tuple[int, str]:
        return self.session.store.journal.seq, self.session.active()

    def _just_drawn(self) -> bool:
        """Whether this is the resuming that comes with the mounting, twice: drawing three times would take as long as three times."""
        return time.monotonic() - self._made[0] < 0.5 and self._made[1] == self._state()

    def renew_all(self) -> None:
        """Redraw everything, the bar and the line of activity included; nothing where there is nothing to see yet."""
        if self.is_mounted:
            self._draw()

    def on_descendant_focus(self) -> None:
        """The line of activity names keys, and where letters are typed they do something else."""
        if self.seen:
            self.activity_changed()

    def activity_changed(self) -> None:
        """The line of activity changed, nothing else."""
        for activity in self.query(Activity):
            activity.show(self.flavor.activity_line())

    def _draw(self) -> None:
        self.query_one(TopBar).renew()
        self.query_one(Activity).show(self.flavor.activity_line())
        self.renew()
