"""`flavor-tui retrain` and `taste`: a run, planned, said and carried out."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from core.errors import FlavorError
from core.protocol import Epoch, Loading, Provisional, Refit, Step, Trained
from core.runfiles import measured_by
from core.text import counted, duration
from tui.commands.output import Line, Output, Progress, left_out, opened, start
from tui.say import program
from tui.session.again import plan_again
from tui.session.planning import Plan
from tui.session.session import Session
from tui.session.taste import plan_taste


def retrain(workspace: Path, fresh: bool, epochs: int | None, seed: int | None, again: str | None = None) -> Output:
    return _carry_out(workspace, lambda session: plan_again(session, again) if again else session.plan(fresh, epochs, seed))


def taste(workspace: Path, seed: int | None) -> Output:
    return _carry_out(workspace, lambda session: plan_taste(session, seed))


async def _carry_out(workspace: Path, make_plan: Callable[[Session], Plan]) -> Output:
    """Plan a run, say so, carry it out. Raises FlavorError also where its checkpoint is there and could not be made active."""
    with opened(workspace) as session:
        session.must_write()
        make_plan(session)  # says what is wrong before anything is loaded
        try:
            async for progress in start(session):
                yield progress
            plan = make_plan(session)
            said = {"plan": plan.line(), "rows": plan.learned, "held_out": plan.held, "new": plan.spec.new_rows, "advice": plan.advice}
            yield Line(said, plan.line() + (f"\n{plan.advice}" if plan.advice else ""))
            measured: list[dict[str, Any]] = []
            async for event in session.retrain(plan):
                match event:
                    case Loading():
                        yield Line({"note": event.stage}, event.stage)
                    case Step():
                        yield Progress(f"epoch {event.epoch}/{plan.spec.epochs}  step {event.step}/{event.steps}  loss {event.loss:.2f}")
                    case Refit():
                        yield Progress(f"all rows  step {event.step}/{event.steps}  loss {event.loss:.2f}")
                    case Provisional() if session.registry.current() == event.checkpoint:  # else it could not be written down
                        early = f"{event.checkpoint} is active after {duration(event.seconds)}; whether its steps are right is measured now"
                        yield Line({"provisional": event.checkpoint, "seconds": round(event.seconds, 2)}, early)
                    case Epoch():
                        loss = event.held_out_loss
                        measured.append({"epoch": event.epoch, "held_out_loss": loss, "loss": event.loss, "checkpoint": event.checkpoint})
                        measured[-1] |= msgspec.to_builtins(event.gauges)
                        if event.epoch == 0:
                            measured[-1]["base_loss"] = event.base_loss
                        yield Line(measured[-1], epoch_line(event, plan.spec.parent))
                    case Trained():
                        current = session.registry.current()  # where taste was refused, that is what was active before
                        data = {
                            "run": plan.spec.name,
                            "parent": plan.spec.parent,
                            "steps": event.steps,
                            "epochs": measured,
                            "seconds": round(event.seconds, 2),
                            "tokens": event.tokens,
                            "skipped": event.skipped,
                            "why": session.not_taken or event.why,
                            "stopped": event.stopped,
                            "checkpoint": current,
                            "measured_by": measured_by(current),
                            "note": event.note,
                        }
                        if event.stopped:
                            yield Line({"stopped": event.stopped}, f"stopped by itself: {event.stopped}")
                        if event.note:
                            yield Line({"note": event.note}, event.note)
                        took = f"{counted(event.steps, 'step')}, in all {duration(event.seconds)}"
                        yield Line(data, f"{outcome(session, event)}: {took}{left_out(event.skipped)}")
                        check_taken(session, event)
        finally:
            await session.stop_worker()


def outcome(session: Session, event: Trained) -> str:
    """Which checkpoint is active after a run, and why."""
    current = session.registry.current()
    return f"{current} stays active; {event.checkpoint} is done, {event.why}" if session.not_taken else f"{current} is active, {event.why}"


def check_taken(session: Session, event: Trained) -> None:
    """Raises FlavorError where the checkpoint that a run ended with could not be made active."""
    if session.not_taken:
        take = f"{program()} use {shlex.quote(str(session.folder))} {event.checkpoint}"
        raise FlavorError(session.not_taken, f"The run is done; this takes it: {take}", "disk")


def epoch_line(event: Epoch, parent: str | None) -> str:
    """An epoch's measures, for people."""
    loss, recall = event.held_out_loss, event.gauges.recall
    held = f"held-out loss {loss:.3f}" if loss is not None else "no row held out"
    if event.epoch == 0:
        base = f", the base {event.base_loss:.3f}" if parent and event.base_loss is not None else ""
        return f"epoch 0: {held} ({parent or 'the base'}){base}"
    return f"epoch {event.epoch}: {held}" + (f", {recall:.0%} of the rows recited" if recall is not None else "")
