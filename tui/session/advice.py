"""What to do next, in one sentence: write more, curate more, retrain, go to another checkpoint, or stop. Knows no Textual."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from core.errors import FlavorError
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
"""A run that lowered the held-out loss by less than this gained little."""
BAD = ("overbaked", "underbaked")
"""Verdicts with which a checkpoint will not do."""
OF_TEXTS = frozenset({"natural stop", "breakdown", "copying", "compression", "openings", "names"})
"""Gauges of what a checkpoint wrote: without texts of its own nothing of them is known."""


@dataclass(frozen=True)
class NextStep:
    """What to do, the sentence that says so, and what it is said from."""

    action: Action
    sentence: str
    reasons: tuple[str, ...] = ()


def retraining_pays(session: Session) -> int:
    """How many examples no run knows, where they are enough to retrain; else 0. Cheap enough for behind a key."""
    if sum(1 for _ in islice((example for example in session.store.examples.values() if example.human), LEAST)) < LEAST:
        return 0  # as `next_step` has it: none can be held out
    newest = _newest(session)
    new = session.planner.unknown(newest)
    return new if new >= (LEAST if newest == BASE else NEW_ROWS) else 0


def _newest(session: Session) -> str:
    """What the newest run that ended well chose, or the active checkpoint where its run is newer; else the base. What it knows was tried: who went back to
    an earlier one would get the same again by training on the same rows. What was trained on another base was not."""
    current = session.registry.current()
    for name in reversed(session.registry.names()):
        if not session.planner.fits(name):
            continue
        if current.startswith(f"{name}/"):
            return current
        run = session.registry.run(name)
        if run.epochs and run.result and run.result.status == "done":
            chosen = run.checkpoint(run.result.checkpoint)
            return chosen.name if chosen else f"{name}/{run.epochs[-1]}"
    return BASE


def _choice(session: Session, newest: str) -> str:
    """What the run of a checkpoint chose, be it what it began with; empty where it chose none, or that cannot be read."""
    result = session.registry.run(newest.split("/")[0]).result
    chosen = result.checkpoint if result else None
    if not chosen:
        return ""
    run = session.registry.run(chosen.split("/")[0])
    own = run.result.checkpoint if run.result else None
    there = run.checkpoint(own if own and measured_by(own) == chosen else chosen)  # what goes on from a refit has its epoch for a parent
    return there.name if there else ""


def _stayed(run: Run) -> str:
    """The parent that a run chose, for each of its own checkpoints was the worse one; else empty."""
    began = run.spec.parent if run.spec else None
    return began if began and run.result and run.result.checkpoint == began else ""


def interruption(session: Session) -> NextStep | None:
    """What is left to do where the last run was interrupted; None where it was not, or left nothing to be missed."""
    last, current = session.registry.interrupted, session.registry.current()
    if not last:
        return None
    in_use = is_refit(current) and current.startswith(f"{last}/")
    if in_use and session.registry.measure_of(current) is None:
        sentence = (
            f"Curate: {current} was ready before run {last} was interrupted. Only its measuring is missing; A on Runs makes up for it."
        )
        return NextStep("curate", sentence)
    if in_use and session.tasting.readings(current).verdict.word not in BAD:
        return None
    return NextStep("retrain", f"Retrain: run {last} was interrupted. A on Runs carries it out once more, t begins a new one.")


def _live(session: Session) -> str:
    """The run that is being carried out, here or by whoever else has the workspace open; empty where none is."""
    last = next(reversed(session.registry.names()), "")
    return session.registry.live or (last if last and session.registry.run(last).status == "running" else "")


def next_step(session: Session) -> NextStep:
    """The next step for a workspace as it stands, from the active checkpoint's verdict, the rounds of decisions and the learning curve."""
    examples = session.store.examples.values()
    human = sum(example.human for example in examples)
    current = session.registry.current()
    if human < LEAST:
        return NextStep(
            "write", f"Write more: {counted(human, 'row')} of yours so far, and from {LEAST} on some can be held out to measure by."
        )
    if live := _live(session):
        measured = is_refit(current) and current.startswith(f"{live}/")  # it came first, and is in use while its epochs are measured
        going_on = f"{current} is in use and is measured" if measured else f"{live} is being trained"
        return NextStep("curate", f"Curate or write meanwhile: {going_on}.")
    if session.wish:
        return NextStep("curate", "Curate or write meanwhile: a retraining begins as soon as the model is ready.")
    if lost := interruption(session):
        return lost
    if current == BASE:
        return _by_the_base(session, len(examples))
    if not _is_there(session, current):
        return _without(session, current, "is not there any more")
    if not session.planner.fits(current):
        return _without(session, current, "was trained on another base, or with another [lora]")
    judgement = session.tasting.readings(current)
    return _by_verdict(session, current, judgement.verdict) or _by_rounds(session, current, judgement)


