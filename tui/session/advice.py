"""What to do next, in one sentence: write more, curate more, retrain, go to another checkpoint, or stop. Knows no Textual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.gauges.forecast import MORE
from core.gauges.reading import percent
from core.gauges.verdict import Judgement, Verdict
from core.runfiles import BASE, is_refit, measured_by
from core.text import counted
from dataset.folds import LEAST
from dataset.rounds import Round, rounds
from runs.registry import Run
from tui.session.planning import MOST_SEEN
from tui.session.session import Session

Action = Literal["write", "curate", "retrain", "bake on", "retrain afresh", "use another", "stop"]

DECIDED = 8
"""Fewer decisions tell nothing of a checkpoint."""
NEW_ROWS = 6
"""So many new rows are worth a retrain."""
KEPT_ENOUGH = 0.6
"""Who keeps more than this of what is sampled, and no more than in the round before, is done."""
KEPT_LITTLE = 0.4
"""Who keeps less than this for certain gets further by writing than by sampling."""
GAIN = 0.01
"""A run that lowered the held-out loss by less than this gained nothing."""


@dataclass(frozen=True)
class NextStep:
    """What to do, the sentence that says so, and what it is said from."""

    action: Action
    sentence: str
    reasons: tuple[str, ...] = ()


def retraining_pays(session: Session) -> int:
    """How many examples the active checkpoint does not know, where they are enough to retrain; else 0. Cheap enough for behind a key."""
    current = session.registry.current()
    new = session.planner.unknown(current)
    return new if new >= (LEAST if current == BASE else NEW_ROWS) else 0


def interruption(session: Session) -> NextStep | None:
    """What is left to do where the last run was interrupted; None where it was not."""
    last, current = session.registry.interrupted, session.registry.current()
    if not last:
        return None
    if current.startswith(f"{last}/"):
        sentence = (
            f"Curate: {current} was ready before run {last} was interrupted. Only its measuring is missing; A on Runs makes up for it."
        )
        return NextStep("curate", sentence)
    return NextStep("retrain", f"Retrain: run {last} was interrupted. A on Runs carries it out once more, t begins a new one.")


def next_step(session: Session) -> NextStep:
    """The next step for a workspace as it stands, from the active checkpoint's verdict, the rounds of decisions and the learning curve."""
    examples = session.store.examples.values()
    human = sum(example.human for example in examples)
    current = session.registry.current()
    if human < LEAST:
        return NextStep(
            "write", f"Write more: {counted(human, 'row')} of yours so far, and from {LEAST} on some can be held out to measure by."
        )
    if live := session.registry.live:
        measured = is_refit(current) and current.startswith(f"{live}/")  # it came first, and is in use while its epochs are measured
        going_on = f"{current} is in use and is measured" if measured else f"{live} is being trained"
        return NextStep("curate", f"Curate or write meanwhile: {going_on}.")
    if session.wish:
        return NextStep("curate", "Curate or write meanwhile: a retraining begins as soon as the model is ready.")
    if lost := interruption(session):
        return lost
    if current == BASE:
        return NextStep("retrain afresh", f"Retrain (t): {counted(len(examples), 'example')}, and the base is active.")
    judgement = session.tasting.readings(current)
    return _by_verdict(session, current, judgement.verdict) or _by_rounds(session, current, judgement)


def _by_verdict(session: Session, current: str, verdict: Verdict) -> NextStep | None:
    """What a bad verdict asks for; None where it is good or cannot be told."""
    if verdict.word not in ("overbaked", "underbaked"):
        return None
    reasons = (verdict.sentence,)
    run = session.registry.run(current.split("/")[0])
    good = [info.name for info in run.checkpoints if session.tasting.readings(info.name).verdict.word == "good"]
    if good:
        texts = sum(candidate.checkpoint == good[-1] for candidate in session.store.candidates.values())
        far = "" if texts >= DECIDED else ", as far as its training tells"
        return NextStep("use another", f"Use {good[-1]}: it is good{far}, while {current} is {verdict.word}.", reasons)
    changed = session.planner.new_rows(current) >= NEW_ROWS or session.planner.gone(current)
    if verdict.word == "overbaked" and run.spec and run.spec.parent is None and not changed:
        sentence = f"Write more: {current} is overbaked, though it was trained afresh. Until then sample with less of it."
        return NextStep("write", sentence, reasons)
    if verdict.word == "overbaked":
        return NextStep("retrain afresh", f"Retrain afresh (T): {current} is overbaked.", reasons)
    new = session.planner.new_rows(current)
    return NextStep("retrain" if new else "bake on", f"{'Retrain' if new else 'Bake on'} (t): {current} is underbaked.", reasons)


