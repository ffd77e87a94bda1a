"""Retraining as a job of the app, and taste, which is a run too: begun by a key or as soon as the model is ready, followed to its end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from core.errors import FlavorError
from core.protocol import AnyEvent, Epoch, Loading, Provisional, Refit, Step, Trained
from core.text import duration
from tui.jobs.measuring import left_out
from tui.session.runlist import felt
from tui.twice import Twice

if TYPE_CHECKING:
    from textual.worker import Worker

    from tui.jobs.jobs import Jobs
    from tui.session.planning import Plan

LONG = 2.0
"""Seconds of a retraining from which on `c` asks first: a key that was meant for something else must not end it."""


class RetrainJob:
    """What is done behind makes room for it, sampling too, which then takes its turn within it (`Jobs.waits`)."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs, self._app, self._session = jobs, jobs.app, jobs.session
        self._provisional = ""
        """A checkpoint of the run that is going on, which can be used already."""
        self._since = 0.0
        """When it began."""
        self._stopping = Twice(jobs.app)

    def ask(self, fresh: bool, again: str = "") -> None:
        """Retrain now, or carry the run `again` out once more. Sampling makes room; deciding goes on."""
        self.begin(functools.partial(self._planned, fresh, again))

    def taste(self) -> None:
        """Learn from pairs of a wanted and an unwanted text now."""
        from tui.session.taste import plan_taste

        self.begin(functools.partial(plan_taste, self._session))

    def begin(self, make_plan: Callable[[], Plan]) -> None:
        """Carry out what `make_plan` plans, now or as soon as the model is ready. What remains of a run whose checkpoint is in use, which is
        measuring it, gives way."""
        measured = self.stays if self._jobs.doing == "training" else ""
        if self._jobs.doing != "loading" and not measured and not self._jobs.gives_way:
            self._jobs.not_ready()
            return
        try:
            plan = make_plan()
        except FlavorError as error:
            self._app.complain(error)
            return
        if self._jobs.doing == "loading":
            self._session.wish = make_plan
            self._app.say(f"The retraining begins as soon as the model is ready; {self._jobs.stops('that')}.")
            return
        before = self._jobs.give_way() if measured else None
        self._provisional = ""
        self._jobs.make_room()
        given = f"The measuring of {measured} gives way. " if measured else ""
        self._app.say(f"{given}Retraining, {plan.line()}", about="the run")
        if plan.advice:
            self._app.say(plan.advice, "warning")
        self._since = time.monotonic()
        self._jobs.start(functools.partial(self._retrain, make_plan, before), "training", "the retraining begins")

    def _planned(self, fresh: bool, again: str) -> Plan:
        if not again:
            return self._session.plan(fresh)
        from tui.session.again import plan_again

        return plan_again(self._session, again)

    async def _retrain(self, make_plan: Callable[[], Plan], before: Worker[None] | None = None) -> None:
        """`before` is the run that gave way, and has its last word first."""
        await asyncio.sleep(0)  # so has the sampling that was stopped
        while before and not before.is_finished:  # noqa: ASYNC110  # its `wait` would take a cancelling of this one for its own
            await asyncio.sleep(0.01)
        plan = make_plan()
        self._jobs.samples.afresh()
        self._jobs.samples.fill()
        try:
            await self._follow(plan)
        except Exception:
            if stays := self.stays:
                self._app.say(f"{stays} stays active; measuring it failed.", "warning", about="the run", waits=True)
            raise
        finally:
            self._provisional = ""
            self._jobs.samples.other_checkpoint()
        self._jobs.samples.afresh()
        self._jobs.rest()
        self._jobs.changed()
        self._judge()
        self._compare(plan.spec.name)

    async def _follow(self, plan: Plan) -> None:
        """Carry a plan out, and say how far it is."""
        async with contextlib.aclosing(self._session.retrain(plan)) as events:
            await self._tell_of(plan, events)

    async def _tell_of(self, plan: Plan, events: AsyncIterator[AnyEvent]) -> None:
        """Say what the events of a run mean to the person."""
        held, first, refused = "", 0.0, ""
        async for event in events:
            match event:
                case Loading():
                    self._app.say(event.stage, "warning")
                case Step():
                    first = event.spent if event.step == 1 else first
                    of = f" {self.stays}, which is in use:" if self.stays else " "
                    text = f"{self.word}{of} epoch {event.epoch}/{plan.spec.epochs}  {_steps(event, held, first)}"
                    self._jobs.tell("training", f"{text}  {felt(event.celsius, event.device_memory)}".rstrip(), force=False)
                case Refit():
                    first = event.spent if event.step == 1 else first
                    self._jobs.tell("training", f"retraining  on all rows  {_steps(event, held, first)}", force=False)
                case Provisional():
                    self._provisional, refused = event.checkpoint, self._session.not_taken
                    self._app.say(self._ready(event), about="the run", waits=True)
                    if self.stays:
                        self._new_candidates()
                case Epoch() if event.held_out_loss is not None:
                    held = f"  held-out {event.held_out_loss:.2f}"
                case Trained():
                    stopped = f" Stopped by itself: {event.stopped}." if event.stopped else ""
                    current = self._session.registry.current()
                    if event.checkpoint == plan.spec.parent:
                        said = f"{current} stays active: {event.why}."
                    elif current != event.checkpoint:
                        why = f" {self._session.not_taken}" if self._session.not_taken else ""
                        said = f"{current} stays active; {event.checkpoint} is done ({event.why}): {self._app.own_key('use')} on Runs takes it.{why}"
                    elif event.checkpoint == self._provisional and not refused:  # else its end has made it active
                        said = f"{event.checkpoint} stays active: {event.why}."
                    else:
                        said = (
                            f"{event.checkpoint} is active after {duration(event.seconds)}, {event.why}: the next candidates come from it."
                        )
                        self._app.prefer_new = True
                    self._app.say(f"{said}{stopped}{left_out(self._session, event.skipped)}", about="the run", waits=True)
                    if event.note:
                        self._app.say(event.note, "warning", about="the run's note", waits=True)

    def _ready(self, event: Provisional) -> str:
        """That a checkpoint can be used while its run goes on: it is active, or why not and how to take it."""
        name, took = event.checkpoint, f"after {duration(event.seconds)}"
        if self.stays:
            return f"{name} is active {took}: the next candidates come from it, while its loss is measured. You may go on."
        stays, refused = self._session.registry.current(), self._session.not_taken
        why = f"{stays} stays active: {refused}" if refused else f"{stays}, which was chosen meanwhile, stays active;"
        return f"{name} is ready {took}. {why} {self._app.own_key('use')} on Runs takes the new one."

    def _new_candidates(self) -> None:
        """Another checkpoint is active while its run goes on: its candidates come at once."""
        self._jobs.samples.other_checkpoint()
        self._app.prefer_new = True
        self._jobs.changed()

    def _judge(self) -> None:
        """Say it where what is active now will not do: on Runs alone it would be seen too late."""
        from tui.session.advice import next_step

        verdict = self._session.tasting.readings(self._session.registry.current()).verdict
        if verdict.word in ("overbaked", "underbaked"):
            self._app.say(next_step(self._session).sentence, "warning", about="the verdict", waits=True)

    def _compare(self, run: str) -> None:
        """Have the contact sheet made for a run that ended, when nothing else is to do."""
        from tui.session.sheet import telling

        self._jobs.sheet.ask(telling(self._session.registry.run(run)))

    # -- stopping ------------------------------------------------------------------------------------------------------

    @property
    def word(self) -> str:
        """What is going on: where its checkpoint is in use already, what remains is measuring it."""
        return "measuring" if self.stays else "retraining"

    @property
    def stays(self) -> str:
        """The provisional checkpoint of the run, where it is active: the person may have chosen another one. Else empty."""
        return self._provisional if self._provisional and self._session.registry.current() == self._provisional else ""

    @property
    def lost_by_leaving(self) -> str:
        """What would end with the program, and took or will take a person's time; empty where that is nothing."""
        if self._session.wish:
            return "the retraining that is to follow"
        if self._jobs.doing != "training":
            return ""
        return f"the measuring of {self.stays}, which is in use already" if self.stays else "the retraining"

    def asks_first(self) -> bool:
        """Whether one key is too little, since some training would go with it: then it is to be pressed again."""
        if time.monotonic() - self._since < LONG or self._stopping.sure():
            return False
        key = self._app.key_for("cancel") or self._app.own_key("cancel")
        self._app.ask(f"{key} once more stops the {self.word}.")
        return True


def _steps(event: Step | Refit, held: str, first: float) -> str:
    """How far a loop of steps is, and the time that its steps would still take; the first one took `first` seconds. Texts that are sampled
    between them come on top: how many is not known, and counted in they would make the time jump."""
    done = f"step {event.step}/{event.steps}  loss {event.loss:.2f}{held}"
    if event.step == 1:
        return done
    return f"{done}  {duration((event.spent - first) / (event.step - 1) * (event.steps - event.step))} left"
