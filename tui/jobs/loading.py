"""What makes the model ready, as a job of the app: the worker started, ended and started again, the base loaded, or brought from the hub."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from core.errors import FlavorError
from core.protocol import Loaded, Loading, Usable

if TYPE_CHECKING:
    from tui.jobs.jobs import Jobs


class LoadJob:
    """All else waits for it, but the sampling of a base that is used for the first time, which is there before the rest (`Jobs.waits`)."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs, self._app, self._session = jobs, jobs.app, jobs.session
        self.early = False
        """The base, which is being made ready, can be sampled already."""

    def load(self) -> None:
        """Start the worker and make the base resident."""
        if self._jobs.doing in ("none", "dead"):
            self._jobs.start(self._load, "loading", "starting the worker")

    async def _load(self) -> None:
        began = time.monotonic()
        try:
            async for event in self._session.start_worker(early=True):
                if isinstance(event, Loading) and not (self.early and self._jobs.samples.busy):  # else it waits, and the line says so
                    share = f" {event.share:.0%}" if event.share is not None else ""
                    rest = "candidates come already" if self.early else "writing and library work already"
                    rest = "then it retrains" if self._session.wish else rest
                    self._jobs.tell("loading", f"{event.stage}{share}; {rest}", force=False)
                elif isinstance(event, Usable):
                    self.early = True
                    self._jobs.changed()
                elif isinstance(event, Loaded):
                    if event.note:
                        self._app.say(event.note, "warning")
                    self._app.log(f"loaded in {time.monotonic() - began:.1f} s")
        except FlavorError:
            if self._session.wish:
                self._app.say("No retraining follows.", "warning")
            raise
        finally:
            wish, self._session.wish, self.early = self._session.wish, None, False
        self._jobs.samples.other_checkpoint()  # what was asked of the base before comes from it as it is now
        self._jobs.samples.afresh()  # what could not be sampled from a base that was not ready, can be now
        self._jobs.rest()
        if wish:
            self._jobs.retraining.begin(wish)
        self._jobs.changed()

    def restart(self) -> None:
        """End the worker, if it is there, and start it again."""
        jobs = self._jobs
        if jobs.doing in ("dead", "none", "ready") or jobs.trouble:
            jobs.trouble = ""
            jobs.start(self._restart, "loading", "restarting the worker")
        else:
            self._app.say(
                "The model is being made ready." if jobs.doing == "loading" else f"The worker is at work; {jobs.stops('what it does')}."
            )

    def other_base(self) -> None:
        """Load the base that the settings name now, in the place of the one that is there or on its way."""
        self._jobs.give_up_all()
        self._jobs.trouble = ""
        self._jobs.start(self._restart, "loading", "starting the worker")

    def download(self) -> None:
        """Bring the base from the hub, then load it: the one thing here that uses the network."""
        if self._jobs.doing in ("dead", "none"):
            self._jobs.start(self._download, "downloading", "asking the hub")
        else:
            self._app.say("The base is here already, or on its way.")

    async def _download(self) -> None:
        from tui.commands.fetching import fetch

        async with contextlib.aclosing(fetch(self._session.settings.model.base)) as words:
            async for said in words:
                self._jobs.tell("downloading", said, force=False)
        await self._restart()

    async def _restart(self) -> None:
        await asyncio.sleep(0)  # what was stopped has its last word first
        await self._session.stop_worker()
        self._jobs.samples.afresh()
        await self._load()
