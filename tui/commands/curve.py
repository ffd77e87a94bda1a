"""`flavor-tui curve`: measure what is missing of the learning curve, as much as the time allows, and say what it tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.protocol import Curved, Curving
from core.text import counted, duration
from dataset.rounds import rounds
from tui.commands.output import Line, Note, Output, Progress, opened, start
from tui.report.curve import blocks
from tui.session.advice import next_step
from tui.session.inventing import kept
from tui.session.session import Session
from tui.session.ways import tallies


async def curve(workspace: Path, seeds: int, budget: float) -> Output:
    """Without time, or with nothing missing, no model is loaded."""
    with opened(workspace, read_only=not budget) as session:
        session.learning.check()
        if budget and session.learning.missing(seeds):
            session.must_write()
            if takes := session.learning.takes():
                yield Note(
                    f"It takes about {takes} rows of yours for a curve. What is measured of fewer tells the loss of each row, no more."
                )
            try:
                async for progress in start(session):
                    yield progress
                async for line in _measure(session, seeds, budget):
                    yield line
            finally:
                await session.stop_worker()
        yield _result(session, seeds)


async def _measure(session: Session, seeds: int, budget: float) -> Output:
    async for event in session.learning.measure(seeds, budget):
        match event:
            case Curving():
                for told in measured(event, "points"):
                    yield told
            case Curved(missing=missing) if missing:
                cheapest = f"the cheapest needs about {duration(event.least)}"
                text = f"{counted(event.done, 'point')} in {duration(event.seconds)}; {missing} {'is' if missing == 1 else 'are'} missing ({cheapest}): `curve` again goes on."
                yield Line({"measured_now": event.done, "missing": missing, "least": round(event.least, 1)}, text + "\n")


def measured(event: Curving, of: str) -> Iterator[Line | Progress]:
    """The point that was measured, if one was, and how far it is. `of` is what is counted: points, trainings."""
    if point := event.point:
        total, tokens = (sum(column) for column in zip(*point.losses.values(), strict=True))
        data = {"fold": point.fold, "seed": point.seed, "rows": point.size, "step": point.step, "loss": total / tokens}
        yield Line(data | {"seconds": round(point.seconds, 1)})
    yield Progress(f"{event.done} of {event.of} {of}, about {duration(event.left)} left")


def _result(session: Session, seeds: int) -> Line:
    """Everything that is known, as data and as text."""
    outlook = session.learning.outlook(seeds)
    forecast, law = outlook.forecast, outlook.forecast.law
    examples, decided = session.store.examples, rounds(session.store.decisions.values())
    step, ways, made_up = next_step(session), tallies(session.store), kept(session.store)
    data: dict[str, Any] = {
        "rows": forecast.rows,
        "measured": outlook.measured,
        "missing": outlook.missing,
        "levels": [
            {"rows": level.size, "full": level.full, "loss": level.loss, "interval": level.interval, "points": level.points}
            for level in forecast.levels
        ],
        "law": {"floor": law.floor, "scale": law.scale, "power": law.power} if law else None,
        "word": forecast.word,
        "gain": forecast.gain,
        "interval": forecast.interval,
        "sentence": forecast.sentence,
        "losses": outlook.losses,
        "outliers": [{"row": outlier.row, "loss": outlier.loss, "far": outlier.far} for outlier in outlook.outliers],
        "rounds": [
            {"checkpoint": told.checkpoint, "kept": told.kept, "decided": told.decided, "interval": told.interval(), "edits": told.edits}
            for told in decided
        ],
        "ways": {way: {"kept": tally.kept, "decided": tally.decided} for way, tally in ways.items()},
        "made_up": {"kept": made_up[True].kept, "decided": made_up[True].decided},
        "next": {"action": step.action, "sentence": step.sentence, "reasons": step.reasons},
    }
    advice = "\n".join([step.sentence, *(f"  {reason}" for reason in step.reasons)])
    return Line(data, "\n\n".join([*blocks(outlook, dict(examples), decided, ways, made_up), forecast.sentence, advice]))
