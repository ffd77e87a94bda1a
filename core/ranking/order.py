"""The order: what will most likely be kept and is not like what was shown just before, with a slot in eight for each other purpose."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from core.ranking import Slot
from core.ranking.predictor import Predictor
from core.ranking.signs import NAMES, Known, likeness

SLOTS: tuple[Slot, ...] = ("ranked", "ranked", "random", "ranked", "uncertain", "ranked", "novel", "ranked")
"""What each decision in eight is for."""
KEEP, DIFFER = 0.7, 0.3
"""What counts: being kept, and being different (maximal marginal relevance, Carbonell & Goldstein 1998)."""
LANE = 8
"""One candidate in so many is chosen as it arrives, by its id alone, and shown in random slots only: what it earns is what no ranking
would have earned."""


@dataclass(frozen=True)
class Item:
    """A waiting candidate, and its words that are not the form's."""

    uid: str
    known: Known
    content: frozenset[str]


@dataclass(frozen=True)
class Placed:
    """A candidate in its place of the order: what it is there for, and how likely it is to be kept (None: not known yet)."""

    uid: str
    slot: Slot
    predicted: float | None = None


def in_lane(uid: str) -> bool:
    """Whether a candidate is one of those that no ranking touches."""
    return hashlib.sha256(uid.encode()).digest()[0] % LANE == 0


def arrange(
    items: Sequence[Item],
    predictor: Predictor,
    shown: Sequence[frozenset[str]],
    start: int,
    slots: Sequence[Slot] = SLOTS,
) -> list[Placed]:
    """All items, best first. `shown` are the words of what was shown lately, `start` is the number of decisions made so far.

    The lane's items keep the order in which they are given; the rest is chosen greedily, slot by slot. Without random slots there is no lane.
    """
    apart = {item.uid for item in items if "random" in slots and in_lane(item.uid)}
    lane = [item for item in items if item.uid in apart]
    rest = [item for item in items if item.uid not in apart]
    chance = dict(zip((item.uid for item in items), predictor.chances([item.known for item in items]), strict=True))
    nearest = NAMES.index("nearest")
    alike = {item.uid: max([item.known.signs[nearest], *(likeness(item.content, other) for other in shown)]) for item in items}
    placed: list[Placed] = []
    for position in range(start, start + len(items)):
        slot = slots[position % len(slots)]
        if lane and (slot == "random" or not rest):
            slot, chosen = "random", lane.pop(0)
        else:
            slot = slot if slot != "random" else "ranked"
            chosen = _choose(slot if predictor.learned else "ranked", rest, chance, alike)
            rest.remove(chosen)
            slot = slot if predictor.learned else "gauges"
        placed.append(Placed(chosen.uid, slot, chance[chosen.uid] if predictor.learned else None))
        for item in rest:
            alike[item.uid] = max(alike[item.uid], likeness(item.content, chosen.content))
    return placed


def _choose(slot: Slot, rest: Sequence[Item], chance: dict[str, float], alike: dict[str, float]) -> Item:
    """The next item of a slot. The novel one is sought among the better half: a text that broke down is like no other either."""
    if slot == "uncertain":
        return min(rest, key=lambda item: abs(chance[item.uid] - 0.5))
    if slot == "novel":
        better = sorted(rest, key=lambda item: -chance[item.uid])[: (len(rest) + 1) // 2]
        return min(better, key=lambda item: alike[item.uid])
    return max(rest, key=lambda item: KEEP * chance[item.uid] - DIFFER * alike[item.uid])
