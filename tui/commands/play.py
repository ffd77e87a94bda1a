"""The demo's short evening without a person: the same functions as the keys, and a plain rule in place of the person's taste."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from core.protocol import Epoch, Refit, Step, Trained
from core.text import counted, duration, short, words
from dataset.rows import Candidate
from tui.commands.making import make_demo
from tui.commands.output import Line, Output, Progress, start
from tui.commands.retraining import check_taken, epoch_line, outcome
from tui.say import program
from tui.session.session import Session

SAMPLES = 8


def rule(candidate: Candidate, shortest: int, longest: int) -> bool:
    """What stands in for the person: no flag at all, and a length in words as the examples have it, give or take a third."""
    return not candidate.flags and shortest * 2 / 3 <= len(words(candidate.text)) <= longest * 4 / 3


async def _round(session: Session, name: str, seed: int, shown: list[dict[str, Any]]) -> Output:
    lengths = [len(words(example.text)) for example in session.store.examples.values() if example.origin == "imported"]
    accepted = decided = 0
    async for event in session.sample(SAMPLES, {}, seed=seed):
        if not isinstance(event, Candidate):
            continue
        good = rule(event, min(lengths), max(lengths))
        session.decide(event.uid, "accept" if good else "reject")
        decided, accepted = decided + 1, accepted + good
        marks = ", ".join(event.flags) or ("no flags" if good else "of another length than the examples")
        about = " · ".join(event.fields.values())
        data = {"round": name, "text": event.text, "fields": event.fields, "flags": event.flags, "accepted": good}
        yield Line(data, f"  {'accepted' if good else 'rejected'}  [{about}] ({marks})\n    {short(event.text, 300)}\n")
    shown.append({"round": name, "checkpoint": session.registry.current(), "accepted": accepted, "decided": decided})
    yield Line(
        shown[-1], f"{name}: accepted {accepted} of {decided} ({accepted / max(1, decided):.0%}), from {session.registry.current()}\n"
    )


async def play(at: Path | None, seed: int = 1) -> Output:
    """Rows, samples before, retrain, samples after, accept rates."""
    made = make_demo(at)
    yield Line({"workspace": str(made.workspace), "rows": made.rows}, f"{made.workspace}: {made.rows} descriptions of alien empires\n")
    rounds: list[dict[str, Any]] = []
    with Session(made.workspace) as session:
        try:
            async for progress in start(session):
                yield progress
            yield Line({"stage": "before"}, "Candidates from the base, before any training:")
            async for line in _round(session, "before", seed, rounds):
                yield line
            plan = session.plan(seed=seed)
            yield Line({"plan": plan.line()}, f"Retraining, {plan.line()}")
            result: dict[str, Any] = {}
            async for event in session.retrain(plan):
                match event:
                    case Step():
                        yield Progress(f"epoch {event.epoch}/{plan.spec.epochs}  step {event.step}/{event.steps}  loss {event.loss:.2f}")
                    case Refit():
                        yield Progress(f"all rows  step {event.step}/{event.steps}  loss {event.loss:.2f}")
                    case Epoch():
                        data = {"epoch": event.epoch, "held_out_loss": event.held_out_loss}
                        yield Line(data, f"  {epoch_line(event, plan.spec.parent)}")
                    case Trained():
                        result = {"checkpoint": session.registry.current(), "steps": event.steps, "seconds": round(event.seconds, 1)}
                        stopped = f"  stopped by itself: {event.stopped}\n" if event.stopped else ""
                        yield Line(
                            result,
                            f"{stopped}  {outcome(session, event)}: {counted(event.steps, 'step')}, in all {duration(event.seconds)}\n",
                        )
                        check_taken(session, event)
            yield Line({"stage": "after"}, f"Candidates from {session.registry.current()}:")
            async for line in _round(session, "after", seed + 1000, rounds):
                yield line
        finally:
            await session.stop_worker()
        rates = "  ".join(f"{r['round']} {r['accepted']}/{r['decided']}" for r in rounds)
        rule_text = "rule: no flags, length as in the examples"
        yield Line(
            {"rounds": rounds, "retrain": result, **session.status()},
            f"accept rates ({rule_text}): {rates}\nopen it: {program()} {shlex.quote(str(made.workspace))}",
        )
