"""The two ways in which a checkpoint's candidates are sampled, batch by batch: by itself, or with examples shown. What the person keeps of
each decides how often it comes. Everything is made again from the store. Knows no Textual.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeVar

import msgspec

from core.config import Sampling
from core.runfiles import BASE
from dataset.rows import KEPT, Batch, Candidate
from dataset.store import Store

Way = Literal["alone", "shown"]
WAYS: tuple[Way, ...] = ("alone", "shown")
SHOWN = 3
"""Examples in a prompt of the second way (docs/sampling.md has what they bring)."""
LATELY = 48
"""Decisions that count for each way, the latest: what it brings changes with the examples."""
FARTHEST = 400
"""Decisions before the last that are looked at at all."""


Kind = TypeVar("Kind")


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


def stands_alone(store: Store, candidate: Candidate) -> bool:
    """Whether a checkpoint wrote a candidate by itself, as it would in another program."""
    batch = store.batches.get(candidate.batch)
    return batch is None or way_of(batch.settings) == "alone"


def tallied(store: Store, kinds: Iterable[Kind], kind_of: Callable[[Candidate, Batch], Kind | None]) -> dict[Kind, Tally]:
    """What was kept lately of what checkpoints wrote, by its kind (None: it does not count): of what was shown, that is, not of what was
    passed over."""
    found = {kind: Tally() for kind in kinds}
    for decision in islice(reversed(store.decisions.values()), FARTHEST):
        candidate = store.candidates.get(decision.candidate)
        batch = store.batches.get(candidate.batch) if candidate else None
        if decision.verdict == "skip" or candidate is None or candidate.checkpoint == BASE or batch is None:
            continue
        kind = kind_of(candidate, batch)
        if kind is not None and (tally := found[kind]).decided < LATELY:
            tally.decided += 1
            tally.kept += decision.verdict in KEPT
    return found


def tallies(store: Store) -> dict[Way, Tally]:
    """By the way it was sampled, without what the base made something up for: that comes only where enough wait, more often in one way."""
    return tallied(store, WAYS, lambda candidate, batch: None if candidate.index in batch.invented else way_of(batch.settings))


def in_turn(settings: Sampling, kept: Mapping[Way, Tally], seed: int) -> Sampling:
    """The settings of a batch: those of the way whose share, drawn by chance from what is known of it, is the higher (Thompson 1933), so
    that a way of which little is known still has its turn."""
    rng = random.Random(seed)
    best = max(WAYS, key=lambda name: kept[name].drawn(rng))
    return msgspec.structs.replace(settings, shown=SHOWN) if best == "shown" else settings
