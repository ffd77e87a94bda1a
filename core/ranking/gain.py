"""What the ranking gains, measured on the person's own decisions: its order, with all its slots, against the random ones, made while it had
learned."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from core.gauges.statistics import share_interval

DRAWS = 2000
"""Draws from the two Beta distributions; the ends of the ratio's interval are good to two digits."""
LEAST, LEAST_KEPT = 10, 2
"""Decisions in random slots, and kept ones of these, below which no ratio is told: over none or one it may be anything."""


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
    """How much more often what is shown in the ranking's order is kept than what was drawn at random; `ratio` with its nine-in-ten interval, or
    None. `ranked` are all of its slots, the uncertain and the novel ones too: they are what the person is shown."""

    ranked: Share
    random: Share
    ratio: float | None = None
    low: float = 0.0
    high: float = 0.0

    def sentence(self) -> str:
        """For the person."""
        ranked, unranked = (f"{share.kept} of {share.decided}" for share in (self.ranked, self.random))
        if self.ratio is None:
            return (
                f"Kept: {ranked} in this order, {unranked} at random: cannot tell yet whether the ranking helps (from {LEAST} at random on, of which "
                f"{LEAST_KEPT} are kept)."
            )
        verdict = (
            "the ranking helps"
            if self.low > 1
            else "the ranking does harm"
            if self.high < 1
            else "cannot tell yet whether the ranking helps"
        )
        return f"Kept: {ranked} in this order, {unranked} at random, {self.ratio:.1f} times as many ({self.low:.1f} to {self.high:.1f}): {verdict}."


def gain(decisions: Iterable[tuple[str, bool]]) -> Gain:
    """From the slot of each decision, and whether the candidate was kept. The same decisions give the same intervals."""
    counts = {True: [0, 0], False: [0, 0]}
    for slot, kept in decisions:
        if slot:
            counts[slot == "random"][0] += kept
            counts[slot == "random"][1] += 1
    ours, theirs = (Share(kept, decided, *share_interval(kept, decided)) for kept, decided in (counts[False], counts[True]))
    if theirs.decided < LEAST or theirs.kept < LEAST_KEPT or not ours.decided:
        return Gain(ours, theirs)
    rng = random.Random(0)
    ratios = sorted(_draw(ours, rng) / _draw(theirs, rng) for _ in range(DRAWS))
    return Gain(ours, theirs, ratios[DRAWS // 2], ratios[DRAWS // 20], ratios[-1 - DRAWS // 20])


def _draw(share: Share, rng: random.Random) -> float:
    """A true share that would explain what was seen, from the same Beta as its interval."""
    return max(1e-9, rng.betavariate(share.kept + 0.5, share.decided - share.kept + 0.5))