def _by_the_base(session: Session, examples: int) -> NextStep:
    """What to do while the base is active: a good checkpoint that knows the rows need not be trained once more."""
    newest = _newest(session)
    retrain = NextStep("retrain afresh", f"Retrain (t): {counted(examples, 'example')}, and the base is active.")
    if newest == BASE or session.planner.new_rows(newest) >= NEW_ROWS:
        return retrain
    if good := next(_good(session), None):
        return NextStep("use another", f"Use {good}: it is good, and the base is active.")
    chosen = _choice(session, newest)
    if not chosen:
        return retrain
    word = session.tasting.readings(chosen).verdict.word
    if word == "overbaked" and _same_again(session, chosen, newest):
        return NextStep("write", f"Write more: {chosen} is overbaked, and of the same rows the next one would be.")
    if word == "overbaked" or (word == "underbaked" and not session.planner.goes_on(chosen)):
        return NextStep("retrain afresh", f"Retrain (t): {chosen} is {word}, and the base is active.")
    if word == "underbaked" and _brought_nothing(session, chosen):
        return NextStep(
            "use another", f"Use {chosen}, and write more: it is underbaked, baking it on brought nothing, and the base is active."
        )
    if word == "underbaked":
        return NextStep("use another", f"Use {chosen}, and bake it on (t): it is underbaked, and the base is active.")
    return NextStep("use another", f"Use {chosen}: nothing speaks against it, and the base is active.")


def _brought_nothing(session: Session, checkpoint: str) -> bool:
    """Whether a checkpoint was baked on already, on the same rows, and stayed the better one: once more would end as that did."""
    tried = any(_stayed(run) == measured_by(checkpoint) and run.spec and run.spec.kind == "train" for run in session.registry.runs())
    return tried and not session.planner.new_rows(checkpoint)


def _same_again(session: Session, checkpoint: str, newest: str) -> bool:
    """Whether training afresh would give a checkpoint again: it was trained so, and the rows are much as the newest run had them."""
    spec = session.registry.run(checkpoint.split("/")[0]).spec
    known = session.planner.new_rows(newest) < NEW_ROWS and not session.planner.gone(newest)
    return spec is not None and spec.parent is None and known


def _is_there(session: Session, checkpoint: str) -> bool:
    """Whether a checkpoint's files are there, whole or not."""
    try:
        session.registry.checkpoint_folder(checkpoint)
    except FlavorError:
        return False
    return True


def _without(session: Session, current: str, why: str) -> NextStep:
    """What to do where the active checkpoint is gone, or is of no use any more."""
    gone = f"{current} {why}"
    if good := next(_good(session), None):
        return NextStep("use another", f"Use {good}: it is good, and {gone}.")
    if any(run.checkpoints for run in session.registry.runs() if session.planner.fits(run.name)):
        return NextStep("use another", f"Choose another checkpoint on Runs: {gone}.")
    return NextStep("retrain afresh", f"Retrain afresh (T): {gone}, and no other will do.")


def _good(session: Session, may: Callable[[str], bool] = bool, first: str = "") -> Iterator[str]:
    """The good checkpoints of those that `may` be, those of the run `first` before all others, then of the newest run: what the run chose before the
    rest, the last before the first. None of a run that chose its parent."""
    runs = {run.name: run for run in session.registry.runs() if session.planner.fits(run.name)}
    own = [run for run in runs.values() if not _stayed(run)]
    for run in sorted(own, key=lambda run: (run.name == first, run.name), reverse=True):
        chosen = run.checkpoint(run.result.checkpoint) if run.result else None
        for info in ([chosen] if chosen else []) + [info for info in reversed(run.checkpoints) if info != chosen]:
            if may(info.name) and session.tasting.readings(info.name, runs).verdict.word == "good":
                yield info.name


