"""What the dataset holds, typed. All frozen: a change is a new value, committed through the store."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from core.ranking import Slot
from core.task import Segment
from core.text import short

Origin = Literal["written", "imported", "accepted", "edited"]
State = Literal["pending", "accepted", "edited", "rejected", "skipped", "passed"]
"""`passed`: never decided, since enough better ones waited or a newer checkpoint's did."""
Verdict = Literal["accept", "edit", "reject", "skip"]
KEPT = ("accept", "edit")
"""The verdicts that make an example."""


IMPORTED = "imported"
"""In the place of a checkpoint: a text that another tool wrote, and that was decided there."""

Parsed = tuple[str, dict[str, str]]
"""A text and its fields, as a file holds them."""


class Example(msgspec.Struct, frozen=True):
    """A row the model trains on."""

    uid: str
    text: str
    fields: dict[str, str]
    origin: Origin
    created: str
    candidate: str = ""
    """The candidate it was accepted from."""
    changed: str = ""
    depth: int = 0
    """Models between a person's words and it: 0 written or imported; n from a model trained on examples of depth n - 1, at most."""

    @property
    def human(self) -> bool:
        """Whether a person wrote it, or changed it: anything but a model's words as they came."""
        return self.origin != "accepted"


class Batch(msgspec.Struct, frozen=True):
    """What one sampling was asked for: with the checkpoint it gives the same candidates again."""

    uid: str
    checkpoint: str
    """`base`, or run and epoch, e.g. 0007/epoch-03."""
    prompts: list[list[Segment]]
    seeds: list[int]
    settings: dict[str, bool | int | float | str]
    created: str
    base: str = ""
    fingerprint: str = ""
    examples_at: int = 0
    """The journal's line after which the examples were as the sampler knew them; 0: it knew none."""
    free: list[str] = []
    """Texts that might be copied."""
    strength: float = 1.0
    """Of the adapter, when these were sampled."""
    without: list[list[Segment]] = []
    """The same prompts without these values of choices and scales, or without attributes: what guidance led away from."""
    rounded: bool = False
    """They came from the base at its first use, before its 4-bit codes were chosen: nothing samples them again."""
    invented: list[int] = []
    """The places of those whose free-text attributes the base made up."""


class Candidate(msgspec.Struct, frozen=True):
    """A sampled text, waiting for a decision or decided."""

    uid: str
    text: str
    fields: dict[str, str]
    checkpoint: str
    batch: str
    index: int
    """Its place in the batch."""
    seed: int
    finish: str
    tokens: int
    flags: list[str]
    created: str
    state: State = "pending"
    signs: list[float] = []
    """What the ranking knows of it, as it was when it arrived; in the order of `core.ranking.signs`."""


class Decision(msgspec.Struct, frozen=True):
    """What the person said of a candidate. `before` is the text that was shown, `after` what was kept (empty: nothing)."""

    uid: str
    candidate: str
    verdict: Verdict
    time: str
    before: str
    after: str
    fields: dict[str, str]
    checkpoint: str
    seed: int
    settings: dict[str, bool | int | float | str]
    example: str = ""
    slot: Slot = ""
    """Why it was shown when it was."""
    predicted: float | None = None
    """How likely it was thought to be kept, 0 to 1."""
    kept_fields: dict[str, str] | None = None
    """The attributes that it was kept with, where the person changed those in `fields`, which were asked for."""


Preferred = Literal["left", "right", "tie", "bad"]
"""`bad`: neither was any good."""


class Side(msgspec.Struct, frozen=True):
    """One of the two texts of a blind comparison."""

    lane: str
    """Whose it is: a checkpoint with its strength, `base`, or `few-shot`."""
    text: str
    candidate: str = ""
    """Its id, where it is a candidate; else it is from a contact sheet."""


class Vote(msgspec.Struct, frozen=True):
    """Which of two texts for one prompt the person would rather have, not knowing whose they are."""

    uid: str
    time: str
    fields: dict[str, str]
    left: Side
    right: Side
    preferred: Preferred


class Tables(msgspec.Struct, frozen=True, omit_defaults=True):
    """Documents by table and id; None stands for absence."""

    examples: dict[str, Example | None] = {}
    candidates: dict[str, Candidate | None] = {}
    decisions: dict[str, Decision | None] = {}
    batches: dict[str, Batch | None] = {}
    votes: dict[str, Vote | None] = {}


class Op(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the journal: what is put, and what stood there before, so that it can be undone."""

    seq: int
    time: str
    kind: str
    put: Tables
    was: Tables = Tables()
    of: int | None = None
    """For an undo: the line it takes back."""
    note: str = ""
    active: str = ""
    """The checkpoint that was active then; empty: as the line before says."""

    def about(self) -> str:
        """The first words of the one text that it decided, wrote, changed or deleted, or took back; empty where there is none, or many."""
        texts = _decided(self.put)
        texts = texts or [row.text for uid, new in self.put.examples.items() if (row := new or self.was.examples.get(uid))]
        texts = texts or _decided(self.was)
        return short(texts[0], 40) if len(texts) == 1 else ""

    def told(self) -> str:
        """What it was, for a person, with the text that it is about."""
        about = self.about()
        return f"{self.note or self.kind}, “{about}”" if about else self.note or self.kind


def _decided(tables: Tables) -> list[str]:
    return [decision.after or decision.before for decision in tables.decisions.values() if decision]


class Mark(NamedTuple):
    """A line of a journal, and which journal: what other files say of it, so that none is cut short, swapped or taken for another."""

    seq: int
    check: str = ""
    """Its checksum; empty where it is not known."""
    first: str = ""
    """The checksum of line 1."""

    def differs(self, seq: int, check: str) -> bool:
        """Whether line `seq` with this checksum is another one than the mark says."""
        return (seq == self.seq and self.check not in ("", check)) or (seq == 1 and self.first not in ("", check))
