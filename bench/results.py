"""What a run of the evening bench found, as its JSON file holds it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.judge import CRITERIA
from core.config import Sampling
from core.protocol import Row
from core.task import Segment


class Judged(msgspec.Struct, frozen=True):
    """A text, what was asked of it, and what the judge said."""

    text: str
    fields: dict[str, str]
    failed: list[str]
    """The criteria that it does not meet; none: accepted."""
    ended: bool
    copied: int
    """Tokens of its longest span that only one example has."""
    span: str = ""


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One set of texts from one model."""

    texts: list[Judged]
    held_out: float | None = None
    """Nats per token of the rows that nothing was trained on."""
    seconds: dict[str, float] = {}

    @property
    def accepted(self) -> int:
        return sum(not text.failed for text in self.texts)

    @property
    def accept_rate(self) -> float:
        return self.accepted / max(1, len(self.texts))

    @property
    def stop_rate(self) -> float:
        """Share of the texts that ended by themselves."""
        return sum(text.ended for text in self.texts) / max(1, len(self.texts))

    @property
    def longest_copy(self) -> int:
        return max((text.copied for text in self.texts), default=0)

    def passes(self) -> dict[str, float]:
        """The share of the texts that meets each criterion."""
        return {name: sum(name not in text.failed for text in self.texts) / max(1, len(self.texts)) for name in CRITERIA}


class Round(Lane, frozen=True, kw_only=True):
    """A round of the evening: retrained, measured, sampled, decided. `texts` are those that were shown."""

    over: list[Judged] = []
    """What was sampled too and passed over by the program before anybody saw it."""
    number: int
    checkpoint: str
    rows: int
    """Rows that the checkpoint had to learn from, those held out by the program among them."""
    epochs: dict[str, float] = {}
    """The bench's own held-out loss after each epoch of the last retrain, by checkpoint."""
    first: int | None = None
    """Accepted among the first `FIRST` in the session's own order of each group of candidates (as many as are shown, in the order of their seeds)."""
    by_chance: float | None = None
    """As many would be in any order of these groups. None in older results: there the first group alone was put in order."""

    @property
    def sampled(self) -> Lane:
        """Everything that was sampled, shown or not."""
        return Lane(texts=[*self.texts, *self.over])


class Peer(Lane, frozen=True, kw_only=True):
    """Another tool's shipped defaults on the same rows. `held_out` is the best that was measured, which flatters it."""

    tool: str
    rows: int
    after: int
    """The round of ours whose prompts, seeds and rows it was given."""
    steps: int
    planned: int
    """Updates made, and those that its defaults ask for: fewer were made where the budget ended."""
    last: float
    """The held-out loss at its end."""


class Given(msgspec.Struct, frozen=True):
    """What a peer needs for the same try as a round of ours: rows, and per batch the prompts, seeds, values and free texts."""

    after: int
    rows: list[Row]
    prompts: list[list[list[Segment]]]
    seeds: list[list[int]]
    fields: list[list[dict[str, str]]]
    free: list[list[str]]


class Evening(msgspec.Struct, frozen=True):
    """One task, one seed. `rounds[0]` is the base with the heading alone."""

    task: str
    seed: int
    machine: str
    """Device and number of cores."""
    ceiling: float
    """Share of the held-out written rows that the judge accepts."""
    swapped: float
    """The same with each row's attributes changed for another row's: what the judge can tell."""
    rounds: list[Round]
    few_shot: Lane | None
    sets: list[Given]
    settings: Sampling
    """The sampling settings, for all lanes the same."""
    peers: list[Peer] = []
    versions: dict[str, str] = {}


def write(path: Path, evening: Evening) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(evening), indent=1) + b"\n")


def read(path: Path) -> Evening:
    return msgspec.json.decode(path.read_bytes(), type=Evening)
