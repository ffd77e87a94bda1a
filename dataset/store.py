"""The one class through which the dataset is read and changed. It acknowledges nothing that is not on the disk.

State lives in memory, rebuilt from the journal at the start; `dataset.json` is its view for TinyDB, written behind the keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from core.errors import FlavorError
from core.files import now
from dataset.journal import Journal
from dataset.rows import Batch, Candidate, Decision, Example, Op, Tables

if TYPE_CHECKING:
    from tinydb import TinyDB

UNDOABLE = frozenset({"write", "change", "delete", "import", "decide"})
"""What a person does and can take back; sampling is not among them."""


def open_view(path: Path) -> TinyDB:
    """The view as a TinyDB that loses nothing. Imported here, since a screen should not wait for it."""
    from tinydb import TinyDB

    from dataset.storage import AtomicStorage

    return TinyDB(path, storage=AtomicStorage)


class Store:
    """The dataset of one workspace."""

    def __init__(self, workspace: Path, read_only: bool = False) -> None:
        """Open it. Raises FlavorError where the journal is damaged."""
        self.examples: dict[str, Example] = {}
        self.candidates: dict[str, Candidate] = {}
        self.decisions: dict[str, Decision] = {}
        self.batches: dict[str, Batch] = {}
        self.pending: dict[str, Candidate] = {}
        """The candidates that wait, oldest first."""
        self.counts: Counter[str] = Counter()
        """Candidates by state."""
        self._undo: list[Op] = []
        self._view = workspace / "dataset.json"
        self._view_seq = -1
        self.journal = Journal(workspace / "journal.log", read_only)
        rebuild = not self.journal.path.exists() and self._view.exists()
        for op in self.journal.replay():
            self._apply(op)
        if rebuild and not read_only:
            self._rebuild()
        elif not self.journal.seq or self._view_is_fresh():
            self._view_seq = self.journal.seq

    def _view_is_fresh(self) -> bool:
        try:
            return self._view.stat().st_mtime_ns >= self.journal.path.stat().st_mtime_ns
        except OSError:
            return False

    @property
    def read_only(self) -> bool:
        return self.journal.read_only or bool(self.journal.broken)

    def _rebuild(self) -> None:
        """The journal is gone but its view is there: begin a new journal with what the view holds."""
        try:
            with open_view(self._view) as view:
                raw = {name: {doc["uid"]: dict(doc) for doc in view.table(name)} for name in Tables.__struct_fields__}
            tables = msgspec.convert(raw, Tables)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise FlavorError(
                f"journal.log is missing, and {self._view} is not its view ({error!r}).", "Put the journal back.", "damaged"
            ) from None
        self.commit("restore", tables, "the journal was missing; rebuilt from dataset.json")

    def commit(self, kind: str, put: Tables, note: str = "", of: int | None = None) -> Op:
        """Make the change durable, then visible. Raises FlavorError, with nothing changed, where it cannot be written."""
        was = Tables(**{name: {uid: getattr(self, name).get(uid) for uid in getattr(put, name)} for name in Tables.__struct_fields__})
        op = Op(seq=self.journal.seq + 1, time=now(), kind=kind, put=put, was=was, of=of, note=note)
        self.journal.append(op)
        self._apply(op)
        return op

    def _apply(self, op: Op) -> None:
        for name in Tables.__struct_fields__:
            table = getattr(self, name)
            for uid, document in getattr(op.put, name).items():
                if name == "candidates":
                    self._count(table.get(uid), document)
                if document is None:
                    table.pop(uid, None)
                else:
                    table[uid] = document
        if op.kind == "undo":
            self._undo.pop()
        elif op.kind in UNDOABLE:
            self._undo.append(op)

    def _count(self, old: Candidate | None, new: Candidate | None) -> None:
        if old:
            self.counts[old.state] -= 1
            self.pending.pop(old.uid, None)
        if new:
            self.counts[new.state] += 1
            if new.state == "pending":
                if old:  # it came back by undo: it is the next card again
                    self.pending = {new.uid: new, **self.pending}
                else:
                    self.pending[new.uid] = new

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

    def snapshot(self) -> dict[str, dict[str, Any]] | None:
        """The view's tables, or None if nothing changed since it was last written. Give it to `write_view`."""
        if self._view_seq == self.journal.seq or self.journal.read_only:
            return None
        self._view_seq = self.journal.seq
        tables: dict[str, dict[str, Any]] = {"_default": {}}
        for name in Tables.__struct_fields__:
            tables[name] = {str(number): document for number, document in enumerate(getattr(self, name).values(), 1)}
        return tables

    def write_view(self, tables: dict[str, dict[str, Any]]) -> None:
        """Write the view. May run in a thread, for it touches nothing but its argument and the file. After an OSError it is due again."""
        try:
            with open_view(self._view) as view:
                view.storage.write(tables)
        except OSError:
            self._view_seq = -1
            raise

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
