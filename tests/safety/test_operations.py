"""Random operations of a session against a plain model of it: after each one, and after every restart, both say the same."""

import errno
import random
import time
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import FlavorError
from core.files import new_uid, now
from dataset.rows import Batch, Candidate, Tables
from tests.safety.crash import W, new_disk
from tests.safety.disk import Disk, on
from tests.safety.sizes import SECONDS, report, rng, size
from tui.session.session import STATES, Session

EVENING = 150
"""Operations on one workspace."""
DEEDS = (
    *("write", "change", "delete", "import_", "sample", "accept", "accept", "edit", "reject", "skip", "undo", "undo", "undo"),
    *("look", "restart", "die", "full", "clock", "second"),
)


class Model:
    """What the dataset should be, as simply as it can be said: examples and candidates, and the states before each deed of a person."""

    def __init__(self) -> None:
        self.examples: dict[str, tuple[str, str]] = {}
        """Text and origin by id."""
        self.candidates: dict[str, str] = {}
        """State by id."""
        self.past: list[tuple[dict, dict]] = []

    def deed(self) -> None:
        """A person is about to change something."""
        self.past.append((dict(self.examples), dict(self.candidates)))

    def undo(self) -> bool:
        if not self.past:
            return False
        examples, candidates = self.past.pop()
        self.examples = examples
        self.candidates = candidates | {uid: "pending" for uid in self.candidates if uid not in candidates}  # sampled since: they stay
        return True


