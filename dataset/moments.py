"""The moments of a workspace, from its journal: what happened when, how it stood then, and the way from now to any of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from dataset.rows import Op, Tables

UNSEEN = ("sample", "pass", "vote")
"""What the machine does by itself is no moment; nor is a vote, since going to one changes nothing."""
MOVED = ("examples", "candidates", "decisions")
"""What going back changes. What was sampled with which seeds, and which text was preferred, stays true."""


class Moment(NamedTuple):
    """How it stood after a line of the journal."""

    seq: int
    time: str
    what: str
    checkpoint: str
    """The active one; empty where that was not written down yet."""
    examples: int
    kept: int
    decided: int
    about: str = ""
    """The first words of the one text that was decided, written, changed or deleted then."""

    def told(self) -> str:
        """What happened, with the text that it is about."""
        return f"{self.what}, “{self.about}”" if self.about else self.what


def with_active(ops: Iterable[Op]) -> Iterator[tuple[Op, str]]:
    """Each line and the checkpoint that was active after it; empty where that was not written down yet."""
    checkpoint = ""
    left: dict[int, str] = {}
    """What was active before each going back, by its line: taking it back makes that active again, after its own line was written."""
    for op in ops:
        if op.kind == "go":
            left[op.seq] = checkpoint
        checkpoint = left.get(op.of or -1, op.active or checkpoint)
        yield op, checkpoint


def moments(ops: Iterable[Op]) -> list[Moment]:
    """Every moment, oldest first."""
    examples: set[str] = set()
    verdicts: dict[str, str] = {}
    kept = 0
    found = []
    for op, checkpoint in with_active(ops):
        for uid, example in op.put.examples.items():
            examples.add(uid) if example else examples.discard(uid)
        for uid, decision in op.put.decisions.items():
            kept -= verdicts.pop(uid, "reject") != "reject"
            if decision and decision.verdict != "skip":
                verdicts[uid] = decision.verdict
                kept += decision.verdict != "reject"
        undone = op.kind == "undo"
        if op.kind not in UNSEEN and not (undone and op.put.votes):
            what = f"taken back: {op.note}" if undone else op.note or op.kind
            about = "" if op.kind == "go" else op.about()
            found.append(Moment(op.seq, op.time, what, checkpoint, len(examples), kept, len(verdicts), about))
    return found


def tables_at(ops: Iterable[Op], seq: int) -> Tables:
    """All documents as they were after line `seq`."""
    tables: dict[str, dict[str, Any]] = {name: {} for name in Tables.__struct_fields__}
    for op in ops:
        if op.seq > seq:
            break
        for name, table in tables.items():
            for uid, document in getattr(op.put, name).items():
                if document is None:
                    table.pop(uid, None)
                else:
                    table[uid] = document
    return Tables(**tables)


def way(here: Tables, there: Tables) -> Tables:
    """What must be put so that documents that are as in `here` are as in `there`."""
    put: dict[str, dict[str, Any]] = {}
    for name in MOVED:
        now, then = getattr(here, name), getattr(there, name)
        put[name] = {uid: None for uid in now if uid not in then} | {uid: one for uid, one in then.items() if now.get(uid) != one}
    return Tables(**put)
