"""What the report tells, gathered from a workspace: counts, time, rounds, losses, verdicts, coverage, rows to look at, what to do next."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from core.errors import FlavorError
from core.files import now
from core.gauges.conflicts import Conflict, Entry, conflicts
from core.gauges.oddities import habits, oddities
from core.gauges.outliers import FEWEST, Outlier, outliers
from core.gauges.statistics import Interval
from core.runfiles import BASE, measured_by
from core.text import words
from dataset.activity import Act, Activity, activity, acts, seconds_of
from dataset.coverage import Cover, coverage
from dataset.rounds import Round, rounds
from dataset.rows import Example
from runs import measured
from runs.measured import Bits
from runs.registry import Run
from tui.session import blind, losses
from tui.session.advice import NextStep, next_step
from tui.session.learning import Outlook
from tui.session.session import Session

BEST = 5
"""New texts that are shown."""
ALIKE = 0.3
"""A text that shares more of its runs of four words with one shown before is not shown too."""
MOST_ODD = 8
MOST_CONFLICTS = 12
MOST_CHECKPOINTS = 40
"""That are judged, which takes its time; besides them those of which something was decided, and the active one."""


@dataclass(frozen=True)
class Tasted:
    """A checkpoint with what is known of it."""

    name: str
    active: bool
    parent: str
    rows: int
    loss: float | None
    word: str
    """The verdict's."""
    why: str
    kept: int
    decided: int


@dataclass(frozen=True)
class Rated:
    """What the votes of blind A/B say of a lane: how often it would be preferred to the middle of the others, 0 to 1, and where that lies."""

    lane: str
    """A checkpoint, perhaps at another strength, the base, or few-shot."""
    share: float
    interval: Interval
    votes: int


@dataclass(frozen=True)
class Course:
    """A run's held-out losses by epoch (0: its start, where it was measured), and the rows it learned."""

    run: str
    rows: int
    losses: tuple[tuple[int, float], ...]
    chosen: int | None
    """The epoch that was chosen."""


@dataclass(frozen=True)
class Odd:
    """A row that stands out: its loss, by how many standard deviations, and what may be the matter; nothing: perhaps originality."""

    outlier: Outlier
    text: str
    signs: tuple[str, ...]


@dataclass(frozen=True)
class RowLosses:
    """The loss of each row, how it was measured, and those that stand out."""

    losses: Mapping[str, float]
    how: str
    """In a sentence; where there are no losses, how to get them."""
    odd: tuple[Odd, ...] = ()


@dataclass(frozen=True)
class Best:
    """A new text that was worth keeping as it came."""

    text: str
    fields: Mapping[str, str]
    checkpoint: str
    shared: float
    """The largest share of its runs of four words that another example has, 0 to 1."""


@dataclass(frozen=True)
class Report:
    """The whole report. Every text in it is data: whoever shows it makes it harmless."""

    heading: str
    workspace: str
    base: str
    made: str
    origins: Mapping[str, int]
    """Examples there are now, by origin."""
    verdicts: Mapping[str, int]
    """Candidates that were decided, by state."""
    activity: Activity
    rounds: tuple[Round, ...]
    outlook: Outlook
    courses: tuple[Course, ...]
    checkpoints: tuple[Tasted, ...]
    left_out: int
    """Older checkpoints that are not among them."""
    ratings: tuple[Rated, ...]
    """The best first."""
    coverage: tuple[Cover, ...]
    rows: RowLosses
    conflicts: tuple[Conflict, ...]
    all_conflicts: int
    """How many there are; the first of them are told."""
    best: tuple[Best, ...]
    bits: Bits | None
    texts: Mapping[str, str]
    """Of the examples, by id, for what is told of them."""
    next: NextStep


async def gather(session: Session) -> Report:
    """All of it, without holding up the keys: long pieces in a thread, over data of their own."""
    store = session.store
    examples = list(store.examples.values())
    decided = tuple(rounds(store.decisions.values()))
    runs = await asyncio.to_thread(session.registry.runs)
    stamps = await asyncio.to_thread(acts, store.journal.path)
    begun = [Act(at) for run in runs if run.spec and (at := seconds_of(run.spec.created)) is not None]
    outlook = await session.learning.look()
    courses = await asyncio.to_thread(lambda: tuple(course for run in runs if (course := _course(run))))
    ratings = _ratings(session)
    checkpoints = await _checkpoints(session, runs, decided, {rated.lane for rated in ratings})
    found = await asyncio.to_thread(conflicts, _entries(session, examples))
    return Report(
        heading=session.task.heading,
        workspace=session.folder.name,
        base=session.settings.model.base,
        made=now(),
        origins=Counter(example.origin for example in examples),
        verdicts={state: store.counts[state] for state in ("accepted", "edited", "rejected", "skipped")},
        activity=activity(stamps + begun),
        rounds=decided,
        outlook=outlook,
        courses=courses,
        checkpoints=checkpoints,
        left_out=sum(len(run.checkpoints) for run in runs) - sum(each.name != BASE for each in checkpoints),
        ratings=ratings,
        coverage=tuple(coverage(session.task, [example.fields for example in examples])),
        rows=_row_losses(session, outlook),
        conflicts=tuple(found[:MOST_CONFLICTS]),
        all_conflicts=len(found),
        best=_best(session),
        bits=_bits(session),
        texts={example.uid: example.text for example in examples},
        next=next_step(session),
    )


