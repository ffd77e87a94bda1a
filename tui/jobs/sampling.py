"""Sampling as a job of the app: the queue is filled while nothing else is to do, and within a retraining, or what makes a base ready, whose
steps wait for it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from core.errors import FlavorError
from dataset.rows import Candidate

if TYPE_CHECKING:
    from textual.widgets import TextArea
    from textual.worker import Worker

    from tui.jobs.jobs import Jobs


MOST_IN_VAIN = 2
"""So many batches that add nothing to what is wanted are enough."""


class SampleJob:
    """Whatever the person does not ask for gives way to it. Beside what waits for it (`Jobs.waits`) it has a place of its own, and the line stays
    that one's."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs, self._app = jobs, jobs.app
        self._beside: Worker[None] | None = None
        self.for_queue = False
        """What was begun last fills the queue, and is no text that is gone on with."""
        self._stopped = False
        """It failed, or was given up: it does not begin by itself."""
        self._refill = False
        """It was stopped for other candidates, not given up."""
        self._in_vain = 0
        """Batches, one after the other, of which nothing counts among what is wanted now."""

    @property
    def busy(self) -> bool:
        """Whether candidates are on their way."""
        return self._jobs.doing == "sampling" or (self._beside is not None and not self._beside.is_finished)

    def fill(self) -> None:
        """Sample in the background where too few candidates of the active checkpoint wait."""
        jobs, sampling, waiting = self._jobs, self._app.session.settings.sampling, len(self._app.session.newest())
        if jobs.waits:  # its end brings other candidates: only as many as are needed until then
            if not self._stopped and not self.busy and waiting < min(sampling.keep_ready, max(1, sampling.batch // 2)):
                self._begin()
        elif not self._stopped and waiting < sampling.keep_ready:
            if not self.busy and (jobs.doing in ("ready", "sheeting") or (jobs.doing in ("curving", "sweeping") and not waiting)):
                self._begin()
        else:
            jobs.go_on()

    def ask(self) -> None:
        """Sample a batch now."""
        if self.busy:
            self._app.say("Candidates are on their way.")
        elif not self._begin():
            self._jobs.not_ready()

    def _begin(self) -> bool:
        return self._carry_out(self._sample, for_queue=True)

    def _carry_out(self, work: Callable[[bool], Coroutine[Any, Any, None]], for_queue: bool = False) -> bool:
        """Begin it, alone or beside a retraining; whether that can be."""
        beside = bool(self._jobs.waits)
        if not beside and not self._jobs.make_room():
            return False
        self.for_queue = for_queue
        if for_queue:
            self._stopped = False
        if beside:
            self._tell(beside)
            self._cancel_beside()
            self._beside = self._app.run_worker(
                functools.partial(self._guarded, work, beside), name="beside", group="jobs", exit_on_error=False
            )
        else:
            self._jobs.start(functools.partial(work, beside), "sampling", "sampling")
        return True

    async def _guarded(self, work: Callable[[bool], Coroutine[Any, Any, None]], beside: bool) -> None:
        """Beside a retraining, which tells of a worker that died."""
        try:
            await work(beside)
        except asyncio.CancelledError:
            self.after_cancel()
            raise
        except Exception as error:
            if not isinstance(error, FlavorError):
                error = FlavorError(self._app.keep_fault(error), "See logs/screen.log.", "fault")
            if error.kind != "worker":
                self._app.complain(error)
                self._end(beside=True)

    def _tell(self, beside: bool, text: str = "") -> None:
        words = "sampling" + (f": {text}" if text else "")
        if not beside:
            self._jobs.tell("sampling", words)
        elif waits := self._jobs.waits:
            self._jobs.tell(self._jobs.doing, f"{words}; {waits} waits")

    def _end(self, beside: bool) -> None:
        if not beside:
            self._jobs.rest()
        elif waits := self._jobs.waits:
            self._jobs.tell(self._jobs.doing, f"{waits} goes on")
        self._jobs.changed()

    async def _sample(self, beside: bool) -> None:
        await asyncio.sleep(0)  # a curve that was stopped has its last word first
        session = self._app.session
        count, done, wanted = session.settings.sampling.batch, 0, False
        self._tell(beside)
        try:
            async for event in session.sample(count, session.fixed):
                if isinstance(event, Candidate):
                    done += 1
                    told = bool(event.text.strip())  # one without a word is passed over, and would be sampled for again without end
                    wanted = wanted or (told and any(event.uid == candidate.uid for candidate in session.newest()))
                    self._tell(beside, f"{done} of {count} from {event.checkpoint}")
                    self._app.arrived()
        except Exception:
            self._stopped = True
            raise
        self._in_vain = 0 if wanted else self._in_vain + 1
        self._stopped = self._in_vain >= MOST_IN_VAIN  # else it would sample without end
        if self._stopped:
            key = self._app.own_key("more")
            self._app.say(
                f"Of the last {self._in_vain} batches no text is what is asked for now. {key} on Curate samples another.", "warning"
            )
        session.pass_over(done)
        self._end(beside)

    def continue_text(self, area: TextArea, fields: dict[str, str]) -> None:
        """Let the model go on from where a text stops."""
        if not self._carry_out(functools.partial(self._continue, area, fields)):
            self._jobs.not_ready()

    async def _continue(self, area: TextArea, fields: dict[str, str], beside: bool) -> None:
        await asyncio.sleep(0)
        self._tell(beside, "going on with your text")
        text = area.text
        addition = await self._app.session.candidates.continue_text(text, fields)
        if area.text != text:
            self._app.say("The text has changed meanwhile: what the model wrote was left out.")
        elif addition.strip():
            area.insert(addition, area.document.end)
            area.move_cursor(area.document.end)
        else:
            self._app.say("The model would end the text here.")
        self._end(beside)

    # -- stopping ------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """The candidates on their way are not wanted, others are, whatever was given up before."""
        self._stopped, self._in_vain = False, 0
        if self._jobs.doing == "sampling":
            self._refill = True
            self._jobs.make_room()
        elif self.for_queue and self.busy:
            self._refill = True
            self._cancel_beside()

    def give_up(self) -> None:
        """Do not begin again by itself: `g`, or a retraining, does."""
        self._stopped, self._refill = True, False
        self._cancel_beside()

    def leave_text(self) -> None:
        """Do not go on with a text beside what makes a base ready: candidates may come in its place."""
        self._cancel_beside()
        self._app.call_later(self.fill)

    def afresh(self) -> None:
        """Whatever went wrong before: a retraining, or another worker, is a new beginning."""
        self._stopped = self._refill = False
        self._in_vain = 0

    def other_checkpoint(self) -> None:
        """The active checkpoint is another, or the retraining is over: other candidates are to fill the queue. A text that is gone on with, is."""
        if self.for_queue:
            self._cancel_beside()

    def _cancel_beside(self) -> None:
        if self._beside:
            self._beside.cancel()
            self._beside = None

    def after_cancel(self) -> None:
        """It has ended: sample what is wanted instead, if anything."""
        if self._refill:
            self._refill = self._stopped = False
            self._app.call_later(self.fill)
