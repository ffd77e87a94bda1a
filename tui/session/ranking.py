"""The order of a workspace's waiting candidates: what the session tells the ranking, and what it remembers of it. Knows no Textual."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice

from core.gauges.copying import Copying
from core.protocol import Candidate as Arrived
from core.ranking.gain import Gain, gain
from core.ranking.order import LANE, Item, Placed, arrange, in_lane
from core.ranking.predictor import LEAST, MOST, Decided, Predictor, latest
from core.ranking.signs import Arrival, Habits, Known, Row, asked_for, content, signs, stored
from core.text import words
from dataset.rows import KEPT, Candidate, Decision, Example, Op
from dataset.store import Store

MOST_RANKED = 48
"""Candidates that are put in order; those behind them wait in the order in which they came."""
LATELY = 16
"""What was decided so lately counts as shown, for the difference."""


class Ranking:
    """Orders candidates of one store. Everything in it can be made again from the store; `hold` alone is of this session."""

    def __init__(self, store: Store, copying: Copying) -> None:
        self._store = store
        self._copying = copying
        self._habits: Habits | None = None
        self._rows: dict[str, Row] = {}
        """The examples as `_habits` counts them, by id."""
        self._contents: dict[str, frozenset[str]] = {}
        self._knowns: dict[str, Known] = {}
        self._places: dict[str, Placed] = {}
        self._held: Placed | None = None
        self._learned: tuple[tuple[int, str], Predictor] | None = None
        self._gained: tuple[tuple[int, str], Gain] | None = None
        self._ordered: tuple[object, list[Candidate]] | None = None

    # -- what is known of a candidate ----------------------------------------------------------------------------------

    @property
    def habits(self) -> Habits:
        """How the examples are now."""
        if self._habits is None:
            self._habits = Habits()
            self._count_in(self._store.examples)
        return self._habits

    def examples_changed(self, put: Mapping[str, Example | None]) -> None:
        """Some examples came, went or were changed."""
        if self._habits is not None:
            self._count_in(put)
        self._contents.clear()

    def _count_in(self, put: Mapping[str, Example | None]) -> None:
        gone = [self._rows.pop(uid) for uid in put if uid in self._rows]
        come = {uid: Row(example.text, example.fields) for uid, example in put.items() if example}
        self._rows |= come
        self.habits.change(gone, come.values())

    def signs(self, text: str, fields: Mapping[str, str], flags: Sequence[str], event: Arrived) -> list[float]:
        """The signs of a candidate that has just arrived, to be stored with it; `text` is the event's, made clean."""
        copied = self._copying.longest(text)[0]
        return signs(Arrival(text, fields, flags, event.finish, copied, event.own, event.weakest), self.habits)

    def _known(self, candidate: Candidate) -> Known:
        """What is known of a candidate; its signs from its text, where none of this version were stored."""
        if candidate.uid not in self._knowns:
            found = stored(candidate.signs)
            if found is None:
                copied = self._copying.longest(candidate.text)[0]
                arrival = Arrival(candidate.text, candidate.fields, candidate.flags, candidate.finish, copied, 0.0, 0.0)
                found = signs(arrival, self.habits)
            self._knowns[candidate.uid] = Known(found, frozenset(words(candidate.text)), asked_for(candidate.fields))
        return self._knowns[candidate.uid]

    def _content(self, candidate: Candidate) -> frozenset[str]:
        if candidate.uid not in self._contents:
            self._contents[candidate.uid] = content(words(candidate.text), self.habits.form)
        return self._contents[candidate.uid]

    # -- the order -----------------------------------------------------------------------------------------------------

    @property
    def _last(self) -> tuple[int, str]:
        """Changes with every decision."""
        return len(self._store.decisions), next(reversed(self._store.decisions), "")

    @property
    def predictor(self) -> Predictor:
        """What the decisions teach, the latest of them; made anew after each."""
        if self._learned is None or self._learned[0] != self._last:
            self._learned = (self._last, Predictor(self._decided()))
        return self._learned[1]

    def _decided(self) -> list[Decided]:
        """What is learned from, the latest last. Skipped ones say nothing; an edited one was worth keeping."""
        candidates = self._store.candidates
        told = (
            (decision, decision.verdict in KEPT)
            for decision in reversed(self._store.decisions.values())
            if decision.verdict != "skip" and decision.candidate in candidates and stored(candidates[decision.candidate].signs) is not None
        )
        return [(self._decided_as(decision), kept) for decision, kept in latest(told)]

    def _decided_as(self, decision: Decision) -> Known:
        """What is known of the candidate of a decision."""
        candidate = self._store.candidates[decision.candidate]
        known = self._known(candidate)
        if decision.kept_fields is not None:  # it was not what was asked for, but suits these
            known = known.suited(candidate.text, decision.kept_fields)
        return known

    def order(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates as they should be shown; the one that is held stays first, what arrived since comes behind it."""
        key = (self._store.journal.seq, self._held, [candidate.uid for candidate in candidates])
        if self._ordered is None or self._ordered[0] != key:
            self._ordered = (key, self._order(candidates))
        return self._ordered[1]

    def _order(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        held = [candidate for candidate in candidates if candidate.uid == self.held]
        free = [candidate for candidate in candidates if candidate.uid != self.held]
        ranked, rest = free[:MOST_RANKED], free[MOST_RANKED:]
        items = [Item(c.uid, self._known(c), self._content(c)) for c in ranked]
        shown = [*self._lately(), *(self._content(candidate) for candidate in held)]
        placed = arrange(items, self.predictor, shown, len(self._store.decisions) + len(held))
        self._places = {place.uid: place for place in placed}
        by_uid = {candidate.uid: candidate for candidate in ranked}
        return [*held, *(by_uid[place.uid] for place in placed), *rest]

    def _lately(self) -> list[frozenset[str]]:
        """The words of what was decided just before."""
        store = self._store
        latest = list(islice(reversed(store.decisions.values()), LATELY))
        return [self._content(store.candidates[one.candidate]) for one in latest if one.candidate in store.candidates]

    def hold(self, uid: str) -> None:
        """This one is being looked at: it stays where it is until it is decided."""
        if uid != self.held:
            self._held = self.place(uid) or Placed(uid, "")

    @property
    def held(self) -> str:
        """The id of what is looked at."""
        return self._held.uid if self._held else ""

    def place(self, uid: str) -> Placed | None:
        """Why a candidate stands where it does; None where it was not ranked."""
        return self._held if uid == self.held else self._places.get(uid)

    def taken_back(self, op: Op) -> None:
        """A decision was undone: its card is back, for the same reason as before; not where it was no card, but one from Library."""
        for decision in op.put.decisions.values():
            if decision and decision.candidate in self._store.pending:
                self._held = Placed(decision.candidate, decision.slot, decision.predicted)

    def surplus(self, waiting: Sequence[Candidate], count: int) -> list[Candidate]:
        """The `count` of them that need not wait: those of the lane that are more than its share, the latest first, and then what comes last
        in an order of the least likely to be kept (by gauges alone, while nothing is learned), in which what is like another waits. Never the
        one that is looked at."""
        if count <= 0:
            return []
        predictor = self.predictor
        others = [c for c in waiting if c.uid != self.held]
        lane = [c for c in others if in_lane(c.uid)]
        share = math.ceil((len(waiting) - count) / LANE)
        over = lane[share:][::-1][:count]
        if len(over) == count:
            return over
        free = sorted((c for c in others if not in_lane(c.uid)), key=lambda c: predictor.chance(self._known(c)))
        doubtful, sure = free[: count + MOST_RANKED], free[count + MOST_RANKED :][-MOST_RANKED:]
        by_uid = {c.uid: c for c in doubtful}
        items = [Item(c.uid, self._known(c), self._content(c)) for c in doubtful]
        staying = [c for c in waiting if c.uid == self.held] + lane[:share] + sure
        shown = [*self._lately(), *(self._content(c) for c in staying)]
        placed = arrange(items, predictor, shown, 0, ("ranked",))
        return [*over, *(by_uid[place.uid] for place in reversed(placed))][:count]

    # -- what is said of it --------------------------------------------------------------------------------------------

    def gain(self) -> Gain:
        """The order against chance, of the decisions made while there was something learned."""
        if self._gained is None or self._gained[0] != self._last:
            told = (d for d in self._store.decisions.values() if d.verdict != "skip" and d.predicted is not None)
            self._gained = (self._last, gain((decision.slot, decision.verdict in KEPT) for decision in told))
        return self._gained[1]

    def why(self, uid: str) -> str:
        """Why a candidate is where it is, in a few words; empty where the ranking did not put it there."""
        place = self.place(uid)
        if place is None or not place.slot:
            return ""
        chance = f"{place.predicted:.2f}" if place.predicted is not None else ""
        return {
            "ranked": f"predicted {chance}",
            "uncertain": f"most uncertain, {chance}",
            "novel": f"most novel, {chance}",
            "random": "at random",
            "gauges": "by gauges",
        }[place.slot]

    def report(self) -> dict[str, object]:
        """The same as `state`, for machines; null where there is too little to tell."""
        told = self.gain()
        return {
            "learned": self.predictor.learned,
            **{
                name: {"kept": share.kept, "decided": share.decided, "low": round(share.low, 3), "high": round(share.high, 3)}
                for name, share in (("ranked", told.ranked), ("random", told.random))
            },
            "ratio": round(told.ratio, 2) if told.ratio else None,
            "ratio_low": round(told.low, 2) if told.ratio else None,
            "ratio_high": round(told.high, 2) if told.ratio else None,
        }

    def state(self) -> str:
        """In a sentence: what the order goes by now, or what the ranking has gained."""
        predictor = self.predictor
        if not predictor.learned:
            counts = predictor.kept, predictor.rejected
            kept, rejected = (f"at least {count}" if count >= LEAST and sum(counts) >= MOST else str(count) for count in counts)
            return (
                f"Ordered by gauges alone: {kept} kept and {rejected} rejected so far; from {LEAST} of each on, "
                "the order is learned from your decisions."
            )
        return self.gain().sentence()