def _entries(session: Session, examples: Sequence[Example]) -> list[Entry]:
    free = frozenset(session.task.free_names)
    return [Entry(example.uid, example.fields, example.text, free, example.human) for example in examples]


async def _checkpoints(session: Session, runs: Sequence[Run], decided: Sequence[Round], rated: Collection[str]) -> tuple[Tasted, ...]:
    """The newest run first, its checkpoints in their order; the base last, where it is active or something of it was decided or rated."""
    current, told = session.registry.current(), {round_.checkpoint: round_ for round_ in decided}
    by_name = {run.name: run for run in runs}
    found: list[Tasted] = []
    for run in reversed(runs):
        for info in run.checkpoints:
            if len(found) >= MOST_CHECKPOINTS and info.name != current and info.name not in told and info.name not in rated:
                continue
            try:
                verdict = session.tasting.readings(info.name, by_name).verdict
            except FlavorError:  # gone while we looked
                continue
            kept = told.get(info.name, Round(info.name, 0, 0, 0))
            parent, rows = (run.spec.parent or BASE, run.spec.rows) if run.spec else (BASE, 0)
            found.append(
                Tasted(
                    info.name, info.name == current, parent, rows, info.held_out_loss, verdict.word, verdict.sentence, kept.kept,
                    kept.decided,
                )
            )  # fmt: skip
            await asyncio.sleep(0)
    if BASE in told or BASE in rated or current == BASE or not found:
        kept = told.get(BASE, Round(BASE, 0, 0, 0))
        found.append(Tasted(BASE, current == BASE, "", 0, None, "", "", kept.kept, kept.decided))
    return tuple(found)


def _ratings(session: Session) -> tuple[Rated, ...]:
    found = blind.ratings(session)
    return tuple(Rated(name, *found.share(name), found.games[name]) for name in found.order())


def _course(run: Run) -> Course | None:
    """None where nothing was held out."""
    measured_losses = tuple(run.held_out())
    if not measured_losses or run.spec is None:
        return None
    chosen = run.result.checkpoint if run.result else None
    own = chosen and chosen.startswith(f"{run.name}/")
    return Course(run.name, run.spec.rows, measured_losses, int(chosen.split("-")[1]) if chosen and own else None)


def _bits(session: Session) -> Bits | None:
    bits = measured.read(session.folder).bits
    return bits if bits and bits.base == session.settings.model.base else None


def _row_losses(session: Session, outlook: Outlook) -> RowLosses:
    """From the learning curve where it has measured every row, since no adapter there saw the row it was measured on; else from the
    active checkpoint, learned rows and others apart."""
    examples = session.store.examples
    human = [example.uid for example in session.learning.rows()]
    if human and set(human) <= set(outlook.losses):
        how = "Each row measured by adapters that never saw it (the learning curve)."
        return RowLosses(outlook.losses, how, _odd(outlook.outliers, examples))
    found = losses.known(session)
    if not found and session.registry.measure_of(session.registry.current()) is None:
        return RowLosses({}, losses.unmeasured(session.registry, session.registry.current()))
    if not found:
        return RowLosses({}, "Not measured yet: m on Report, or `flavor-tui report WORKSPACE --measure`.")
    current = measured_by(session.registry.current())
    learned = session.registry.learned(current)
    groups = groupby(sorted(found, key=learned.__contains__), key=learned.__contains__)
    standing = [outlier for _, group in groups for outlier in outliers({uid: found[uid] for uid in group})]
    unseen = sum(uid not in learned for uid in found)
    how = f"Measured with {current}, which learned {len(found) - unseen} of the {len(found)} rows"
    if 0 < unseen < len(found):
        how += "; the two kinds are held against their own"
        if min(unseen, len(found) - unseen) < FEWEST <= len(found):
            how += f". A kind of fewer than {FEWEST} rows is not judged"
    return RowLosses(found, f"{how}.", _odd(sorted(standing, key=lambda outlier: -outlier.far), examples))


def _odd(found: Sequence[Outlier], examples: Mapping[str, Example]) -> tuple[Odd, ...]:
    common = habits([example.text for example in examples.values()])
    there = [outlier for outlier in found if outlier.row in examples][:MOST_ODD]
    return tuple(Odd(each, examples[each.row].text, tuple(oddities(examples[each.row].text, common))) for each in there)


def _best(session: Session) -> tuple[Best, ...]:
    """Texts that were accepted without a change and without a flag, those first that have least in common with any other example."""
    store = session.store
    kept = [example for example in store.examples.values() if not example.human and example.candidate in store.candidates]
    clean = [example for example in kept if not store.candidates[example.candidate].flags]
    by_new = sorted(((session.copying.overlap(e.text, but=e.uid)[0], e) for e in clean), key=lambda pair: (pair[0], pair[1].uid))
    middle = median(len(words(e.text)) for e in store.examples.values()) if store.examples else 0
    full = [pair for pair in by_new if len(words(pair[1].text)) >= middle / 2]  # a stub is like nothing, and nothing new
    shown: list[Best] = []
    for overlap, example in full:
        if len(shown) < BEST and overlap <= ALIKE:
            shown.append(Best(example.text, example.fields, store.candidates[example.candidate].checkpoint, overlap))
    return tuple(shown)
