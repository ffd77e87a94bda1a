"""Where numbers begin to speak, all in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """Starting values by judgement; to be settled on adapters planted at 1, 2, 4, 8, 20 and 60 epochs, where the verdicts must go
    from underbaked over good to overbaked and never back.

    What says "over" must come to stay and what says "under" must go for good as epochs are added, for a verdict takes "over" before
    "under": raise or lower a number, but keep each test one-sided. Shares are of 1.
    """

    falling: float = 0.01
    """A held-out loss that still falls by more than this an epoch, or is lower by more than this later, is underbaked."""
    hardly_moved: float = 0.03
    """So is one that never was this much below the base's."""
    risen: float = 0.02
    """One that stands this much above an earlier one is overbaked. Above the noise between epochs, measured on the same few rows."""
    recited: float = 0.3
    """So is a checkpoint that recites this much more of its rows' places than of unseen rows'. Where it was 0.2 more, the judge of
    the evening bench still accepted more texts than at fewer steps (`docs/learning.md`)."""
    unseen_recall: float = 0.1
    """What is recited of unseen rows where none is held out."""
    end_learnt: float = 0.05
    """A mean probability of the end token at the true end below this: underbaked. Where texts have many sentences most of these end
    none, so that it stays well below 1 though ending was learned."""
    stops: float = 0.8
    """The share of texts that end by themselves, with its interval below this: underbaked."""
    breaks: float = 0.3
    """The share of texts that break down, with its interval above this: underbaked."""
    copied_times: float = 2.0
    copied_more: float = 0.05
    """Runs of words copied from the rows, with the interval above so many times the level between the rows, and so much: overbaked."""
    alike: float = 1.25
    """Texts that compress so many times better than the person's rows, whichever of them are taken, perhaps are overbaked; the base is monotonous too."""
    same: float = 0.4
    """So perhaps are ones of which this share begins alike, or has the same name in it, with the interval above twice the rows' level."""
    least_texts: int = 8
    """Fewer sampled texts say nothing."""
    least_held_out: int = 2
    """Fewer held-out rows say nothing."""
    few_held_out: int = 5
    """Of fewer it is said how many there are."""


THRESHOLDS = Thresholds()