def _better(session: Session, current: str, verdict: Verdict) -> str:
    """The checkpoint to use in place of one that will not do; empty where there is none. Where training condemns it, one of the same run. Where its texts
    do, one of any run that has texts to be judged by too: of what was not sampled nothing bad is known. What was trained alike, on fewer rows or
    more, is no way out; but a refit recites more than its epoch, which made fewer steps."""
    run = current.split("/")[0]
    by_training = bool(set(verdict.decided) - OF_TEXTS)
    recites = is_refit(current) and verdict.word == "overbaked" and set(verdict.decided) == {"recitation"}

    def may(name: str) -> bool:
        other = name != current and (recites or measured_by(name) != measured_by(current))
        return other and (name.startswith(f"{run}/") if by_training else _texts(session, name) >= DECIDED)

    return next(_good(session, may, run), "")


def _texts(session: Session, checkpoint: str) -> int:
    return sum(candidate.checkpoint == checkpoint for candidate in session.store.candidates.values())


def _by_verdict(session: Session, current: str, verdict: Verdict) -> NextStep | None:
    """What a bad verdict asks for; None where it is good or cannot be told."""
    if verdict.word not in BAD:
        return None
    reasons = (verdict.sentence,)
    if better := _better(session, current, verdict):
        far = "" if _texts(session, better) >= DECIDED else ", as far as its training tells"
        return NextStep("use another", f"Use {better}: it is good{far}, while {current} is {verdict.word}.", reasons)
    newest = _newest(session)
    chosen = _choice(session, newest)
    if chosen.split("/")[0] not in ("", current.split("/")[0]) and session.tasting.readings(chosen).verdict.word not in BAD:
        sentence = f"Use {chosen}, the newest run's choice, against which nothing speaks: {current} is {verdict.word}."
        return NextStep("use another", sentence, reasons)
    if verdict.word == "overbaked" and _same_again(session, current, newest):
        sentence = f"Write more: {current} is overbaked, though it was trained afresh. Until then sample with less of it."
        return NextStep("write", sentence, reasons)
    if verdict.word == "overbaked":
        return NextStep("retrain afresh", f"Retrain afresh (T): {current} is overbaked.", reasons)
    on = session.planner.goes_on(current) and not session.planner.new_rows(current)
    if on and _brought_nothing(session, current):
        return NextStep("write", f"Write more: {current} is underbaked, and baking it on brought nothing.", reasons)
    return NextStep("bake on" if on else "retrain", f"{'Bake on' if on else 'Retrain'} (t): {current} is underbaked.", reasons)


def _by_rounds(session: Session, current: str, judgement: Judgement) -> NextStep:
    """What the decisions ask for, where the checkpoint will do."""
    fits = session.planner.fits
    told = [round_ for round_ in rounds(session.store.decisions.values()) if round_.checkpoint != BASE and fits(round_.checkpoint)]
    place = next((place for place, round_ in enumerate(told) if round_.checkpoint == current), len(told))
    now = told[place] if place < len(told) else Round(current, 0, 0, 0)
    earlier = [round_ for round_ in told[:place] if round_.decided >= DECIDED]
    verdict, seen = judgement.verdict, judgement.number("seen")
    curve = session.learning.outlook().forecast
    reasons = (verdict.sentence, *(_said(round_) for round_ in (*earlier[-2:], now) if round_.decided))
    reasons += (curve.sentence,) if curve.levels else ()
    newest = _newest(session)
    new = session.planner.new_rows(newest)
    kept = f"{now.kept} of {now.decided} kept"
    if now.decided >= DECIDED and verdict.word == "good" and earlier and _flat(now, earlier[-1]):
        flat = f"{kept}, {_against(now, earlier[-1])}"
        if curve.word == "gains" and new < NEW_ROWS:
            return NextStep("write", f"Write more: {flat}, but {curve.sentence}", reasons)
        if (why := _why_stop(session, current, curve.word)) and _own_new(session, newest) < NEW_ROWS:
            return NextStep("stop", f"Stop here: {flat}, and {why}.", reasons)
    if new >= NEW_ROWS and seen is not None and seen >= MOST_SEEN:
        return NextStep(
            "retrain afresh", f"Retrain afresh (T): {counted(new, 'new row')}, and the old ones were seen {seen:g} times.", reasons
        )
    if new >= NEW_ROWS:
        return NextStep("retrain", f"Retrain (t): {counted(new, 'row')} of the dataset are new to {newest}.", reasons)
    if now.decided < DECIDED:
        decided = counted(now.decided, "decision")
        return NextStep(
            "curate", f"Curate more: {decided} on candidates of {current} so far; from {DECIDED} on they tell something.", reasons
        )
    if best := _kept_more(session, now, told):
        sentence = (
            f"Use {best.checkpoint}: {best.kept} of {best.decided} of its texts were kept, {now.kept} of {now.decided} of this one's."
        )
        return NextStep("use another", sentence, reasons)
    if now.interval()[1] < KEPT_LITTLE:
        return NextStep("write", f"Write more: only {kept}; rows of your own teach most.", reasons)
    return NextStep("curate", f"Curate more: {kept}, {counted(new, 'new row')} so far; from {NEW_ROWS} on a retrain pays.", reasons)


