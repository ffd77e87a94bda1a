"""The gauges of a workspace: what its runs, its candidates and its examples say of a checkpoint. Knows no Textual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import islice
from typing import TYPE_CHECKING

from core.gauges.reading import Course, Measured, Reading, Sample, Source, shown
from core.gauges.verdict import Judgement, Verdict, judge
from core.runfiles import BASE, CheckpointInfo, is_refit, measured_by
from dataset.rows import Candidate
from runs.registry import Run
from tui.session.ways import stands_alone

if TYPE_CHECKING:
    from tui.session.workspace import Workspace

MOST_TEXTS = 48
"""The newest candidates of a checkpoint are gauged, at most so many: more tell little more, and cost time."""
LEAST_ALONE = 8
"""Texts that a checkpoint wrote by itself from which on those with examples shown are left out of the gauges."""
SIGNS = {"underbaked": "○ underbaked", "good": "✓ good", "overbaked": "! overbaked", "cannot tell yet": "? cannot tell"}
"""The verdict with a sign, short enough for a table."""
MARKS = {"": "·", "under": "○", "fine": "✓", "leans over": "!", "over": "!"}
"""What a reading speaks for, as a sign."""

OF_HELD_OUT = ("held-out loss", "end", "early end")
"""The gauges that a refit has from its epoch."""

Points = tuple[tuple[str, float], ...]
"""Checkpoints and their held-out losses, oldest first."""


class Tasting:
    """Readings and verdicts, each made anew only when what it depends on has changed."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._judged: dict[str, tuple[object, Judgement]] = {}
        self._rows: dict[str, tuple[tuple[Source, ...], int]] = {}
        self._lost: dict[str, tuple[int, Points]] = {}
        self._sampled: tuple[int, dict[str, list[Candidate]]] = (-1, {})

    def readings(self, checkpoint: str, runs: Mapping[str, Run] | None = None) -> Judgement:
        """The readings of a checkpoint and its verdict. `runs` are all runs by name, where they are known already.

        Raises FlavorError where there is no such checkpoint.
        """
        if runs is None:
            runs = {run.name: run for run in self._workspace.registry.runs()}
        run = runs.get(checkpoint.split("/")[0])
        info = next((info for info in run.checkpoints if info.name == checkpoint), None) if run else None
        if info is None and self._workspace.registry.checkpoint_folder(checkpoint):
            return Judgement((), Verdict("cannot tell yet", f"The files of {checkpoint} are damaged."))
        candidates = self._candidates(checkpoint)
        course = self._course(info.name, runs) if info else Course()
        depends = (
            info, course, [candidate.uid for candidate in candidates], run.status if info and run else self._workspace.store.journal.seq
        )  # fmt: skip
        known = self._judged.get(checkpoint)
        if known and known[0] == depends:
            return known[1]
        samples = [Sample(c.uid, c.text, c.finish, tuple(c.flags), tuple(c.fields.values())) for c in candidates]
        if info and run:
            judgement = self._judge(info, run, course, samples)
        else:
            bare = judge(Measured(BASE), Course(), samples, self._examples())
            judgement = Judgement(bare.readings, Verdict("cannot tell yet", "This is the base: nothing was trained."))
        self._judged[checkpoint] = (depends, judgement)
        return judgement

    def _judge(self, info: CheckpointInfo, run: Run, course: Course, samples: list[Sample]) -> Judgement:
        """A refit is held against all rows, since it learned them all; of the held-out ones its epoch tells."""
        rows = self._learned(run.name)[0]
        held = sum(row.held_out for row in rows)
        if not is_refit(info.name):
            return judge(_measured(info), course, samples, rows)
        judgement = judge(_measured(info), course, samples, tuple(replace(row, held_out=False) for row in rows), held_out=held)
        told = told_of(info.name, run)
        if run.checkpoint(measured_by(info.name)) is None and judgement.verdict.word == "cannot tell yet":
            return Judgement(judgement.readings, replace(judgement.verdict, sentence=told))
        readings = [replace(r, sentence=f"{r.sentence} {told}") if r.name in OF_HELD_OUT else r for r in judgement.readings]
        return Judgement(tuple(readings), replace(judgement.verdict, sentence=f"{judgement.verdict.sentence} {told}"))

    def course(self, checkpoint: str) -> Course:
        """The held-out losses of a checkpoint's lineage and run."""
        return self._course(checkpoint, {run.name: run for run in self._workspace.registry.runs()})

    def _candidates(self, checkpoint: str) -> list[Candidate]:
        """The newest candidates of a checkpoint at its full strength, whatever was decided of them; those that it wrote by itself, where there
        are enough."""
        store = self._workspace.store
        if self._sampled[0] != store.journal.seq:
            found: dict[str, list[Candidate]] = {}
            for candidate in store.candidates.values():
                batch = store.batches.get(candidate.batch)
                if batch is None or batch.strength == 1:
                    found.setdefault(candidate.checkpoint, []).append(candidate)
            self._sampled = (store.journal.seq, found)
        written = self._sampled[1].get(checkpoint, [])
        alone = list(islice((candidate for candidate in reversed(written) if stands_alone(store, candidate)), MOST_TEXTS))
        return alone[::-1] if len(alone) >= LEAST_ALONE else written[-MOST_TEXTS:]

    def _learned(self, run: str) -> tuple[tuple[Source, ...], int]:
        """The frozen rows of a run, and how many held-out ones its lineage was trained on before."""
        if run not in self._rows:
            rows = self._workspace.registry.rows(run).values()
            sources = tuple(Source(row.id, row.text, row.human, row.held_out) for row in rows)
            self._rows[run] = sources, sum(row.held_out and row.seen > 0 for row in rows)
        return self._rows[run]

    def _examples(self) -> list[Source]:
        """The rows that people wrote, as they are now: what the base's texts are held against. None of them is one of these texts."""
        return [Source(e.uid, e.text) for e in self._workspace.store.examples.values() if e.origin in ("written", "imported")]

    def _losses(self, run: Run) -> Points:
        """A run's held-out losses: the base's, where it was measured apart, the start's, the epochs'. Read again only when the file grew."""
        path = run.folder / "metrics.jsonl"
        size = path.stat().st_size if path.exists() else 0
        known = self._lost.get(run.name)
        if known is None or known[0] != size:
            parent = run.spec.parent if run.spec else None
            losses = [(f"{run.name}/epoch-{epoch:02}" if epoch else parent or BASE, loss) for epoch, loss in run.held_out()]
            base = run.base_loss() if parent else None
            known = self._lost[run.name] = (size, (*([(BASE, base)] if base else []), *losses))
        return known[1]

    def _course(self, checkpoint: str, runs: Mapping[str, Run]) -> Course:
        """The base's loss, those of the lineage up to the run's start, and those of the run."""
        run = runs[checkpoint.split("/")[0]]
        own = self._losses(run)
        base, rest = (own[:1], own[1:]) if own and own[0][0] == BASE else ((), own)
        older = self._older(run, rest, runs)
        if base:
            older = tuple(point for point in older if point[0] != BASE)
        points = (*base, *older, *rest)
        return Course(points, bool(points) and points[0][0] == BASE, self._learned(run.name)[1])

    def _older(self, run: Run, rest: Points, runs: Mapping[str, Run]) -> Points:
        """The losses of a run's ancestors, as if on the rows that are held out now.

        A run's first loss is its parent's, measured again; the parent's older losses are scaled by what that changed, so that the
        course goes on without a step.
        """
        parent = run.spec.parent if run.spec else None
        above = parent.split("/")[0] if parent else ""
        if not run.spec or not parent or above not in runs or above >= run.name:
            return ()
        before = self._course(parent, runs).points
        places = [place for place, (name, _) in enumerate(before) if name == parent]
        if not places or not rest or rest[0][0] != parent or not before[places[-1]][1]:
            return ()
        scale = rest[0][1] / before[places[-1]][1]
        return tuple((name, loss * scale) for name, loss in before[: places[-1]])


def _measured(info: CheckpointInfo) -> Measured:
    return Measured(**{field.name: getattr(info, field.name) for field in fields(Measured)} | {"name": measured_by(info.name)})


def told_of(refit: str, run: Run) -> str:
    """Where the held-out loss of a refit comes from, in a sentence."""
    if run.checkpoint(measured_by(refit)):
        return f"The held-out loss is that of {measured_by(refit)}; this one was trained on all rows, up to twice as long."
    if run.status == "running":
        return f"It was trained on all rows first; {measured_by(refit)}, which it repeats, is measured next."
    return f"It has no held-out loss: it repeats {measured_by(refit)} on all rows, and that was never measured."


def against(reading: Reading) -> str:
    """A reading's number with its interval and the level to hold it against, where that is another: 21 % (12 to 33 %), against 4 %."""
    interval = ""
    if reading.interval:
        low, high = (shown(end, reading.unit) for end in reading.interval)
        interval = f" ({low.removesuffix(' %')} to {high})"
    level = shown(reading.reference, reading.unit) if reading.reference is not None else ""
    return reading.value() + interval + (f", against {level}" if level not in ("", reading.value()) else "")
