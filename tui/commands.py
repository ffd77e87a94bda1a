"""What the command line can do, each command a generator of lines: data for machines, words for people. The last one is the result."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec

from core import config
from core.choices import check_strength
from core.config import Preset
from core.errors import FlavorError
from core.gauges.reading import Reading
from core.gauges.verdict import Verdict
from core.protocol import Epoch, Loaded, Loading, Provisional, Refit, Sampled, Step, Trained
from core.runfiles import is_refit, measured_by
from core.task import Task, parse_fields
from core.text import clean_line, counted, duration
from dataset.importing import read_rows, read_text
from dataset.rows import Candidate
from runs.registry import Run
from tui.advice import next_step
from tui.again import plan_again
from tui.planning import Plan
from tui.session import Session
from tui.taste import plan_taste
from tui.tasting import MARKS, SIGNS, against

DEMO = "alien-empires"


@dataclass(frozen=True)
class Line:
    """One line of output: `data` for --json, `text` for people (empty: nothing to say)."""

    data: dict[str, Any]
    text: str = ""


@dataclass(frozen=True)
class Progress:
    """Something that is under way; shown on a terminal's stderr only."""

    text: str


Output = AsyncIterator[Line | Progress]


@dataclass(frozen=True)
class Made:
    """A demo workspace that was made: where, and how many rows it has."""

    workspace: Path
    rows: int = field(default=0)


def make_demo(at: Path | None) -> Made:
    """A fresh copy of the demo workspace, in `at` or in the first free folder here."""
    if at is None:
        at = next(path for n in range(1, 10_000) if not (path := Path(f"demo-workspace{'' if n == 1 else f'-{n}'}")).exists())
    config.create(at, config.template(DEMO))
    with Session(at) as session:
        with resources.as_file(resources.files("dataset").joinpath("demo", f"{DEMO}.jsonl")) as path:
            rows = read_rows(path, session.task)
        names = [f"demo{number:03}" for number in range(1, len(rows) + 1)]  # the same ids in every copy: the same folds
        session.import_rows(rows, "the demo's examples", names, kind="demo")  # what it begins with is nothing that one key takes back
    return Made(at, len(rows))


def _model_progress(event: Loading) -> Progress:
    share = f" {event.share:.0%}" if event.share is not None else ""
    return Progress(f"{event.stage}{share}")


async def start(session: Session) -> AsyncIterator[Progress]:
    """Start the worker and load the base, with progress."""
    async for event in session.start_worker():
        if isinstance(event, Loading):
            yield _model_progress(event)
        elif isinstance(event, Loaded) and event.note:
            print(clean_line(event.note), file=sys.stderr)  # noqa: T201


def candidate_line(candidate: Candidate) -> Line:
    """A candidate as `generate` tells it."""
    data = {
        "id": candidate.uid,
        "text": candidate.text,
        "fields": candidate.fields,
        "checkpoint": candidate.checkpoint,
        "seed": candidate.seed,
        "flags": candidate.flags,
        "finish": candidate.finish,
    }
    about = " · ".join(f"{name} {value}" for name, value in candidate.fields.items())
    marks = f"  ! {', '.join(candidate.flags)}" if candidate.flags else ""
    return Line(data, f"{candidate.uid}  {candidate.checkpoint}  {about}{marks}\n{candidate.text}\n")


def ranked_line(session: Session, candidate: Candidate) -> Line:
    """A candidate as `generate --ranked` tells it: why it stands where it does, and how likely it is to be kept (null: not known yet)."""
    told, place = candidate_line(candidate), session.ranking.place(candidate.uid)
    chance = round(place.predicted, 3) if place and place.predicted is not None else None
    data = {**told.data, "slot": place.slot if place else "", "p_accept": chance}
    return Line(data, f"[{session.ranking.why(candidate.uid)}]  {told.text}")


async def new(workspace: Path, heading: str | None, fields: list[str], template: str | None, base: str) -> Output:
    if heading is None and template is None:
        raise FlavorError("A workspace needs a heading.", "--heading TEXT, or --template NAME.")
    task = config.template(template) if template else Task(clean_line(heading or ""))
    if heading:
        task = msgspec.structs.replace(task, heading=clean_line(heading))
    if fields:
        task = msgspec.structs.replace(task, fields=tuple(field for spec in fields for field in parse_fields(spec)))
    config.create(workspace, task, base)
    names = [f.name for f in task.fields]
    made = f" with {', '.join(f'{f.name} ({f.kind})' for f in task.fields)}" if fields else ""
    yield Line({"workspace": str(workspace), "heading": task.heading, "fields": names}, f"{workspace} is ready: # {task.heading}{made}")


def _given(pairs: list[str]) -> dict[str, str]:
    """Attributes by name, unchecked, as `--set` gives them."""
    given = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise FlavorError(f"--set {pair!r} is not NAME=VALUE.", "For instance --set 'Danger Level=4'.")
        given[name] = value
    return given