def _by_rounds(session: Session, current: str, judgement: Judgement) -> NextStep:
    """What the decisions ask for, where the checkpoint will do."""
    told = rounds(session.store.decisions.values())
    now = next((round_ for round_ in told if round_.checkpoint == current), Round(current, 0, 0, 0))
    earlier = [round_ for round_ in told if round_.checkpoint != current and round_.decided >= DECIDED]
    verdict, seen = judgement.verdict, judgement.number("seen")
    curve = session.learning.outlook().forecast
    reasons = (verdict.sentence, *(_said(round_) for round_ in (*earlier[-2:], now) if round_.decided))
    reasons += (curve.sentence,) if curve.levels else ()
    new = session.planner.new_rows(current)
    kept = f"{now.kept} of {now.decided} kept"
    if now.decided >= DECIDED:
        if verdict.word == "good" and _flat(now, earlier):
            flat = f"{kept}, no more than in the round before"
            if curve.word == "enough":
                return NextStep("stop", f"Stop here: {flat}, and {MORE} more rows would lower the loss by less than {GAIN:.0%}.", reasons)
            if curve.word == "gains" and new < NEW_ROWS:
                return NextStep("write", f"Write more: {flat}, but {curve.sentence}", reasons)
            gain = _gain(session, current)
            if curve.word == "cannot tell yet" and gain is not None and gain < GAIN:
                return NextStep("stop", f"Stop here: {flat}, and the last run gained little.", reasons)
        if now.interval()[1] < KEPT_LITTLE:
            return NextStep("write", f"Write more: only {kept}; rows of your own teach most.", reasons)
    if new >= NEW_ROWS and seen is not None and seen >= MOST_SEEN:
        return NextStep(
            "retrain afresh", f"Retrain afresh (T): {counted(new, 'new row')}, and the old ones were seen {seen:g} times.", reasons
        )
    if new >= NEW_ROWS:
        return NextStep("retrain", f"Retrain (t): {counted(new, 'row')} of the dataset are new to {current}.", reasons)
    if now.decided < DECIDED:
        decided = counted(now.decided, "decision")
        return NextStep(
            "curate", f"Curate more: {decided} on candidates of {current} so far; from {DECIDED} on they tell something.", reasons
        )
    return NextStep("curate", f"Curate more: {kept}, {counted(new, 'new row')} so far; from {NEW_ROWS} on a retrain pays.", reasons)


def _flat(now: Round, earlier: list[Round]) -> bool:
    """Whether enough is kept, and not clearly more than in the round before."""
    return bool(earlier) and now.share >= KEPT_ENOUGH and earlier[-1].share >= now.interval()[0]


def _gain(session: Session, current: str) -> float | None:
    """By how much the run of a checkpoint lowered the held-out loss, against its parent or, afresh, against the run before it. None where that
    was not measured."""
    registry, own = session.registry, measured_by(current)
    run = registry.run(own.split("/")[0])
    if run.spec and run.spec.parent:
        losses = dict(session.tasting.course(current).points)
        before, now = losses.get(run.spec.parent), losses.get(own)
    else:  # runs afresh may hold other rows out, so each is held against the base on its own
        earlier = [registry.run(name) for name in registry.names() if name < run.name]
        ended = [_share_left(each, each.result.checkpoint) for each in earlier if each.result]
        before, now = next((share for share in reversed(ended) if share), None), _share_left(run, current)
    return 1 - now / before if now and before else None


def _share_left(run: Run, checkpoint: str | None) -> float | None:
    """A checkpoint's held-out loss, of the base's on the same rows; None where it was not measured."""
    told, base = run.checkpoint(checkpoint), run.base_loss()
    return told.held_out_loss / base if told and told.held_out_loss and base else None


def _said(told: Round) -> str:
    """A round in a sentence."""
    low, high = told.interval()
    edits = f"; the edited ones were changed by {percent(told.edits)}" if told.edits is not None else ""
    return f"Of {told.checkpoint}, {told.kept} of {told.decided} {'was' if told.kept == 1 else 'were'} kept: {percent(low)} to {percent(high)} of all it writes{edits}."