def _flat(now: Round, before: Round) -> bool:
    """Whether enough is kept, and not clearly more than in the round before."""
    return now.share >= KEPT_ENOUGH and before.share >= now.interval()[0]


def _against(now: Round, before: Round) -> str:
    """How what is kept now stands to what was kept before, where it is not clearly more."""
    return f"{'not clearly' if now.share > before.share else 'no'} more than the {before.kept} of {before.decided} before"


def _why_stop(session: Session, current: str, curve: str) -> str:
    """Why more rows or another run would bring nothing; empty where nothing says so."""
    if curve == "enough":
        return f"{MORE} more rows would lower the loss by less than {GAIN:.0%}"
    gain = _gain(session, current) if curve == "cannot tell yet" else None
    if gain is None or gain >= GAIN:
        return ""
    return "the last run gained little" if gain >= 0 else "the last run did not lower the loss"


def _own_new(session: Session, newest: str) -> int:
    """The rows that people wrote or mended, and the run of a checkpoint did not have, or not with this text. Accepted ones do not count: there are new
    ones after every round, and the model could write them already."""
    known = session.registry.rows(newest.split("/")[0])
    human = [example for example in session.store.examples.values() if example.human]
    return sum(example.uid not in known or known[example.uid].text != example.text for example in human)


def _kept_more(session: Session, now: Round, told: list[Round]) -> Round | None:
    """The round of which most was kept, where that is clearly more than now, and its checkpoint is still there and no verdict speaks against it."""
    clearly = [each for each in told if each.decided >= DECIDED and each.interval()[0] > now.interval()[1]]
    there = [each for each in clearly if session.registry.run(each.checkpoint.split("/")[0]).checkpoint(each.checkpoint)]
    will_do = [each for each in there if session.tasting.readings(each.checkpoint).verdict.word not in BAD]
    return max(will_do, key=lambda each: each.interval()[0], default=None)


def _gain(session: Session, current: str) -> float | None:
    """By how much the last run lowered the held-out loss, where a checkpoint is of it or came out of it as the better one: against its parent or,
    afresh, against the run before it on the same base. None where that was not measured."""
    registry, own = session.registry, measured_by(current)
    run = registry.run(own.split("/")[0])
    later = [each for each in map(registry.run, registry.names()) if each.name > run.name and each.status == "done"]
    if trained := [each for each in later if each.spec and each.spec.kind == "train"]:
        by_epoch = dict(trained[-1].held_out()) if _stayed(trained[-1]) == own else {}
        before, now = by_epoch.pop(0, None), min(by_epoch.values(), default=None)
    elif run.spec and run.spec.parent:
        losses = dict(session.tasting.course(current).points)
        before, now = losses.get(run.spec.parent), losses.get(own)
    else:  # runs afresh may hold other rows out, so each is held against the base on its own
        earlier = [registry.run(name) for name in registry.names() if name < run.name and session.planner.fits(name)]
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
    return f"Of {told.checkpoint}, {told.kept} of {told.decided} {'was' if told.kept == 1 else 'were'} kept: {percent(low)} to {percent(high)} of what it shows you{edits}."