async def generate(
    workspace: Path,
    count: int,
    settings: list[str],
    checkpoint: str | None,
    seed: int | None,
    changes: dict[str, Any],
    preset: Preset | None,
    ranked: bool = False,
    strength: float | None = None,
) -> Output:
    if count < 1:
        raise FlavorError("-n must be 1 or more.")
    with Session(workspace) as session:
        session.must_write()
        fixed = session.task.check(_given(settings))
        session.registry.checkpoint_folder(checkpoint or session.registry.current())
        strength = None if strength is None else check_strength(strength)
        try:
            async for progress in start(session):
                yield progress
            made: list[Candidate] = []
            seconds, sampled = 0.0, 0
            if preset:
                session.use_preset(preset)
            if seed is not None:  # who gives one compares: the same seed must ask the same
                changes = {"vary": False, **changes}
            async for event in session.sample(count, fixed, checkpoint=checkpoint, seed=seed, strength=strength, **changes):
                if isinstance(event, Candidate):
                    made.append(event)
                    if not ranked:
                        yield candidate_line(event)
                    yield Progress(f"{len(made)} of {count} candidates")
                elif isinstance(event, Sampled):
                    seconds, sampled = seconds + event.seconds, sampled + event.tokens
            if ranked:
                for candidate in session.ranked(made):
                    yield ranked_line(session, candidate)
            data = {
                "candidates": len(made),
                "tokens": sampled,
                "seconds": round(seconds, 2),
                "checkpoint": checkpoint or session.registry.current(),
            }
            yield Line(data, f"{counted(len(made), 'candidate')}, {counted(sampled, 'token')} in {duration(seconds)}")
        finally:
            await session.stop_worker()


async def decide(
    workspace: Path, candidate: str, verdict: Literal["accept", "reject", "skip"], text: Path | None, settings: list[str]
) -> Output:
    with Session(workspace) as session:
        if (text or settings) and verdict != "accept":
            raise FlavorError(f"{'--text' if text else '--set'} goes with accept only.")
        edited = read_text(text, 1 << 20) if text else None
        asked = session.store.candidates.get(candidate)
        fields = session.task.check({**session.task.only(asked.fields), **_given(settings)}) if asked and settings else None
        decision = session.decide(candidate, verdict, edited, fields)
        data = {"candidate": candidate, "verdict": decision.verdict, "example": decision.example}
        yield Line(data, f"{candidate}: {decision.verdict}, {counted(len(session.store.examples), 'example')} now")


async def undo(workspace: Path) -> Output:
    with Session(workspace) as session:
        op = session.undo()
        data = {"undone": op.kind if op else None, "examples": len(session.store.examples)}
        yield Line(data, f"taken back: {op.told()}" if op else "There is nothing to take back.")


def retrain(workspace: Path, fresh: bool, epochs: int | None, seed: int | None, again: str | None = None) -> Output:
    if again and (fresh or epochs or seed is not None):
        raise FlavorError("--again takes everything from the run; --fresh, --epochs and --seed do not go with it.")
    return _carry_out(workspace, lambda session: plan_again(session, again) if again else session.plan(fresh, epochs, seed))


def taste(workspace: Path, seed: int | None) -> Output:
    return _carry_out(workspace, lambda session: plan_taste(session, seed))


async def _carry_out(workspace: Path, make_plan: Callable[[Session], Plan]) -> Output:
    """Plan a run, say so, carry it out."""
    with Session(workspace) as session:
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
                            "why": event.why,
                            "stopped": event.stopped,
                            "checkpoint": current,
                            "measured_by": measured_by(current),
                            "note": event.note,
                        }
                        if event.stopped:
                            yield Line({"stopped": event.stopped}, f"stopped by itself: {event.stopped}")
                        if event.note:
                            yield Line({"note": event.note}, event.note)
                        active = f"{current} is active, {event.why}"
                        took = f"{counted(event.steps, 'step')} in {duration(event.seconds)}"
                        yield Line(data, f"{active}: {took}{_left_out(event.skipped)}")
        finally:
            await session.stop_worker()


def epoch_line(event: Epoch, parent: str | None) -> str:
    """An epoch's measures, for people."""
    loss, recall = event.held_out_loss, event.gauges.recall
    held = f"held-out loss {loss:.3f}" if loss is not None else "no row held out"
    if event.epoch == 0:
        base = f", the base {event.base_loss:.3f}" if parent and event.base_loss is not None else ""
        return f"epoch 0: {held} ({parent or 'the base'}){base}"
    return f"epoch {event.epoch}: {held}" + (f", {recall:.0%} of the rows recited" if recall is not None else "")


