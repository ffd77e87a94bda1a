"""What the ranking gains, measured on the person's own decisions: ranked slots against random ones, made while it had learned."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

DRAWS = 2000
"""Draws from the two Beta distributions; the ends of the intervals are good to two digits."""
LEAST = 5
"""Decisions in random slots below which no ratio is told."""


@dataclass(frozen=True)
class Share:
    """`kept` of `decided`, and where the true share lies nine times out of ten, from a uniform prior."""

    kept: int
    decided: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.kept / self.decided if self.decided else 0.0


@dataclass(frozen=True)
class Gain:
    """How much more often what was ranked is kept than what was drawn at random; `ratio` with its nine-in-ten interval, or None."""

    ranked: Share
    random: Share
    ratio: float | None = None
    low: float = 0.0
    high: float = 0.0

    def sentence(self) -> str:
        """For the person."""
        ranked, unranked = (f"{share.kept} of {share.decided}" for share in (self.ranked, self.random))
        if self.ratio is None:
            return f"Kept: {ranked} ranked, {unranked} at random; from {LEAST} at random on they are compared."
        verdict = "the ranking helps" if self.low > 1 else "the ranking does harm" if self.high < 1 else "not certain yet"
        return (
            f"Kept: {ranked} ranked, {unranked} at random, {self.ratio:.1f} times as many ({self.low:.1f} to {self.high:.1f}): {verdict}."
        )


def gain(decisions: Iterable[tuple[str, bool]]) -> Gain:
    """From the slot of each decision, and whether the candidate was kept. The same decisions give the same intervals."""
    counts = {"ranked": [0, 0], "random": [0, 0]}
    for slot, kept in decisions:
        if slot in counts:
            counts[slot][0] += kept
            counts[slot][1] += 1
    (good, ranked), (luck, unranked) = counts["ranked"], counts["random"]
    rng = random.Random(0)
    ours = [rng.betavariate(1 + good, 1 + ranked - good) for _ in range(DRAWS)]
    theirs = [rng.betavariate(1 + luck, 1 + unranked - luck) for _ in range(DRAWS)]
    shares = Share(good, ranked, *_inner(ours)), Share(luck, unranked, *_inner(theirs))
    if unranked < LEAST or not ranked:
        return Gain(*shares)
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    return Gain(*shares, sorted(ratios)[DRAWS // 2], *_inner(ratios))


def _inner(values: list[float]) -> tuple[float, float]:
    """The middle nine tenths."""
    ordered = sorted(values)
    return ordered[len(ordered) // 20], ordered[-1 - len(ordered) // 20]
