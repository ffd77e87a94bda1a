"""Blind A/B: two texts of one prompt, whose is hidden; what to ask next, the votes, and what they amount to. Knows no Textual."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from core.files import new_uid, now
from core.gauges import rating
from core.gauges.rating import Game, Ratings
from core.runfiles import BASE
from core.text import counted
from dataset.rows import Candidate, Preferred, Side, Tables, Vote
from tui.session.sheet import ALWAYS, FEW_SHOT, ContactSheet, lane_name
from tui.session.shown import shows_examples
from tui.session.ways import stands_alone

if TYPE_CHECKING:
    from tui.session.session import Session

SCORES: dict[str, float] = {"left": 1.0, "tie": 0.5, "right": 0.0}
BAR = 16
"""Cells of a share of one."""
DRAWS = 100
"""Pairs of texts that are drawn before all that are left are listed: nearly always the first will do, and of a thousand texts in each lane there
are a million pairs."""
UNDECIDED = ("pending", "skipped", "passed")
Fields = tuple[tuple[str, str], ...]


class Duel(NamedTuple):
    """What is asked: two texts for the same attributes."""

    fields: dict[str, str]
    left: Side
    right: Side


def games(votes: Iterable[Vote]) -> list[Game]:
    """The votes as the rating takes them. That both were bad says nothing of which is better."""
    return [(vote.left.lane, vote.right.lane, SCORES[vote.preferred]) for vote in votes if vote.preferred in SCORES]


@lru_cache(4)
def _rated(lanes: tuple[str, ...], played: tuple[Game, ...]) -> Ratings:
    """`rating.rate`, kept: it takes 160 ms for 50 lanes and 300 votes, and each row of Runs that the cursor comes to asks for it."""
    return rating.rate(lanes, played)


def ratings(session: Session, lanes: Iterable[str] = ()) -> Ratings:
    """Of `lanes` and of every lane that was ever voted on in this workspace."""
    return _rated(tuple(lanes), tuple(games(session.store.votes.values())))


def lane_of(session: Session, candidate: Candidate) -> str:
    """The lane of a candidate: the base counts as few-shot where its prompt showed examples."""
    batch = session.store.batches.get(candidate.batch)
    if candidate.checkpoint == BASE:
        return FEW_SHOT if batch and shows_examples(batch) else BASE
    return lane_name(candidate.checkpoint, batch.strength if batch else 1.0)


class Blind:
    """One sitting. Its votes are those of the workspace; undo takes the last one back."""

    def __init__(self, session: Session, contact: ContactSheet, checkpoints: Collection[str], seed: int | None = None) -> None:
        """`seed` fixes which side is which, for tests."""
        self._session, self._contact = session, contact
        self.lanes = [lane.name for lane in contact.lanes(checkpoints)]
        self._random = random.SystemRandom() if seed is None else random.Random(seed)

    def _texts(self) -> Iterator[tuple[Fields, Side]]:
        """Everything that may be shown: the sheet's columns, and candidates of the same lanes, where there is a text at all. One that was decided is
        known, and not blind."""
        for fields, side in self._made():
            if side.text.strip():
                yield fields, side

    def _made(self) -> Iterator[tuple[Fields, Side]]:
        sheet = self._contact.sheets.sheet(self._contact.key)
        for lane, column in self._contact.sheets.columns(sheet.key).items() if sheet else ():
            if lane in self.lanes and sheet:
                for fields, text in zip(sheet.fields, column.texts, strict=True):
                    yield tuple(fields.items()), Side(lane, text.text)
        for candidate in self._session.store.candidates.values():
            lane = lane_of(self._session, candidate)
            undecided = candidate.state in UNDECIDED
            if undecided and lane in self.lanes and (candidate.checkpoint == BASE or stands_alone(self._session.store, candidate)):
                yield tuple(candidate.fields.items()), Side(lane, candidate.text, candidate.uid)

    def _asked(self) -> set[frozenset[str]]:
        return {frozenset((vote.left.text, vote.right.text)) for vote in self._session.store.votes.values()}

    def next(self) -> Duel | None:
        """The pair of lanes that would tell most, with two texts that were not held against each other yet; None where none is left."""
        pool: dict[Fields, dict[str, list[Side]]] = {}
        for fields, side in self._texts():
            pool.setdefault(fields, {}).setdefault(side.lane, []).append(side)
        known, asked = self.ratings(), self._asked()
        of_base = {pair: sum(lane in ALWAYS for lane in pair) for pair in combinations(self.lanes, 2)}
        # The base against itself with examples shown only where there is nothing else.
        asked_for = [pair for pair, count in of_base.items() if count < 2] or list(of_base)
        pairs = sorted(asked_for, key=lambda pair: (-rating.teaches(known, *pair), of_base[pair], self._random.random()))
        for one, other in pairs:
            both = [(fields, lanes[one], lanes[other]) for fields, lanes in pool.items() if one in lanes and other in lanes]
            if found := self._draw(both, asked):
                fields, *sides = found
                self._random.shuffle(sides)
                return Duel(dict(fields), *sides)
        return None

    def _draw(
        self, both: list[tuple[Fields, list[Side], list[Side]]], asked: Collection[frozenset[str]]
    ) -> tuple[Fields, Side, Side] | None:
        """One of all pairs that were not asked yet, each as likely; None where none is left. `both` has the texts of two lanes by prompt."""

        def is_open(a: Side, b: Side) -> bool:
            return a.text != b.text and frozenset((a.text, b.text)) not in asked

        for fields, ours, theirs in (
            self._random.choices(both, [len(ours) * len(theirs) for _, ours, theirs in both], k=DRAWS) if both else ()
        ):
            a, b = self._random.choice(ours), self._random.choice(theirs)
            if is_open(a, b):
                return fields, a, b
        left = [(fields, a, b) for fields, ours, theirs in both for a in ours for b in theirs if is_open(a, b)]
        return self._random.choice(left) if left else None

    def vote(self, duel: Duel, preferred: Preferred) -> Vote:
        """Keep a vote; it is on the disk when this returns. Raises FlavorError."""
        made = Vote(new_uid(), now(), duel.fields, duel.left, duel.right, preferred)
        self._session.commit("vote", Tables(votes={made.uid: made}), "vote")
        return made

    def undo(self) -> Vote | None:
        """Take the last vote back, if a vote was the last thing done, and give it: it can be asked again at once."""
        last = self._session.store.last
        if last is None or last.kind != "vote":
            return None
        self._session.undo()
        return next(vote for vote in last.put.votes.values() if vote)

    def ratings(self) -> Ratings:
        """Of this sitting's lanes and of every lane that was ever voted on: else a lane would have one number here and another in the report."""
        return ratings(self._session, self.lanes)

    def _games(self) -> list[Game]:
        return [game for game in games(self._session.store.votes.values()) if game[0] in self.lanes and game[1] in self.lanes]

    @property
    def votes(self) -> int:
        """Between this sitting's lanes."""
        return len(self._games())

    @property
    def bad(self) -> int:
        """Pairs of these lanes of which both were called bad."""
        votes = self._session.store.votes.values()
        return sum(vote.preferred == "bad" and {vote.left.lane, vote.right.lane} <= set(self.lanes) for vote in votes)

    def enough(self) -> str:
        """Why one may stop, in words; empty where one should go on."""
        return rating.enough(self.ratings(), self.lanes, self.votes)

    def unveiled(self) -> list[str]:
        """The ratings of this sitting's lanes as a table, the best first; a tie is won by neither."""
        known = self.ratings()
        won = Counter(
            one if score == 1 else other for one, other, score in games(self._session.store.votes.values()) if score != SCORES["tie"]
        )
        lines = [f"{'':<24}{'compared':>8}{'won':>5}  preferred to the others"]
        for name in (name for name in known.order() if name in self.lanes):
            share, (low, high) = known.share(name)
            bar = "█" * round(share * BAR)
            lines.append(f"{name:<24}{known.games[name]:>8}{won[name]:>5}  {bar:<{BAR}} {share:4.0%} ({low:.0%} to {high:.0%})")
        if elsewhere := [name for name in known.names if name not in self.lanes]:
            lines.append(f"The others are also those of other sittings: {', '.join(elsewhere)}.")
        return lines


def summary(session: Session, lane: str) -> str:
    """What the votes say of one lane, in a line; empty where there are none."""
    known = ratings(session)
    if lane not in known.names:
        return ""
    share, (low, high) = known.share(lane)
    return f"preferred blindly {share:.0%} ({low:.0%} to {high:.0%}), {counted(known.games[lane], 'comparison')}"
