"""The worker's jobs as the screen sees them: loading, sampling, retraining, measuring; one at a time, the person's wish first. Only
sampling takes its turn within a retraining."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from textual.content import Content
from textual.worker import Worker

from core.errors import FlavorError
from core.protocol import AnyEvent, Epoch, Loaded, Loading, Provisional, Refit, Step, Trained, Usable
from core.runfiles import BASE
from core.text import duration
from tui import losses
from tui.curving import CurveJob
from tui.runlist import felt
from tui.sampling import SampleJob
from tui.twice import Twice
from tui.widgets.plain import line

if TYPE_CHECKING:
    from tui.app import FlavorApp
    from tui.planning import Plan
    from tui.sheeting import SheetJob

BEHIND = ("curving", "sweeping", "sheeting")
"""What is done while nothing else is to do, and gives way to whatever the person asks for."""
STOPPED = {
    "training": "The retraining", "sampling": "The sampling", "measuring": "The measurement", "downloading": "The download",
    "curving": "The learning curve", "sweeping": "The sweep", "sheeting": "The contact sheet",
}  # fmt: skip
"""What can be stopped, as a sentence begins with it."""
NO_BASE = ("missing", "model")
"""Why a base cannot be loaded, however often the worker is started."""
LONG = 10.0
"""Seconds of a retraining from which on `c` asks first."""
REDRAW = 0.1
"""Seconds between two redraws of the line of activity."""


class Jobs:
    """What the worker is doing for this app. `line` says it; every method may be called at any time."""

    def __init__(self, app: FlavorApp) -> None:
        self.app = app
        self.session = app.session
        self.doing = "none"
        """none, loading, downloading, ready, sampling, training, measuring, curving, sweeping, sheeting or dead."""
        self._text = "the model is not loaded"
        self._task: Worker[None] | None = None
        self._drawn = 0.0
        self.samples = SampleJob(self)
        self.curve = CurveJob(self, "curving", "learning curve")
        self.sweep = CurveJob(self, "sweeping", "sweep")
        self._sheet: SheetJob | None = None
        self._trouble = ""
        """Why the worker, which lives, does not work."""
        self._provisional = ""
        """A checkpoint of the run that is going on, which is active already."""
        self._early = False
        """The base, which is being made ready, can be sampled already."""
        self._due = False
        """What is to be done has not had its first turn yet."""
        self._training_since = 0.0
        """When the retraining began."""
        self._stopping = Twice(app)
        self._number = 0
        """Of the job that may speak: one that was given up may not."""

    @property
    def sheet(self) -> SheetJob:
        """The contact sheet. Imported when first asked for."""
        if self._sheet is None:
            from tui.sheeting import SheetJob

            self._sheet = SheetJob(self)
        return self._sheet

    def line(self) -> Content:
        """Sign, word and figures of what is going on."""
        if self._trouble:
            return line((f"✗ {self._trouble}. R ends it and starts it again; deciding and writing go on.", "$text-error"))
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
        stops = f"; {self.stops()}" if self.doing == "downloading" else ""
        return line((f"{sign} {self._text}{stops}", style))

    def tell(self, doing: str, text: str, force: bool = True) -> None:
        """What is done now, and the words for it; without `force` the line is drawn again only now and then."""
        self.doing, self._text = doing, text
        if force or time.monotonic() - self._drawn > REDRAW:
            self._drawn = time.monotonic()
            self.app.redraw_activity()

    def rest(self) -> None:
        """What was done is over."""
        loaded = self.session.loaded
        if loaded is None:
            self.tell("none", "the model is not loaded; R starts the worker")
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
        self.samples.after_cancel()
        self.app.call_later(self.go_on)  # what else waits: what was not to begin any more is forgotten

    def _failed(self, error: FlavorError) -> None:
        worker = self.session.worker
        if error.kind == "worker" or worker is None or not worker.alive or self.session.loaded is None:
            if error.kind == "absent":
                self.tell("dead", f"{error.message} D downloads it from the hub; R looks again.")
                return
            if error.kind in NO_BASE:
                keys = self.app.own_key("models"), self.app.own_key("restart_worker")
                self.tell("dead", f"{error.message} {keys[0]} shows the models that are here; {keys[1]} looks again.")
                self.app.complain(error)
                return
            self.tell("dead", f"{error.message} R starts it again; {self.session.workspace.name}/logs/worker.log says more.")
        else:
            self.rest()
        self.app.complain(error)

    # -- loading -------------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Start the worker and make the base resident."""
        if self.doing in ("none", "dead"):
            self.start(self._load, "loading", "starting the worker")

    async def _load(self) -> None:
        began = time.monotonic()
        try:
            async for event in self.session.start_worker(early=True):
                if isinstance(event, Loading) and not (self._early and self.samples.busy):  # else it waits, and the line says so
                    share = f" {event.share:.0%}" if event.share is not None else ""
                    rest = "candidates come already" if self._early else "writing and library work already"
                    rest = "then it retrains" if self.session.wish else rest
                    self.tell("loading", f"{event.stage}{share}; {rest}", force=False)
                elif isinstance(event, Usable):
                    self._early = True
                    self.app.changed()
                elif isinstance(event, Loaded):
                    if event.note:
                        self.app.say(event.note, "warning")
                    self.app.log(f"loaded in {time.monotonic() - began:.1f} s")
        except FlavorError:
            if self.session.wish:
                self.app.say("No retraining follows.", "warning")
            raise
        finally:
            wish, self.session.wish, self._early = self.session.wish, None, False
        self.samples.other_checkpoint()  # what was asked of the base before comes from it as it is now
        self.samples.afresh()  # what could not be sampled from a base that was not ready, can be now
        self.rest()
        if wish:
            self._begin(wish)
        self.app.changed()

    @property
    def waits(self) -> str:
        """What is going on that waits while texts are sampled, in a word; empty where that is nothing."""
        if self.doing == "loading" and self._early and self.session.registry.current() == BASE:
            return "preparing"
        return "retraining" if self.doing == "training" and not self._due else ""

    def restart(self) -> None:
        """End the worker, if it is there, and start it again."""
        if self.doing in ("dead", "none", "ready") or self._trouble:
            self._trouble = ""
            self.start(self._restart, "loading", "restarting the worker")
        else:
            self.app.say(
                "The model is being made ready." if self.doing == "loading" else f"The worker is at work; {self.stops('what it does')}."
            )

    def other_base(self) -> None:
        """Load the base that the settings name now, in the place of the one that is there or on its way."""
        if self._task:
            self._task.cancel()
        self.curve.forget()
        self.sweep.forget()
        if self._sheet:
            self._sheet.forget()
        self.samples.give_up()
        self._trouble = ""
        self.start(self._restart, "loading", "starting the worker")

    def download(self) -> None:
        """Bring the base from the hub, then load it: the one thing here that uses the network."""
        if self.doing in ("dead", "none"):
            self.start(self._download, "downloading", "asking the hub")
        else:
            self.app.say("The base is here already, or on its way.")

    async def _download(self) -> None:
        from tui.fetching import fetch

        async with contextlib.aclosing(fetch(self.session.settings.model.base)) as words:
            async for said in words:
                self.tell("downloading", said, force=False)
        await self._restart()

    async def _restart(self) -> None:
        await asyncio.sleep(0)  # what was stopped has its last word first
        await self.session.stop_worker()
        self.samples.afresh()
        await self._load()

    def watch(self) -> None:
        """Notice a worker that ended while nothing was asked of it, or that lives and does not work."""
        worker = self.session.worker
        if worker is None:
            return
        if self.doing == "ready" and worker.death:
            self._failed(worker.death)
        trouble = worker.trouble()
        if trouble != self._trouble:
            self._trouble = trouble
            self.app.redraw_activity()

    def stops(self, what: str = "it") -> str:
        """By which key what is going on is stopped from here, as the end of a sentence."""
        key = self.app.key_for("cancel") or f"on Curate {self.app.own_key('cancel')}"
        return f"{key} stops {what}"

    def cancel(self) -> None:
        """Stop what is going on, if it can be stopped, and whatever waits for its end."""
        if self.session.wish:
            self.session.wish = None
            self.app.say("No retraining follows.")
            return
        if self.doing == "loading" and self.samples.busy:
            self.samples.give_up()
            self.app.say("No more candidates until the model is ready.")
            return
        if self.doing in STOPPED and self._task:
            if self.doing == "training" and self._asks_first():
                return
            self.curve.forget()
            self.sweep.forget()
            if self._sheet:
                self._sheet.forget()
            if self.doing not in BEHIND:
                self.samples.give_up()
            self.halt()

    def halt(self) -> None:
        """Stop what is going on, and nothing else."""
        what = STOPPED[self.doing]
        self._stop()
        self.app.say(f"{what} was stopped; {self._provisional + ' stays active' if self._stays() else 'everything is as it was'}.")

    @property
    def lost_by_leaving(self) -> str:
        """What would end with the program, and took or will take a person's time; empty where that is nothing."""
        if self.session.wish:
            return "the retraining that is to follow"
        return "the retraining" if self.doing == "training" and time.monotonic() - self._training_since >= LONG else ""

    def _asks_first(self) -> bool:
        """Whether one key is too little, since ten seconds of training or more would go with it: then it is to be pressed again."""
        if time.monotonic() - self._training_since < LONG or self._stopping.sure():
            return False
        self.app.say("Once more stops the retraining.", "warning")
        return True

    def go_on(self) -> None:
        """Begin what is done while nothing else is to do."""
        if self.doing == "ready" and not self.curve.go_on() and not self.sweep.go_on() and self._sheet:
            self._sheet.go_on()

    @property
    def gives_way(self) -> bool:
        """Whether the model is there, and free for what the person asks for or made so."""
        return self.doing in ("ready", "sampling", *BEHIND)

    def make_room(self) -> bool:
        """Stop what gives way to something the person asked for; whether the model is free for it then."""
        if self.doing in ("sampling", *BEHIND):
            self._stop()
        return self.gives_way

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
            self.app.say(self._text, "warning")
        else:
            self.app.say("The model is not loaded; R starts the worker.", "warning")

    # -- measuring -------------------------------------------------------------------------------------------------------

    def measure(self, done: Callable[[dict[str, float]], None]) -> None:
        """Measure the loss of every example with the active checkpoint."""
        if not self.make_room():
            self.not_ready()
            return
        text = f"measuring the loss of {len(self.session.store.examples)} examples"
        self.start(functools.partial(self._measure, done, text), "measuring", text)

    async def _measure(self, done: Callable[[dict[str, float]], None], text: str) -> None:
        await asyncio.sleep(0)
        began = time.monotonic()
        async for told in losses.measure(self.session):
            if isinstance(told, dict):
                done(told)
            else:
                left = (time.monotonic() - began) * (1 - told) / max(told, 0.01)
                self.tell("measuring", f"{text}: {told:.0%}, about {duration(left)} left", force=False)
        self.rest()
        self.app.changed()

    def _beginnings(self, uids: list[str]) -> str:
        """Examples as a person knows them: by their first words."""
        examples = self.session.store.examples
        heads = [" ".join(examples[uid].text.split())[:30] for uid in uids if uid in examples]
        more = f" and {len(heads) - 3} more" if len(heads) > 3 else ""
        return ", ".join(f"“{head}…”" for head in heads[:3]) + more

    # -- retraining ----------------------------------------------------------------------------------------------------

    def retrain(self, fresh: bool, again: str = "") -> None:
        """Retrain now, or carry the run `again` out once more. Sampling makes room; deciding goes on."""
        self._begin(functools.partial(self._planned, fresh, again))

    def taste(self) -> None:
        """Learn from pairs of a wanted and an unwanted text now."""
        from tui.taste import plan_taste

        self._begin(functools.partial(plan_taste, self.session))

    def _begin(self, make_plan: Callable[[], Plan]) -> None:
        if self.doing not in ("loading", "ready", "sampling", *BEHIND):
            self.not_ready()
            return
        try:
            plan = make_plan()
        except FlavorError as error:
            self.app.complain(error)
            return
        if self.doing == "loading":
            self.session.wish = make_plan
            self.app.say(f"The retraining begins as soon as the model is ready; {self.stops('that')}.")
            return
        self.make_room()
        self.app.say(f"Retraining, {plan.line()}")
        if plan.advice:
            self.app.say(plan.advice, "warning")
        self._training_since = time.monotonic()
        self.start(functools.partial(self._retrain, make_plan), "training", f"retraining {plan.line()}")

    def _planned(self, fresh: bool, again: str) -> Plan:
        if not again:
            return self.session.plan(fresh)
        from tui.again import plan_again

        return plan_again(self.session, again)

    async def _retrain(self, make_plan: Callable[[], Plan]) -> None:
        await asyncio.sleep(0)  # the sampling that was stopped has its last word first
        plan = make_plan()
        self.samples.afresh()
        self.samples.fill()
        try:
            await self._follow(plan)
        except Exception:
            if self._stays():
                self.app.say(f"{self._provisional} stays active.")
            raise
        finally:
            self._provisional = ""
            self.samples.other_checkpoint()
        self.samples.afresh()
        self.rest()
        self.app.changed()
        self._compare(plan.spec.name)

    async def _follow(self, plan: Plan) -> None:
        """Carry a plan out, and say how far it is."""
        async with contextlib.aclosing(self.session.retrain(plan)) as events:
            await self._tell_of(plan, events)

    async def _tell_of(self, plan: Plan, events: AsyncIterator[AnyEvent]) -> None:
        """Say what the events of a run mean to the person."""
        held, first = "", 0.0
        async for event in events:
            match event:
                case Loading():
                    self.app.say(event.stage, "warning")
                case Step():
                    first = event.spent if event.step == 1 else first
                    text = f"retraining  epoch {event.epoch}/{plan.spec.epochs}  {_steps(event, held, first)}"
                    self.tell("training", f"{text}  {felt(event.celsius, event.device_memory)}".rstrip(), force=False)
                case Refit():
                    first = event.spent if event.step == 1 else first
                    self.tell("training", f"retraining  on all rows  {_steps(event, held, first)}", force=False)
                case Provisional():
                    if self.session.registry.current() == event.checkpoint:  # else it could not be written down
                        self._provisional = event.checkpoint
                        self.app.say(
                            f"{event.checkpoint} is active after {duration(event.seconds)}: the next candidates come from it, while its loss is measured."
                        )
                        self._new_candidates()
                case Epoch() if event.held_out_loss is not None:
                    held = f"  held-out {event.held_out_loss:.2f}"
                case Trained():
                    left_out = f" Too long and left out: {self._beginnings(event.skipped)}." if event.skipped else ""
                    stopped = f" Stopped by itself: {event.stopped}." if event.stopped else ""
                    current = self.session.registry.current()
                    if event.checkpoint == plan.spec.parent:
                        said = f"{current} stays active: {event.why}."
                    elif current != event.checkpoint:
                        said = f"{current} stays active, as you chose; {event.checkpoint} is done ({event.why}): enter on Runs takes it."
                    elif event.checkpoint == self._provisional:
                        said = f"{event.checkpoint} stays active: {event.why}."
                    else:
                        said = (
                            f"{event.checkpoint} is active after {duration(event.seconds)}, {event.why}: the next candidates come from it."
                        )
                        self.app.prefer_new = True
                    self.app.say(f"{said}{stopped}{left_out}")
                    if event.note:
                        self.app.say(event.note, "warning")

    def _new_candidates(self) -> None:
        """Another checkpoint is active while its run goes on: its candidates come at once."""
        self.samples.other_checkpoint()
        self.app.prefer_new = True
        self.app.changed()

    def _stays(self) -> bool:
        """Whether the provisional checkpoint of the run is there and active: the person may have chosen another one."""
        return bool(self._provisional) and self.session.registry.current() == self._provisional

    def _compare(self, run: str) -> None:
        """Have the contact sheet made for a run that ended, when nothing else is to do."""
        from tui.sheet import telling

        self.sheet.ask(telling(self.session.registry.run(run)))


def _steps(event: Step | Refit, held: str, first: float) -> str:
    """How far a loop of steps is, and the time that its steps would still take; the first one took `first` seconds. Texts that are sampled
    between them come on top: how many is not known, and counted in they would make the time jump."""
    done = f"step {event.step}/{event.steps}  loss {event.loss:.2f}{held}"
    if event.step == 1:
        return done
    return f"{done}  {duration((event.spent - first) / (event.step - 1) * (event.steps - event.step))} left"