class Evening:
    """A session on a disk in memory, and the model beside it."""

    def __init__(self, disk: Disk, random_numbers: random.Random) -> None:
        self.disk, self.rng = disk, random_numbers
        self.model = Model()
        self.session = Session(W)
        self.count = 0

    def step(self) -> None:
        """One operation, and a comparison."""
        self.count += 1
        getattr(self, self.rng.choice(DEEDS))()
        self.compare(deep=self.count % 40 == 0)

    def compare(self, deep: bool) -> None:
        store, model = self.session.store, self.model
        states = list(model.candidates.values())
        assert len(store.examples) == len(model.examples)
        assert {name: count for name, count in store.counts.items() if count} == {name: states.count(name) for name in set(states)}
        if deep:
            assert {uid: (row.text, row.origin) for uid, row in store.examples.items()} == model.examples
            assert {uid: row.state for uid, row in store.candidates.items()} == model.candidates
            assert set(store.pending) == {uid for uid, state in model.candidates.items() if state == "pending"}

    # -- what a person does --------------------------------------------------------------------------------------------

    def write(self) -> None:
        text = f"text {self.rng.random()}"
        self.model.deed()
        self.model.examples[self.session.write_example(text, {}).uid] = (text, "written")

    def _row(self) -> str | None:
        return self.rng.choice(list(self.model.examples)) if self.model.examples else None

    def change(self) -> None:
        if uid := self._row():
            self.model.deed()
            text = f"changed {self.rng.random()}"
            self.session.change_example(uid, text, {})
            origin = self.model.examples[uid][1]
            self.model.examples[uid] = (text, "edited" if origin == "accepted" else origin)

    def delete(self) -> None:
        for _ in range(1 + len(self.model.examples) // 30):
            if uid := self._row():
                self.model.deed()
                self.session.delete_example(uid)
                del self.model.examples[uid]

    def import_(self) -> None:
        rows = [(f"row {self.rng.random()}", {}) for _ in range(self.rng.randrange(1, 5))]
        before = set(self.session.store.examples)
        self.model.deed()
        self.session.import_rows(rows, "imported")
        new = [uid for uid in self.session.store.examples if uid not in before]
        self.model.examples |= {uid: (text, "imported") for uid, (text, _) in zip(new, rows, strict=True)}

    def sample(self) -> None:
        uid, batch = new_uid(), Batch(new_uid(), "base", [], [], {}, now())
        made = Candidate(uid, f"candidate {self.rng.random()}", {}, "base", batch.uid, 0, 0, "stop", 3, [], now())
        self.session.commit("sample", Tables(candidates={uid: made}, batches={batch.uid: batch}))
        self.model.candidates[uid] = "pending"

    def _decide(self, verdict: str) -> None:
        pending = [uid for uid, state in self.model.candidates.items() if state == "pending"]
        if not pending:
            return
        uid = self.rng.choice(pending)
        text = f"edited {self.rng.random()}" if verdict == "edit" else None
        self.model.deed()
        shown = self.session.store.candidates[uid].text
        decision = self.session.decide(uid, "accept" if text else verdict, text)
        self.model.candidates[uid] = STATES[verdict]
        if verdict in ("accept", "edit"):
            self.model.examples[decision.example] = (text or shown, STATES[verdict])

    def accept(self) -> None:
        self._decide("accept")

    def edit(self) -> None:
        self._decide("edit")

    def reject(self) -> None:
        self._decide("reject")

    def skip(self) -> None:
        self._decide("skip")

    def undo(self) -> None:
        assert (self.session.undo() is not None) == self.model.undo()

    # -- what happens --------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """The view is written."""
        if tables := self.session.store.snapshot():
            self.session.store.write_view(tables)

    def restart(self) -> None:
        self.session.close()
        self.session = Session(W)
        self.compare(deep=True)

    def die(self) -> None:
        self.session = Session(W)
        self.compare(deep=True)

    def full(self) -> None:
        """The disk is full for one decision; then there is room again."""

        def fail(name):
            if name in ("pwrite", "fsync", "open"):
                raise OSError(errno.ENOSPC, "No space left on device")

        self.disk.on_call = fail
        with pytest.raises(FlavorError):
            self.session.write_example("lost", {})
        self.disk.on_call = None
        self.compare(deep=False)
        if self.rng.random() < 0.5:
            self.session.store.renew()
            assert not self.session.store.read_only
        else:
            self.die()

    def clock(self) -> None:
        """It jumps, by years at times."""
        Clock.offset = timedelta(days=self.rng.choice((-20_000, -1, 0, 1, 9_000)))

    def second(self) -> None:
        """Another session looks at the same files."""
        other = Session(W, read_only=True)
        assert other.store.tables() == self.session.store.tables()
        with pytest.raises(FlavorError):
            other.write_example("a text", {})


class Clock(datetime):
    """Stands in for the clock, which jumps."""

    offset = timedelta()

    @classmethod
    def now(cls, tz=None):
        return datetime.now(UTC) + cls.offset


def evenings(operations: int, random_numbers: random.Random) -> int:
    """Run so many operations; their number. Raises where session and model differ."""
    count, end = 0, time.monotonic() + SECONDS
    while count < operations and time.monotonic() < end:
        disk = new_disk()
        with on(disk):
            evening = Evening(disk, random_numbers)
            for _ in range(min(EVENING, operations - count)):
                evening.step()
                count += 1
            evening.restart()
        Clock.offset = timedelta()
    return count


def test_the_session_is_its_model(monkeypatch):
    monkeypatch.setattr("core.files.datetime", Clock)
    count = evenings(size("random operations"), rng("random operations"))
    report("random operations", f"{count:,} operations: session, replay and model the same", _planted(monkeypatch))


def _planted(monkeypatch) -> str:
    from dataset.store import Store

    apply = Store.apply

    def forgets_one_undo(self, op):
        apply(self, op)
        if op.kind == "undo" and op.seq % 7 == 0 and self._undo:
            self._undo.pop()

    def counts_twice(self, op):
        apply(self, op)
        if op.kind == "decide" and op.seq % 11 == 0:
            self.counts["accepted"] += 1

    def acknowledges_anyway(self, op):
        try:
            append(self, op)
        except FlavorError:
            self.seq, self.broken = op.seq, ""

    from dataset.journal import Journal

    append = Journal.append
    caught = []
    for name, where, fault in (
        ("an undo that is forgotten", "dataset.store.Store.apply", forgets_one_undo),
        ("a decision counted twice", "dataset.store.Store.apply", counts_twice),
        ("an error that is swallowed", "dataset.journal.Journal.append", acknowledges_anyway),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, fault)
            try:
                evenings(3000, random.Random(name))
            except (AssertionError, FlavorError, pytest.fail.Exception):
                caught.append(name)
        assert name in caught, f"not caught: {name}"
    return f"{len(caught)} caught, all: {', '.join(caught)}"
