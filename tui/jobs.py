"""The worker's jobs as the screen sees them: loading, sampling, retraining, measuring; one at a time, the person's wish first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from textual.content import Content
from textual.worker import Worker

from core.errors import FlavorError
from core.protocol import Epoch, Loaded, Loading, Step, Trained
from dataset.rows import Candidate
from tui.session import Plan, duration
from tui.widgets.plain import line

if TYPE_CHECKING:
    from textual.widgets import TextArea

    from tui.app import FlavorApp

REDRAW = 0.1
"""Seconds between two redraws of the line of activity."""


class Jobs:
    """What the worker is doing for this app. `line` says it; every method may be called at any time."""

    def __init__(self, app: FlavorApp) -> None:
        self.app = app
        self.session = app.session
        self.doing = "none"
        """none, loading, ready, sampling, training, measuring or dead."""
        self._text = "the model is not loaded"
        self._plan = ""
        self._task: Worker[None] | None = None
        self._drawn = 0.0
        self._sampling_failed = False

    def line(self) -> Content:
        """Sign, word and figures of what is going on."""
        sign, style = {
            "none": ("○", "$text-muted"),
            "loading": ("◌", "$text-accent"),
            "ready": ("○", "$text-muted"),
            "sampling": ("●", "$text-accent"),
            "training": ("●", "$text-success"),
            "measuring": ("●", "$text-accent"),
            "dead": ("✗", "$text-error"),
        }[self.doing]
        return line((f"{sign} {self._text}", style))

    def _say(self, doing: str, text: str, force: bool = True) -> None:
        self.doing, self._text = doing, text
        if force or time.monotonic() - self._drawn > REDRAW:
            self._drawn = time.monotonic()
            self.app.redraw_activity()

    def _ready(self) -> None:
        loaded = self.session.loaded
        if loaded is None:
            self._say("none", "the model is not loaded; R starts the worker")
        else:
            self._say(
                "ready",
                f"ready: {PurePath(loaded.name).name}, {loaded.parameters / 1e6:.0f} M parameters, {loaded.form.split(',')[0]} on {loaded.device}",
            )

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._task = self.app.run_worker(self._guarded(work), name=name, group="jobs", exit_on_error=False)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a job; whatever goes wrong is said, and the app goes on."""
        try:
            await work
        except FlavorError as error:
            self._failed(error)
        except asyncio.CancelledError:
            self._ready()
            raise
        except Exception as error:
            self.app.log.error(error)
            self._failed(FlavorError(f"{type(error).__name__}: {error}", "See logs/worker.log.", "fault"))

    def _failed(self, error: FlavorError) -> None:
        worker = self.session.worker
        if error.kind == "worker" or worker is None or not worker.alive or self.session.loaded is None:
            self._say("dead", f"{error.message} R starts it again; {self.session.workspace.name}/logs/worker.log says more.")
        else:
            self._ready()
        self.app.complain(error)

    # -- loading -------------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Start the worker and make the base resident."""
        if self.doing in ("none", "dead"):
            self._say("loading", "starting the worker")
            self._start(self._load(), "load")

    async def _load(self) -> None:
        began = time.monotonic()
        async for event in self.session.start_worker():
            if isinstance(event, Loading):
                share = f" {event.share:.0%}" if event.share is not None else ""
                self._say("loading", f"{event.stage}{share}; writing, library and runs work already", force=False)
            elif isinstance(event, Loaded):
                if event.note:
                    self.app.say(event.note, "warning")
                self.app.log(f"loaded in {time.monotonic() - began:.1f} s")
        self._ready()
        self.app.changed()

    def restart(self) -> None:
        """End the worker, if it is there, and start it again."""
        if self.doing in ("dead", "none", "ready"):
            self._say("loading", "restarting the worker")
            self._start(self._restart(), "restart")

    async def _restart(self) -> None:
        await self.session.stop_worker()
        self._sampling_failed = False
        await self._load()

    def watch(self) -> None:
        """Notice a worker that ended while nothing was asked of it."""
        worker = self.session.worker
        if self.doing == "ready" and worker and worker.death:
            self._failed(worker.death)

    def cancel(self) -> None:
        """Stop what is going on, if it can be stopped."""
        if self.doing in ("training", "sampling", "measuring") and self._task:
            what = {"training": "The retraining", "sampling": "The sampling", "measuring": "The measurement"}[self.doing]
            self._task.cancel()
            self._sampling_failed = True  # do not start again by itself at once; g or the next decision does
            self.app.say(f"{what} was stopped; everything is as it was.")

    def stop_sampling(self) -> None:
        """Make room for something the person asked for."""
        if self.doing == "sampling" and self._task:
            self._task.cancel()

    # -- sampling ------------------------------------------------------------------------------------------------------

    def fill(self) -> None:
        """Sample in the background where too few candidates of the active checkpoint wait."""
        current = self.session.registry.current()
        waiting = sum(candidate.checkpoint == current for candidate in self.session.store.pending.values())
        if self.doing == "ready" and not self._sampling_failed and waiting < self.session.settings.sampling.keep_ready:
            self.sample(asked=False)

    def sample(self, asked: bool = True) -> None:
        """Sample a batch now."""
        if self.doing == "ready":
            self._sampling_failed = False
            self._say("sampling", "sampling")
            self._start(self._sample(), "sample")
        elif asked:
            self.app.say(
                {"sampling": "Candidates are on their way.", "training": "They come when the retraining is over."}.get(
                    self.doing, "The model is not ready yet."
                )
            )

    async def _sample(self) -> None:
        count = self.session.settings.sampling.batch
        done = 0
        self._sampling_failed = True  # until it has worked
        async for event in self.session.sample(count, self.session.fixed):
            if isinstance(event, Candidate):
                done += 1
                self._say("sampling", f"sampling: {done} of {count} from {event.checkpoint}")
                self.app.arrived(event)
        self._sampling_failed = False
        self._ready()
        self.app.changed()

    def continue_text(self, area: TextArea, fields: dict[str, str]) -> None:
        """Let the model go on from where a text stops."""
        if self.doing == "sampling":
            self.stop_sampling()
        elif self.doing != "ready":
            self.app.say("The model is not ready yet.")
            return
        self._start(self._continue(area, fields), "continue")

    async def _continue(self, area: TextArea, fields: dict[str, str]) -> None:
        await asyncio.sleep(0)
        self._say("sampling", "continuing your text")
        text = area.text
        addition = await self.session.continue_text(text, fields)
        if area.text == text:  # else the person went on typing: theirs stays
            area.insert(addition, area.document.end)
            area.move_cursor(area.document.end)
        self._ready()
        self.app.changed()

    def measure(self, done: Callable[[dict[str, float]], None]) -> None:
        """Measure the loss of every example with the active checkpoint."""
        if self.doing == "sampling":
            self.stop_sampling()
        elif self.doing != "ready":
            self.app.say("The model is not ready yet.")
            return
        self._start(self._measure(done), "measure")

    async def _measure(self, done: Callable[[dict[str, float]], None]) -> None:
        await asyncio.sleep(0)
        examples = list(self.session.store.examples.values())
        self._say("measuring", f"measuring the loss of {len(examples)} examples")
        result = await self.session.evaluate([(example.text, example.fields) for example in examples])
        done({example.uid: loss for example, loss in zip(examples, result.losses, strict=True)})
        self._ready()
        self.app.changed()

    # -- retraining ----------------------------------------------------------------------------------------------------

    def _planned(self, fresh: bool, taste: bool) -> Plan:
        if not taste:
            return self.session.plan(fresh)
        from tui.taste import plan_taste

        return plan_taste(self.session)

    def retrain(self, fresh: bool, taste: bool = False) -> None:
        """Retrain now, or let the model learn the person's taste. Sampling makes room; deciding goes on."""
        if self.doing == "training":
            self.app.say("A retraining is going on; c stops it.")
            return
        if self.doing not in ("ready", "sampling"):
            self.app.say("The model is not ready yet.")
            return
        try:
            plan = self._planned(fresh, taste)
        except FlavorError as error:
            self.app.complain(error)
            return
        self.stop_sampling()
        self._plan = plan.line()
        self.app.say(f"Retraining, {self._plan}")
        if plan.advice:
            self.app.say(plan.advice, "warning")
        self._start(self._retrain(fresh, taste), "retrain")

    async def _retrain(self, fresh: bool, taste: bool) -> None:
        await asyncio.sleep(0)  # the sampling that was stopped has its last word first
        plan = self._planned(fresh, taste)
        self._say("training", f"retraining {self._plan}")
        began = time.monotonic()
        held = ""
        async for event in self.session.retrain(plan):
            match event:
                case Step():
                    left = (time.monotonic() - began) / event.step * (event.steps - event.step)
                    self._say(
                        "training",
                        f"retraining  epoch {event.epoch}/{plan.spec.epochs}  step {event.step}/{event.steps}  loss {event.loss:.2f}{held}"
                        f"  {duration(left)} left",
                        force=False,
                    )
                case Epoch() if event.held_out_loss is not None:
                    held = f"  held-out {event.held_out_loss:.2f}"
                case Trained():
                    left_out = f" {len(event.skipped)} rows were too long and left out." if event.skipped else ""
                    stopped = f" Stopped by itself: {event.stopped}." if event.stopped else ""
                    self.app.say(
                        f"{event.checkpoint} is active after {duration(event.seconds)}, {event.why}: the next candidates come from it."
                        f"{stopped}{left_out}"
                    )
        self._sampling_failed = False
        self.app.prefer_new = True
        self._ready()
        self.app.changed()
