"""The gauges of a workspace: what its runs, its candidates and its examples say of a checkpoint. Knows no Textual."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.gauges.reading import Course, Measured, Reading, Sample, Source, shown
from core.gauges.verdict import Judgement, Verdict, judge
from core.runfiles import BASE, CheckpointInfo
from dataset.rows import Candidate
from runs.registry import Run

if TYPE_CHECKING:
    from tui.session import Session

MOST_TEXTS = 48
"""The newest candidates of a checkpoint are gauged, at most so many: more tell little more, and cost time."""
MEASURES = ("held_out_loss", "loss", "p_end", "p_end_early", "recall", "recall_held_out", "drift", "seen")
SIGNS = {"underbaked": "○ underbaked", "good": "✓ good", "overbaked": "! overbaked", "cannot tell yet": "? cannot tell"}
"""The verdict with a sign, short enough for a table."""
MARKS = {"": "·", "under": "○", "fine": "✓", "leans over": "!", "over": "!"}
"""What a reading speaks for, as a sign."""


class Tasting:
    """Readings and verdicts, each made anew only when what it depends on has changed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._judged: dict[str, tuple[object, Judgement]] = {}
        self._rows: dict[str, tuple[Source, ...]] = {}
        self._losses: dict[str, tuple[int, list[tuple[int, float]]]] = {}
        self._sampled: tuple[int, dict[str, list[Candidate]]] = (-1, {})

    def readings(self, checkpoint: str, runs: Mapping[str, Run] | None = None) -> Judgement:
        """The readings of a checkpoint and its verdict. `runs` are all runs by name, where they are known already.

        Raises FlavorError where there is no such checkpoint.
        """
        if runs is None:
            runs = {run.name: run for run in self._session.registry.runs()}
        run = runs.get(checkpoint.split("/")[0])
        info = next((info for info in run.checkpoints if info.name == checkpoint), None) if run else None
        if info is None and self._session.registry.checkpoint_folder(checkpoint):
            return Judgement((), Verdict("cannot tell yet", f"The files of {checkpoint} are damaged."))
        candidates = self._candidates(checkpoint)
        course = self._course(info.name, runs) if info else Course()
        depends = (info, course, [candidate.uid for candidate in candidates], None if info else self._session.store.journal.seq)
        known = self._judged.get(checkpoint)
        if known and known[0] == depends:
            return known[1]
        samples = [Sample(c.uid, c.text, c.finish, tuple(c.flags), tuple(c.fields.values())) for c in candidates]
        if info and run:
            judgement = judge(_measured(info), course, samples, self._sources(run.name))
        else:
            bare = judge(Measured(BASE), Course(), samples, self._examples())
            judgement = Judgement(bare.readings, Verdict("cannot tell yet", "This is the base: nothing was trained."))
        self._judged[checkpoint] = (depends, judgement)
        return judgement

    def course(self, checkpoint: str) -> Course:
        """The held-out losses of a checkpoint's lineage and run."""
        return self._course(checkpoint, {run.name: run for run in self._session.registry.runs()})

    def _candidates(self, checkpoint: str) -> list[Candidate]:
        """The newest candidates of a checkpoint, whatever was decided of them."""
        store = self._session.store
        if self._sampled[0] != store.journal.seq:
            found: dict[str, list[Candidate]] = {}
            for candidate in store.candidates.values():
                found.setdefault(candidate.checkpoint, []).append(candidate)
            self._sampled = (store.journal.seq, found)
        return self._sampled[1].get(checkpoint, [])[-MOST_TEXTS:]

    def _sources(self, run: str) -> tuple[Source, ...]:
        """The frozen rows of a run."""
        if run not in self._rows:
            rows = self._session.registry.rows(run).values()
            self._rows[run] = tuple(Source(row.id, row.text, row.origin != "accepted", row.held_out) for row in rows)
        return self._rows[run]

    def _examples(self) -> list[Source]:
        """The rows that people wrote, as they are now: what the base's texts are held against. None of them is one of these texts."""
        return [Source(e.uid, e.text) for e in self._session.store.examples.values() if e.origin in ("written", "imported")]

    def _held_out(self, run: Run) -> list[tuple[int, float]]:
        """Held-out loss by epoch, read again only where the file has grown."""
        path = run.folder / "metrics.jsonl"
        size = path.stat().st_size if path.exists() else 0
        known = self._losses.get(run.name)
        if known is None or known[0] != size:
            known = self._losses[run.name] = (size, run.held_out())
        return known[1]

    def _course(self, checkpoint: str, runs: Mapping[str, Run]) -> Course:
        """The lineage's losses up to the run's start, then those of the run.

        A run's first loss is its parent's, measured again on the rows that are held out now; the parent's older losses are scaled by
        what that changed, so that the course goes on without a step.
        """
        run = runs[checkpoint.split("/")[0]]
        parent = run.spec.parent if run.spec else None
        own = [(f"{run.name}/epoch-{epoch:02}" if epoch else parent or BASE, loss) for epoch, loss in self._held_out(run)]
        first = bool(own) and own[0][0] == (parent or BASE)
        if not parent or parent.split("/")[0] >= run.name or parent.split("/")[0] not in runs:
            return Course(tuple(own), first and not parent)
        before = self._course(parent, runs)
        leaked = self._leaked(run, runs)
        places = [place for place, (name, _) in enumerate(before.points) if name == parent]
        if not places or not first or not before.points[places[-1]][1]:
            return Course(tuple(own), False, leaked)
        scale = own[0][1] / before.points[places[-1]][1]
        older = tuple((name, loss * scale) for name, loss in before.points[: places[-1]])
        return Course(older + tuple(own), before.from_base, leaked)

    def _leaked(self, run: Run, runs: Mapping[str, Run]) -> int:
        """How many rows are held out now that the lineage was trained on."""
        held = {row.uid for row in self._sources(run.name) if row.held_out}
        trained: set[str] = set()
        while run.spec and run.spec.parent and (above := run.spec.parent.split("/")[0]) in runs and above < run.name:
            run = runs[above]
            trained |= {row.uid for row in self._sources(run.name) if not row.held_out}
        return len(held & trained)


def _measured(info: CheckpointInfo) -> Measured:
    return Measured(info.name, **{name: getattr(info, name, None) for name in MEASURES})


def against(reading: Reading) -> str:
    """A reading's number with its interval and the level to hold it against: 21 % (12 to 33 %), against 4 %."""
    interval = ""
    if reading.interval:
        low, high = (shown(end, reading.unit) for end in reading.interval)
        interval = f" ({low.removesuffix(' %')} to {high})"
    level = f", against {shown(reading.reference, reading.unit)}" if reading.reference is not None else ""
    return reading.value() + interval + level
