"""The two ways in which a checkpoint's candidates are sampled, in turns: by itself, and with examples shown. What the person keeps of
each decides how often it comes. Everything is made again from the store. Knows no Textual.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import msgspec

from core.config import Sampling
from core.runfiles import BASE
from dataset.rows import Decision
from dataset.store import Store

Way = Literal["alone", "shown"]
WAYS: tuple[Way, ...] = ("alone", "shown")
SHOWN = 3
"""Examples in a prompt of the second way (docs/sampling.md has what they bring)."""
LATELY = 96
"""Decisions that count, the latest: what a way brings changes with the examples."""
KEPT = ("accept", "edit")


@dataclass
class Tally:
    """`kept` of `decided`."""

    kept: int = 0
    decided: int = 0

    def drawn(self, rng: random.Random) -> float:
        """A share that would explain it, from its Beta."""
        return rng.betavariate(self.kept + 1, self.decided - self.kept + 1)


def way_of(settings: Mapping[str, Any]) -> Way:
    """The way that a batch's settings are."""
    return "shown" if settings.get("shown") else "alone"


def tallies(store: Store) -> dict[Way, Tally]:
    """What was kept lately of what checkpoints wrote, by the way it was sampled."""
    found = {name: Tally() for name in WAYS}
    for decision in islice(_told(store), LATELY):
        tally = found[way_of(store.batches[store.candidates[decision.candidate].batch].settings)]
        tally.decided += 1
        tally.kept += decision.verdict in KEPT
    return found


def _told(store: Store) -> Iterator[Decision]:
    """Decisions that say something of a way, the latest first."""
    for decision in reversed(store.decisions.values()):
        candidate = store.candidates.get(decision.candidate)
        if decision.verdict != "skip" and candidate and candidate.checkpoint != BASE and candidate.batch in store.batches:
            yield decision


def in_turn(settings: Sampling, kept: Mapping[Way, Tally], seed: int) -> Sampling:
    """The settings of a batch: those of the way whose share, drawn by chance from what is known of it, is the higher (Thompson 1933), so
    that a way of which little is known still has its turn."""
    rng = random.Random(seed)
    best = max(WAYS, key=lambda name: kept[name].drawn(rng))
    return msgspec.structs.replace(settings, shown=SHOWN) if best == "shown" else settings
