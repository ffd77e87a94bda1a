"""The worker's jobs as the screen sees them, one at a time, the person's wish first; only sampling takes its turn within a retraining. Here is what
they share: which of them goes on, the line that says it, what makes room for what, what a key stops. Each has a module of its own."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from textual.content import Content
from textual.worker import Worker

from core.errors import FlavorError
from core.runfiles import BASE
from core.text import counted
from tui.jobs.curving import CurveJob
from tui.jobs.loading import LoadJob
from tui.jobs.measuring import MeasureJob
from tui.jobs.retraining import RetrainJob
from tui.jobs.sampling import SampleJob
from tui.widgets.plain import line

if TYPE_CHECKING:
    from tui.front import Front
    from tui.jobs.sheeting import SheetJob

BEHIND = ("curving", "sweeping", "sheeting")
"""What is done while nothing else is to do, and gives way to whatever the person asks for."""
STOPPED = {
    "training": "The retraining", "sampling": "The sampling", "measuring": "The measurement", "downloading": "The download",
    "curving": "The learning curve", "sweeping": "The sweep", "sheeting": "The contact sheet",
}  # fmt: skip
"""What can be stopped, as a sentence begins with it."""
NO_BASE = ("missing", "model")
"""Why a base cannot be loaded, however often the worker is started."""
REDRAW = 0.1
"""Seconds between two redraws of the line of activity."""


class Jobs:
    """What the worker is doing for this app. `line` says it; every method may be called at any time."""

    def __init__(self, app: Front) -> None:
        self.app = app
        self.session = app.session
        self.doing = "none"
        """none, loading, downloading, ready, sampling, training, measuring, curving, sweeping, sheeting or dead."""
        self._text = "the model is not loaded"
        self._way_out: Callable[[], str] = str
        """Which key does something about it, as the end of what is said: another one on each page, for where letters are typed none does it."""
        self._task: Worker[None] | None = None
        self._drawn = 0.0
        self.model = LoadJob(self)
        self.retraining = RetrainJob(self)
        self.losses = MeasureJob(self)
        self.samples = SampleJob(self)
        self.curve = CurveJob(self, "curving", "learning curve", "curve_report")
        self.sweep = CurveJob(self, "sweeping", "sweep", "sweep_report")
        self._sheet: SheetJob | None = None
        self.trouble = ""
        """Why the worker, which lives, does not work."""
        self._due = False
        """What is to be done has not had its first turn yet."""
        self._number = 0
        """Of the job that may speak: one that was given up may not."""

    @property
    def sheet(self) -> SheetJob:
        """The contact sheet. Imported when first asked for."""
        if self._sheet is None:
            from tui.jobs.sheeting import SheetJob

            self._sheet = SheetJob(self)
        return self._sheet

    def line(self) -> Content:
        """Sign, word and figures of what is going on."""
        if self.trouble:
            return line(
                (f"✗ {self.trouble}. {self.key('restart_worker')} ends it and starts it again; deciding and writing go on.", "$text-error")
            )
        sign, style = {
            "none": ("○", "$text-muted"),
            "loading": ("◌", "$text-accent"),
            "downloading": ("◌", "$text-accent"),
            "ready": ("○", "$text-muted"),
            "sampling": ("●", "$text-accent"),
            "training": ("●", "$text-success"),
            "measuring": ("●", "$text-accent"),
            "curving": ("●", "$text-accent"),
            "sweeping": ("●", "$text-accent"),
            "sheeting": ("●", "$text-accent"),
            "dead": ("✗", "$text-error"),
        }[self.doing]
        text = self.said
        if self.doing == "downloading":
            text += f"; {self.stops()}"
        elif self.doing == "ready" and (new := self._to_learn()):
            key = self.app.key_for("retrain", "retrain_runs", "retrain_report") or f"on Curate {self.app.own_key('retrain')}"
            text = f"{text.split(',')[0]}; {key} retrains: {counted(new, 'example')} it does not know yet"
        return line((f"{sign} {text}", style))

    @property
    def said(self) -> str:
        """What is going on, in words, with the keys as they are where it is read."""
        return f"{self._text}{self._way_out()}"

    def key(self, action: str) -> str:
        """By which key this is done from here; where letters are typed, on which page it is."""
        return self.app.key_for(action) or f"on Curate {self.app.own_key(action)}"

    def _to_learn(self) -> int:
        """How many examples a retraining would bring, where that are enough."""
        from tui.session.advice import retraining_pays  # not before the first picture

        return retraining_pays(self.session)

    def tell(self, doing: str, text: str, force: bool = True, way_out: Callable[[], str] = str) -> None:
        """What is done now, and the words for it, `way_out` as their end; without `force` the line is drawn again only now and then."""
        self.doing, self._text, self._way_out = doing, text, way_out
        if force or time.monotonic() - self._drawn > REDRAW:
            self._drawn = time.monotonic()
            self.app.redraw_activity()

    def rest(self) -> None:
        """What was done is over."""
        loaded = self.session.loaded
        if loaded is None:
            self.tell("none", "the model is not loaded", way_out=lambda: f"; {self.key('restart_worker')} starts the worker")
        else:
            self.tell(
                "ready",
                f"ready: {PurePath(loaded.name).name}, {loaded.parameters / 1e6:.0f} M parameters, {loaded.form.split(',')[0]} on {loaded.device}",
            )

    def start(self, work: Callable[[], Coroutine[Any, Any, None]], doing: str, text: str) -> None:
        """Do this now, in the place of what was done: from here on it alone may speak. It is what is done at once, before its first turn: else
        the next one to ask would find the model free. Given as a function: an app that ends before it begins would leave a coroutine that
        nobody awaits."""
        self._number += 1
        self._due = True
        self.tell(doing, text)
        self._task = self.app.run_worker(
            functools.partial(self._guarded, work, self._number), name=doing, group="jobs", exit_on_error=False
        )

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]], number: int) -> None:
        """Run a job; whatever goes wrong is said, and the app goes on."""
        self._due = False
        try:
            await work()
        except asyncio.CancelledError:
            if number == self._number:
                self._ended()
            raise
        except Exception as error:
            if number != self._number:
                return
            self._failed(
                error if isinstance(error, FlavorError) else FlavorError(self.app.keep_fault(error), "See logs/screen.log.", "fault")
            )

    def _stop(self) -> None:
        """Cancel what is done: it has its last word in its next turn. What has not had its first one never gets any, and has ended here."""
        if self._task:
            self._task.cancel()
        if self._due:
            self._due = False
            self._ended()

    def _ended(self) -> None:
        """What was stopped is over."""
        self.rest()
        self.app.renew()
        self.samples.after_cancel()
        self.app.call_later(self.samples.fill)  # and what else waits: what was not to begin any more is forgotten

    def _failed(self, error: FlavorError) -> None:
        worker = self.session.worker
        if error.kind == "worker" or worker is None or not worker.alive or self.session.loaded is None:
            if error.kind == "absent":
                self.tell(
                    "dead",
                    error.message,
                    way_out=lambda: f" {self.key('download')} downloads it from the hub; {self.key('restart_worker')} looks again.",
                )
                return
            if error.kind in NO_BASE:
                self.tell(
                    "dead",
                    error.message,
                    way_out=lambda: f" {self.key('models')} shows the models that are here; {self.key('restart_worker')} looks again.",
                )
                self.app.complain(error)
                return
            log = f"{self.session.folder.name}/logs/worker.log"
            self.tell("dead", error.message, way_out=lambda: f" {self.key('restart_worker')} starts it again; {log} says more.")
        else:
            self.rest()
            self.app.call_later(self.samples.fill)  # else nothing behind it would begin; what failed itself does not begin again
        self.app.renew()
        self.app.complain(error)

    @property
    def waits(self) -> str:
        """What is going on that waits while texts are sampled, in a word; empty where that is nothing."""
        if self.doing == "loading" and self.model.early and self.session.registry.current() == BASE:
            return "preparing the model"
        if self.doing != "training" or self._due:
            return ""
        return f"the measuring of {self.retraining.stays}" if self.retraining.stays else "the retraining"

    def watch(self) -> None:
        """Notice a worker that ended while nothing was asked of it, or that lives and does not work."""
        worker = self.session.worker
        if worker is None:
            return
        if self.doing == "ready" and worker.death:
            self._failed(worker.death)
        trouble = worker.trouble()
        if trouble != self.trouble:
            self.trouble = trouble
            self.app.redraw_activity()

    def stops(self, what: str = "it") -> str:
        """By which key what is going on is stopped from here, as the end of a sentence."""
        return f"{self.key('cancel')} stops {what}"

    def cancel(self) -> None:
        """Stop what is going on, if it can be stopped, and whatever waits for its end."""
        if self.session.wish:
            self.session.wish = None
            self.app.say("No retraining follows.")
            return
        if self.doing == "loading" and self.samples.busy:
            if self.samples.for_queue:
                self.samples.give_up()
                self.app.say("No more candidates until the model is ready.")
            else:
                self.samples.leave_text()
                self.app.say(f"{STOPPED['sampling']} was stopped; everything is as it was.")
            return
        if self.doing in STOPPED and self._task:
            if self.doing == "training" and self.retraining.asks_first():
                return
            self._forget_behind()
            if self.doing == "training" or (self.doing == "sampling" and self.samples.for_queue):  # who stops it wants no candidates
                self.samples.give_up()
                self.halt(f" No candidates come by themselves now; {self.key('more')} samples some.")
            else:
                self.halt()

    def give_up_all(self) -> None:
        """Another base is to be loaded: nothing that is done or waits is of use any more."""
        if self._task:
            self._task.cancel()
        self._forget_behind()
        self.samples.give_up()

    def _forget_behind(self) -> None:
        self.curve.forget()
        self.sweep.forget()
        if self._sheet:
            self._sheet.forget()

    def halt(self, more: str = "") -> None:
        """Stop what is going on, and nothing else; `more` is what else is to be said."""
        what, left = f"{STOPPED[self.doing]} was stopped", "everything is as it was"
        if stays := self.retraining.stays:
            what, left = "The measuring was stopped", f"{stays} stays active"
        elif (live := self.session.registry.live) and self.session.registry.run(live).epochs:
            left = f"{self.session.registry.current()} stays active, and {live} keeps the checkpoints that it has"
        self._stop()
        self.app.say(f"{what}; {left}.{more}")

    def changed(self) -> None:
        """Something in the session changed: redraw, and see that the queue is filled."""
        self.app.renew()
        self.samples.fill()

    def go_on(self) -> None:
        """Begin what is done while nothing else is to do."""
        if self.doing == "ready" and not self.curve.go_on() and not self.sweep.go_on() and self._sheet:
            self._sheet.go_on()

    @property
    def gives_way(self) -> bool:
        """Whether the model is there, and free for what the person asks for or made so."""
        return self.doing in ("ready", "sampling", *BEHIND)

    def make_room(self) -> bool:
        """Stop what gives way to something the person asked for; whether the model is free for it then. What was granted time goes on later."""
        if self.doing in ("sampling", *BEHIND):
            self.curve.pause()
            self.sweep.pause()
            self._stop()
        return self.gives_way

    def give_way(self) -> Worker[None] | None:
        """Stop what is going on for what the person asked for; it has its last word when it is waited for."""
        before = self._task
        self._stop()
        return before

    def not_ready(self) -> None:
        """Say why nothing can be asked of the model, and what to do about it: it never will be ready for a session that only looks."""
        try:
            self.session.must_write()
        except FlavorError as error:
            self.app.complain(error)
            return
        if self.doing in STOPPED:
            self.app.say(f"{STOPPED[self.doing]} is going on; {self.stops()}.")
        elif self.doing == "loading":
            self.app.say("The model is being made ready; deciding and writing go on.")
        elif self.doing == "dead":
            self.app.say(self.said, "warning")
        else:
            self.app.say(f"The model is not loaded; {self.key('restart_worker')} starts the worker.", "warning")
