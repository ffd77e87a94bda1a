"""Taste: a short preference stage after training, from what the person edited, accepted and threw away. Knows no Textual."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from core import runfiles
from core.config import Training
from core.errors import FlavorError
from core.protocol import Row
from core.runfiles import BASE, Pair, RunSpec
from core.text import duration
from dataset.pairs import find_pairs
from tui.session.losses import unmeasured
from tui.session.planning import Plan
from tui.session.session import Session

LEAST_PAIRS = 8
"""With fewer a preference is an accident."""
PASSES = 2
"""Most passes over the pairs; DITTO's 40 steps are reached with 40 pairs."""


@dataclass(frozen=True)
class TastePlan(Plan):
    """What a run of taste would do."""

    @property
    def advice(self) -> str:
        return self.absent

    def line(self) -> str:
        passes = f"at most {self.spec.epochs} passes" if self.spec.epochs > 1 else "one pass"
        return f"taste of {self.spec.parent}: {tell(self.pairs)}, {passes}, {self.steps} steps, about {duration(self.seconds)}"


def tell(pairs: Sequence[Pair]) -> str:
    """The pairs by where they come from, in words."""
    counts = Counter(pair.origin for pair in pairs)
    voted = f"{counts['vote']} preferred blindly, " if counts["vote"] else ""
    return (
        f"{len(pairs)} pairs ({counts['edit']} edited over original, {counts['decided']} accepted over rejected, "
        f"{voted}"
        f"{counts['written']} written over sampled)"
    )


def plan_taste(session: Session, seed: int | None = None) -> TastePlan:
    """What a run of taste would do. Raises FlavorError where it is switched off, or there is too little to learn from."""
    session.must_write()
    training, parent = session.settings.training, session.registry.current()
    if not training.taste:
        raise FlavorError(
            "Taste is switched off: on the bench it gained too little for its time (docs/taste.md).",
            "Set `taste = true` under [training] in flavor.toml to use it all the same.",
            "off",
        )
    if parent == BASE:
        raise FlavorError("Taste goes on from a checkpoint, and the base is active.", "Retrain first: t.", "order")
    if session.registry.measure_of(parent) is None:
        raise FlavorError(unmeasured(session.registry, parent), "Retrain first: t.", "missing")
    plan = session.planner.plan(seed=seed, onwards=True)
    learned = {row.id for row in plan.rows if not row.held_out}
    pairs = find_pairs(session.store, session.task, session.store.examples.keys() - learned)[: training.taste_steps * training.batch_size]
    if len(pairs) < LEAST_PAIRS:
        raise FlavorError(
            f"Taste needs {LEAST_PAIRS} pairs of a wanted and an unwanted text; there are {tell(pairs)}.",
            f"Decide more candidates: each rejected text gives at least one pair, and {LEAST_PAIRS - len(pairs)} more are needed.",
            "empty",
        )
    rows = _rows(session, plan.rows, parent, pairs)
    passes = max(1, min(PASSES, training.taste_steps // _steps(pairs, training)))
    spec = msgspec.structs.replace(
        plan.spec, kind="taste", epochs=passes, learning_rate=training.taste_rate, shrink=1.0, rows=len(rows), new_rows=0,
        rows_sha256=_hash(rows), pairs=len(pairs), pairs_sha256=_hash(pairs),
    )  # fmt: skip
    return taste_of(session, spec, rows, pairs)


def taste_of(session: Session, spec: RunSpec, rows: list[Row], pairs: Sequence[Pair]) -> TastePlan:
    """What a run of taste with these rows and pairs would take."""
    out = [row for row in rows if row.held_out]
    texts = [Row(f"{at}", pair.prompt, text) for at, (pair, text) in enumerate((p, t) for p in pairs for t in (p.chosen, p.rejected))]
    seconds, memory = session.planner.estimate([*texts, *out], spec.epochs)
    steps = _steps(pairs, spec.training) * spec.epochs
    return TastePlan(
        spec, rows, len(rows) - len(out), len(out), steps, seconds, memory, pairs=pairs, absent=session.settings.metrics.absent()
    )


def _steps(pairs: Sequence[Pair], training: Training) -> int:
    """Optimiser steps of one pass."""
    return math.ceil(len(pairs) / min(training.batch_size, len(pairs)))


def _hash(rows: Sequence[Row | Pair]) -> str:
    return hashlib.sha256(runfiles.encode_rows(rows)).hexdigest()


def _rows(session: Session, rows: Sequence[Row], parent: str, pairs: Sequence[Pair]) -> list[Row]:
    """What the run knows and is measured on: the rows that its parent knew, the held-out ones, and the chosen texts as often as a pass
    has them. A row that is new since the parent and in no pair stays new."""
    chosen = Counter(pair.example for pair in pairs)
    known = session.registry.rows(parent.split("/")[0])
    return [msgspec.structs.replace(row, repeat=chosen[row.id]) for row in rows if row.held_out or row.id in known or row.id in chosen]
