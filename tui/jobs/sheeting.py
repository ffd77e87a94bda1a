"""The contact sheet as a job of the app: made after each run, behind the queue, the training and whatever the person asks for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from core.errors import FlavorError
from tui.jobs.curving import NO_MODEL
from tui.session.sheet import ContactSheet

if TYPE_CHECKING:
    from tui.jobs.jobs import Jobs


class SheetJob:
    """Holds the checkpoints whose columns are wanted. What stops it for a moment leaves them; cancelling forgets them."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs, self._app = jobs, jobs.app
        self.contact = ContactSheet(jobs.session)
        self._wanted: list[str] = []
        self.made = 0
        """Grows with every column."""

    def ask(self, checkpoints: Iterable[str]) -> None:
        """Make what is missing for these, now or when the worker is free."""
        if self._app.session.held_by:
            return
        missing = self.contact.missing(self.contact.lanes(checkpoints))
        self._wanted = list(dict.fromkeys([*self._wanted, *(lane.checkpoint for lane in missing)]))
        self.go_on()

    def outlook(self, checkpoint: str = "") -> str:
        """Whether what is missing of this checkpoint, or of any, is still to come, as the end of a sentence."""
        if self._app.session.held_by:
            return "is not made: this session only reads"
        if checkpoint:
            try:
                self._app.session.registry.checkpoint_folder(checkpoint)
            except FlavorError:
                return "is not made: its checkpoint is not there any more"
        if checkpoint not in self._wanted if checkpoint else not self._wanted:
            return "is not made: it was given up, and goes on when this is opened again"
        if self._jobs.doing in NO_MODEL:
            return "is made as soon as a model is loaded"
        return "is made when the model has nothing else to do"

    def go_on(self) -> None:
        """Begin if something is wanted and the worker is free."""
        if self._wanted and self._jobs.doing == "ready":
            self._jobs.start(self._make, "sheeting", "contact sheet: beginning")

    def stop(self) -> None:
        """Make no more of it, neither now nor later, for the key on its screen: whatever else goes on is not meant."""
        waited = bool(self._wanted)
        self.forget()
        if self._jobs.doing == "sheeting":
            self._jobs.halt()
        elif waited:
            self._app.say("The contact sheet waits no more; it does when you open it again.")
        else:
            self._app.say("The contact sheet is not being made: there is nothing to stop.")

    def forget(self) -> None:
        """Do not begin again by itself."""
        self._wanted = []

    async def _make(self) -> None:
        await asyncio.sleep(0)
        wanted = list(self._wanted)
        try:
            async with contextlib.aclosing(self.contact.make(wanted)) as events:
                async for lane, done, count in events:
                    self._jobs.tell("sheeting", f"contact sheet: {lane.name}, {done} of {count} texts", force=False)
                    self.made += done == count
        except Exception:
            self.forget()  # else it would fail again and again
            raise
        self._wanted = [name for name in self._wanted if name not in wanted]
        self._jobs.rest()
        self._jobs.changed()
