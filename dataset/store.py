"""The one class through which the dataset is read and changed. It acknowledges nothing that is not on the disk.

State lives in memory, rebuilt from the journal at the start; `dataset.json` is its view for TinyDB, written behind the keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import FlavorError
from core.files import exists, keep_aside, now
from core.lock import Lock, read_note
from dataset.journal import Journal, damaged
from dataset.rows import IMPORTED, Batch, Candidate, Decision, Example, Mark, Op, Tables, Vote
from dataset.snapshots import remnants
from dataset.view import META, Raw, mark_of, to_raw

if TYPE_CHECKING:
    from tinydb import TinyDB

UNDOABLE = frozenset({"write", "change", "delete", "import", "decide", "vote", "go"})
"""What a person does and can take back; sampling is not among them."""


def open_view(path: Path) -> TinyDB:
    """The view as a TinyDB that loses nothing. Imported here, since a screen should not wait for it."""
    from tinydb import TinyDB

    from dataset.storage import AtomicStorage

    return TinyDB(path, storage=AtomicStorage)


class Store:
    """The dataset of one workspace."""

    def __init__(self, workspace: Path, read_only: bool = False, lock: Lock | None = None) -> None:
        """Open it; who writes holds its lock. Raises FlavorError where the journal is damaged, or misses a line that was acknowledged."""
        self.examples: dict[str, Example] = {}
        self._places: dict[str, int] = {}
        """Of all examples there ever were, in the order in which they first came."""
        self.candidates: dict[str, Candidate] = {}
        self.decisions: dict[str, Decision] = {}
        self.batches: dict[str, Batch] = {}
        self.votes: dict[str, Vote] = {}
        self.pending: dict[str, Candidate] = {}
        """The candidates that wait, oldest first."""
        self.returned: dict[str, Candidate] = {}
        """Those of them whose decision was taken back: they wait until they are decided again. The last to come back is the last here."""
        self.counts: Counter[str] = Counter()
        """Candidates by state; what was imported with its decision is nothing that was decided here."""
        self._undo: list[Op] = []
        self.examples_seq = 0
        """The last line that changed an example."""
        self.active = ""
        """The checkpoint that was active, as the last line says that says so."""
        self.was_active: set[str] = set()
        """All that ever were: one may go back to any of them."""
        self.current: Callable[[], str] = lambda: ""
        """Which checkpoint is active now."""
        self._lock = lock
        self._view = workspace / "dataset.json"
        note = lock.note if lock else read_note(workspace / "lock")  # before the journal, which another session may be adding to
        shown = mark_of(self._view)
        witnesses = [mark for mark in (Mark(note.seq, note.check, note.first) if note else None, shown) if mark]
        self.journal = Journal(workspace / "journal.log", read_only, witnesses)
        for op in self.journal.replay():
            self.apply(op)
        if not self.journal.seq:
            self._must_be_new(workspace)
        fresh = not self.journal.seq or (shown is not None and shown.seq == self.journal.seq)
        self._view_seq = self.journal.seq if fresh else -1
        self._witness()

    def _must_be_new(self, workspace: Path) -> None:
        try:
            found = remnants(workspace)
        except OSError as error:
            raise FlavorError(f"{workspace} cannot be read: {error.strerror}.", "Nothing was changed. Mend that first.", "disk") from None
        if found:
            raise damaged(workspace, f"{self.journal.path} is missing or empty, but there is {found}.")

    @property
    def mark(self) -> Mark:
        """The last line of the journal."""
        return Mark(self.journal.seq, self.journal.check, self.journal.first)

    @property
    def read_only(self) -> bool:
        return self.journal.read_only or bool(self.journal.broken)

    def _witness(self) -> None:
        if self._lock and not self.journal.broken:
            self._lock.witness(*self.mark)

    def tables(self) -> Tables:
        """All documents there are now; copies of the tables, not of what is in them."""
        return Tables(dict(self.examples), dict(self.candidates), dict(self.decisions), dict(self.batches), dict(self.votes))

    def commit(self, kind: str, put: Tables, note: str = "", of: int | None = None) -> Op:
        """Make the change durable, then visible. Raises FlavorError, with nothing changed, where it cannot be written."""
        was = Tables(**{name: {uid: getattr(self, name).get(uid) for uid in getattr(put, name)} for name in Tables.__struct_fields__})
        active = self.current()
        active = "" if active == self.active else active
        op = Op(seq=self.journal.seq + 1, time=now(), kind=kind, put=put, was=was, of=of, note=note, active=active)
        self.journal.append(op)
        self._witness()
        self.apply(op)
        return op

    def apply(self, op: Op) -> None:
        """Show what a line of the journal says."""
        restored = False
        for name in Tables.__struct_fields__:
            table = getattr(self, name)
            for uid, document in getattr(op.put, name).items():
                if name == "candidates":
                    self._count(table.get(uid), document)
                if document is None:
                    table.pop(uid, None)
                else:
                    if name == "examples":
                        restored |= uid not in table and uid in self._places
                        self._places.setdefault(uid, len(self._places))
                    table[uid] = document
        if restored:  # an example that comes back has its old place again, in Library and in what is exported
            self.examples = dict(sorted(self.examples.items(), key=lambda item: self._places[item[0]]))
        if op.active:
            self.active = op.active
            self.was_active.add(op.active)
        self.examples_seq = op.seq if op.put.examples else self.examples_seq
        if op.kind == "undo":
            if self._undo and self._undo[-1].seq == op.of:  # not where a repair could not bring that line back
                last = self._undo.pop()
                back = op.put.candidates if last.kind == "decide" else ()
                self.returned |= {uid: self.pending[uid] for uid in back if uid in self.pending}
        elif op.kind == "restore":
            self._undo.clear()  # a repair: what was before cannot be taken back line by line
        elif op.kind in UNDOABLE:
            self._undo.append(op)

    def _count(self, old: Candidate | None, new: Candidate | None) -> None:
        if old:
            self.counts[old.state] -= old.checkpoint != IMPORTED
            self.pending.pop(old.uid, None)
            self.returned.pop(old.uid, None)
        if new:
            self.counts[new.state] += new.checkpoint != IMPORTED
            if new.state == "pending":
                if old:  # it came back by undo: it is the next card again
                    self.pending = {new.uid: new, **self.pending}
                else:
                    self.pending[new.uid] = new

    @property
    def last(self) -> Op | None:
        """What `undo` would take back."""
        return self._undo[-1] if self._undo else None

    def undo(self) -> Op | None:
        """Take the last thing a person did back, as far back as the journal reaches, whatever session did it."""
        if not self._undo:
            return None
        last = self._undo[-1]
        self.commit("undo", last.was, last.note, of=last.seq)
        return last

    def texts(self) -> Mapping[str, str]:
        """The examples' texts by id."""
        return {uid: example.text for uid, example in self.examples.items()}

    def texts_at(self, seq: int) -> list[str]:
        """The examples' texts as they were after line `seq` of the journal."""
        found: dict[str, str] = {}
        for op in Journal(self.journal.path, read_only=True).replay():
            if op.seq > seq:
                break
            for uid, example in op.put.examples.items():
                if example is None:
                    found.pop(uid, None)
                else:
                    found[uid] = example.text
        return list(found.values())

    def snapshot(self) -> Raw | None:
        """The view's tables, or None if nothing changed since it was last written. Give it to `write_view`."""
        if self._view_seq == self.journal.seq or self.read_only:
            return None
        self._view_seq = self.journal.seq
        return {META: {"1": {"seq": self.journal.seq, "line": self.journal.check, "first": self.journal.first}}, **to_raw(self.tables())}

    def write_view(self, tables: Raw) -> None:
        """Write the view. May run in a thread, for it touches nothing but its argument and the file. After an OSError it is due again."""
        try:
            if exists(self._view) and mark_of(self._view) is None:  # another program wrote it, or it is damaged
                keep_aside(self._view.parent, self._view)
            with open_view(self._view) as view:
                view.storage.write(tables)
        except OSError:
            self._view_seq = -1
            raise

    def renew(self) -> None:
        """Write again after an error. Raises FlavorError, and stays read-only, where that fails, or where the file is not what was acknowledged."""
        from dataset.salvage import replay  # seldom needed, and every start would wait for it

        try:
            data = self.journal.whole()
        except OSError as error:
            raise FlavorError(f"{self.journal.path} cannot be read ({error.strerror}).", "Save a copy elsewhere.", "disk") from None
        if replay(data) != self.tables():
            raise damaged(self._view.parent, f"{self.journal.path} does not hold what was acknowledged.")
        self.journal.renew(data)

    def close(self) -> None:
        """Write the view and let go of the files. A view that cannot be written is no loss: the journal is the truth."""
        tables = self.snapshot()
        try:
            if tables:
                self.write_view(tables)
        except OSError as error:
            raise FlavorError(
                f"dataset.json could not be written ({error.strerror}).", "Nothing is lost: journal.log has it.", "disk"
            ) from None
        finally:
            self.journal.close()
