"""What the ranking gains, measured on the person's own decisions: ranked slots against random ones, made while it had learned."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from core.gauges.statistics import share_interval

DRAWS = 2000
"""Draws from the two Beta distributions; the ends of the ratio's interval are good to two digits."""
LEAST = 5
"""Decisions in random slots below which no ratio is told."""


@dataclass(frozen=True)
class Share:
    """`kept` of `decided`, and where the true share lies nine times out of ten."""

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
            return f"Kept: {ranked} in this order, {unranked} at random; from {LEAST} at random on they are compared."
        verdict = "the ranking helps" if self.low > 1 else "the ranking does harm" if self.high < 1 else "not certain yet"
        return f"Kept: {ranked} in this order, {unranked} at random, {self.ratio:.1f} times as many ({self.low:.1f} to {self.high:.1f}): {verdict}."


def gain(decisions: Iterable[tuple[str, bool]]) -> Gain:
    """From the slot of each decision, and whether the candidate was kept. The same decisions give the same intervals."""
    counts = {"ranked": [0, 0], "random": [0, 0]}
    for slot, kept in decisions:
        if slot in counts:
            counts[slot][0] += kept
            counts[slot][1] += 1
    ours, theirs = (Share(kept, decided, *share_interval(kept, decided)) for kept, decided in (counts["ranked"], counts["random"]))
    if theirs.decided < LEAST or not ours.decided:
        return Gain(ours, theirs)
    rng = random.Random(0)
    ratios = sorted(_draw(ours, rng) / _draw(theirs, rng) for _ in range(DRAWS))
    return Gain(ours, theirs, ratios[DRAWS // 2], ratios[DRAWS // 20], ratios[-1 - DRAWS // 20])


def _draw(share: Share, rng: random.Random) -> float:
    """A true share that would explain what was seen, from the same Beta as its interval."""
    return max(1e-9, rng.betavariate(share.kept + 0.5, share.decided - share.kept + 0.5))
