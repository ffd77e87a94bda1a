"""What a gauge says: a number, the level to hold it against, a sentence, and the evidence behind it; and what it is said from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.gauges.statistics import Interval

Says = Literal["", "under", "fine", "leans over", "over"]
"""What a reading speaks for: nothing, too little training, neither, perhaps too much, too much."""


@dataclass(frozen=True)
class Evidence:
    """A piece of proof: what was found in the text (or checkpoint) `where`, and the example it comes from. Empty where there is none."""

    words: str
    where: str = ""
    source: str = ""

    def line(self) -> str:
        """It in one line, for a person."""
        where = f"{self.where}: " if self.where else ""
        return where + self.words + (f", from {self.source}" if self.source else "")


@dataclass(frozen=True)
class Reading:
    """One gauge of one checkpoint."""

    name: str
    number: float
    sentence: str
    interval: Interval | None = None
    """Where the true number lies, nine times out of ten."""
    reference: float | None = None
    """The same measure of what it is to be held against: the person's own rows, unseen rows, the best epoch."""
    unit: Literal["share", "nats", "ratio", "words", "epochs"] = "share"
    says: Says = ""
    evidence: tuple[Evidence, ...] = ()

    def value(self) -> str:
        """The number as a person reads it."""
        return shown(self.number, self.unit)


@dataclass(frozen=True)
class Measured:
    """What training measured of a checkpoint; None for what it did not. Losses and drift are in nats a token, the rest shares of 1."""

    name: str
    held_out_loss: float | None = None
    loss: float | None = None
    """On the trained rows, weighted as in training."""
    p_end: float | None = None
    """Mean probability of the end token where a row truly ends."""
    p_end_early: float | None = None
    """Mean over rows of its highest probability at any earlier place of the text."""
    recall: float | None = None
    """The share of the trained rows' places that lie in runs of at least five right guesses (Slack and Al Moubayed 2510.11372)."""
    recall_held_out: float | None = None
    drift: float | None = None
    """How far texts of other kinds are foretold otherwise than by the base (KL divergence)."""
    seen: float | None = None
    """Epochs that the trained rows were seen for, the median, over the whole lineage."""


@dataclass(frozen=True)
class Course:
    """The held-out loss over a lineage and its run: (checkpoint, loss), oldest first, all as if on the rows held out now."""

    points: tuple[tuple[str, float], ...] = ()
    from_base: bool = False
    """Whether the first is the base."""
    leaked: int = 0
    """Held-out rows that the lineage was once trained on: the loss on them flatters."""


NO_COURSE = Course()


@dataclass(frozen=True)
class Sample:
    """A text sampled from the checkpoint."""

    uid: str
    text: str
    finish: str
    """stop or length."""
    flags: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    """Its attribute values: names in them were asked for."""


@dataclass(frozen=True)
class Source:
    """A row of the checkpoint's run."""

    uid: str
    text: str
    human: bool = True
    """A person wrote it; accepted machine texts are no level to measure machine texts by."""
    held_out: bool = False


def shown(number: float, unit: str) -> str:
    """A number with its unit: 41 %, 2.310, 2.14, 7 words."""
    match unit:
        case "share":
            return percent(number)
        case "nats":
            return f"{number:.3f}"
        case "ratio":
            return f"{number:.2f}"
        case _:
            return f"{number:g} {unit.removesuffix('s') if number == 1 else unit}"


def percent(share: float) -> str:
    """0.083 as 8 %; below one in a hundred with a digit more."""
    return f"{share:.1%}".replace("%", " %") if 0 < abs(share) < 0.0095 else f"{share:.0%}".replace("%", " %")