async def evaluate(workspace: Path, file: Path, checkpoint: str | None) -> Output:
    with Session(workspace, read_only=True) as session:
        rows = read_rows(file, session.task)
        name = checkpoint or session.registry.current()
        session.registry.checkpoint_folder(name)
        try:
            async for progress in start(session):
                yield progress
            result = await session.evaluate(rows, checkpoint)
        finally:
            await session.stop_worker()
        data = {"loss": result.loss, "tokens": result.tokens, "rows": result.rows, "checkpoint": name, "skipped": result.skipped}
        said = f"{name}: {result.loss:.4f} nats a token over {result.tokens} tokens of {counted(result.rows, 'text')}"
        yield Line(data, said + _left_out(result.skipped))


def _left_out(skipped: list[str]) -> str:
    return f"; {counted(len(skipped), 'row')} too long and left out: {', '.join(skipped)}" if skipped else ""


def _run_line(run: Run, current: str, verdicts: dict[str, Verdict]) -> Line:
    data = {
        "run": run.name,
        "status": run.status,
        "reason": run.reason,
        "parent": run.spec.parent if run.spec else None,
        "rows": run.spec.rows if run.spec else None,
        "new": run.spec.new_rows if run.spec else None,
        "checkpoints": [
            {
                "checkpoint": c.name,
                "held_out_loss": c.held_out_loss,
                "measured_by": measured_by(c.name),
                "active": c.name == current,
                "verdict": verdicts[c.name].word,
                "why": verdicts[c.name].sentence,
            }
            for c in run.checkpoints
        ],
    }
    text = f"{run.name}  {run.status}" + (f": {run.reason}" if run.reason else "")
    if run.spec:
        text += f"  {counted(run.spec.rows, 'row')}, {run.spec.new_rows} new, from {run.spec.parent or 'the base'}"
    for info in run.checkpoints:
        loss = f"held-out loss {info.held_out_loss:.3f}" if info.held_out_loss is not None else ""
        loss += f" of {measured_by(info.name)}, on all rows" if loss and is_refit(info.name) else ""
        text += f"\n  {'*' if info.name == current else ' '} {info.name}  {SIGNS[verdicts[info.name].word]:13}  {loss}"
    return Line(data, text)


async def runs(workspace: Path) -> Output:
    with Session(workspace, read_only=True) as session:
        current = session.registry.current()
        found = session.registry.runs()
        known = {run.name: run for run in found}
        for run in found:
            verdicts = {info.name: session.tasting.readings(info.name, known).verdict for info in run.checkpoints}
            yield _run_line(run, current, verdicts)
        yield Line({"runs": len(found), "checkpoint": current}, f"active: {current}")


async def gauges(workspace: Path, checkpoint: str | None) -> Output:
    with Session(workspace, read_only=True) as session:
        name = checkpoint or session.registry.current()
        judgement = session.tasting.readings(name)
        for reading in judgement.readings:
            yield Line(asdict(reading), _reading_text(reading))
        verdict, step = judgement.verdict, next_step(session)
        data = {
            "checkpoint": name,
            "verdict": verdict.word,
            "why": verdict.sentence,
            "decided": list(verdict.decided),
            "next": step.action,
            "next_sentence": step.sentence,
            "next_reasons": list(step.reasons),
        }
        yield Line(data, f"{name}: {SIGNS[verdict.word]}. {verdict.sentence}\nnext: {step.sentence}")


def _reading_text(reading: Reading) -> str:
    """A reading and its evidence, for a person."""
    proof = "".join(f"\n    {clean_line(piece.line())}" for piece in reading.evidence)
    return f"{MARKS[reading.says]} {reading.name}  {against(reading)}\n  {reading.sentence}{proof}"


async def use(workspace: Path, checkpoint: str, strength: float | None = None) -> Output:
    with Session(workspace) as session:
        session.must_write()
        session.registry.checkpoint_folder(checkpoint)
        if strength is not None:
            session.choices.set_strength(checkpoint, strength)
        session.use(checkpoint)
        yield Line({"checkpoint": checkpoint, "strength": session.strength(checkpoint)}, f"{session.active()} is active.")


async def status(workspace: Path) -> Output:
    with Session(workspace, read_only=True) as session:
        data = session.status()
        counts = "  ".join(f"{name} {value}" for name, value in data.items())
        yield Line({**data, "ranking": session.ranking.report()}, f"{counts}\n{session.ranking.state()}")


async def reproduce(workspace: Path, candidate: str) -> Output:
    with Session(workspace, read_only=True) as session:
        if candidate not in session.store.candidates:
            raise FlavorError(f"There is no candidate {candidate!r}.", "See `flavor-tui generate`.", "missing")
        try:
            async for progress in start(session):
                yield progress
            text = await session.candidates.reproduce(candidate)
        finally:
            await session.stop_worker()
        same = text == session.store.candidates[candidate].text
        yield Line(
            {"id": candidate, "text": text, "same": same}, f"{text}\n{'the same as recorded' if same else 'NOT the same as recorded'}"
        )
