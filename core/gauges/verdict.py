"""The verdict on a checkpoint: underbaked, good, overbaked, or cannot tell yet; and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.gauges.measured import of_training
from core.gauges.reading import NO_COURSE, Course, Measured, Reading, Sample, Source
from core.gauges.sampled import of_texts
from core.gauges.thresholds import THRESHOLDS, Thresholds

Word = Literal["underbaked", "good", "overbaked", "cannot tell yet"]
GROUNDS = ("held-out loss", "recitation", "natural stop", "copying")
"""The readings that are named as grounds for good, the proof first."""


@dataclass(frozen=True)
class Verdict:
    """One word, one sentence, and the names of the readings that decided."""

    word: Word
    sentence: str
    decided: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """All that is known of a checkpoint."""

    readings: tuple[Reading, ...]
    verdict: Verdict

    def number(self, name: str) -> float | None:
        """What the gauge of this name shows; None where it was not measured."""
        return next((reading.number for reading in self.readings if reading.name == name), None)


def judge(
    measured: Measured,
    course: Course = NO_COURSE,
    samples: Sequence[Sample] = (),
    rows: Sequence[Source] = (),
    at: Thresholds = THRESHOLDS,
    held_out: int | None = None,
) -> Judgement:
    """The readings of a checkpoint and the verdict.

    `course` holds the held-out losses of its lineage and run, it among them; `rows` are its run's; `samples` may be none yet. `held_out`
    rows gave the held-out loss: those of `rows` that are, where it is not said.
    """
    if held_out is None and rows:
        held_out = sum(row.held_out for row in rows)
    readings = [*of_training(measured, course, held_out, at), *of_texts(samples, rows, at)]
    return Judgement(tuple(readings), decide(readings))


def decide(readings: Sequence[Reading]) -> Verdict:
    """The verdict of some readings. Too much goes before too little.

    Good needs proof: the course of the held-out loss. Without it, nothing bad is no more than nothing bad; and monotonous texts,
    a weak sign that the base gives too, count only where the loss falls no more.
    """
    by_what: dict[str, list[Reading]] = {}
    for reading in readings:
        by_what.setdefault(reading.says, []).append(reading)
    fine = [reading for name in GROUNDS for reading in by_what.get("fine", []) if reading.name == name]
    proven = bool(fine) and fine[0].name == GROUNDS[0]
    ranked: tuple[tuple[Word, list[Reading]], ...] = (
        ("overbaked", by_what.get("over", [])),
        ("underbaked", by_what.get("under", [])),
        ("overbaked", by_what.get("leans over", []) if proven else []),
        ("good", fine if proven else []),
    )
    for word, reasons in ranked:
        if reasons:
            return Verdict(word, _joined(reasons), tuple(reading.name for reading in reasons))
    doubts = [reading for reading in readings if reading.name == GROUNDS[0]]
    why = doubts[0].sentence if doubts else "No row is held out, so nothing tells whether more than the rows was learned."
    return Verdict("cannot tell yet", why)


def _joined(readings: Sequence[Reading]) -> str:
    """The readings' sentences as one."""
    first, *rest = (reading.sentence.removesuffix(".") for reading in readings)
    return "; ".join([first, *(sentence[0].lower() + sentence[1:] for sentence in rest)]) + "."
