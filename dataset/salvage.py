"""A whole journal from what is left of one: its good lines, those of snapshots and of what was kept aside, and for lines that are in
none of them the documents that the views and later lines remember."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from core.files import now
from dataset.journal import encode, parse
from dataset.rows import Mark, Op, Tables

TABLES = Tables.__struct_fields__
Documents = dict[tuple[str, str], Any]
"""By table and id."""


@dataclass(frozen=True)
class Source:
    """A file that has lines of a journal."""

    name: str
    lines: dict[int, bytes]
    """Whole lines with their LF, by number."""
    bad: list[int] = field(default_factory=list)
    """Places in the file, counted in lines from 1, where there is none."""


@dataclass(frozen=True)
class Known:
    """A view: all documents after a line."""

    name: str
    mark: Mark
    tables: Tables


@dataclass(frozen=True)
class Salvaged:
    """The journal that could be put together."""

    data: bytes
    last: Mark
    used: dict[str, int]
    """Lines by the file they came from."""
    foreign: list[str]
    """Files that have another history than this one."""
    missing: list[int]
    """Lines that are in no file."""
    remembered: list[int]
    """Those of them whose texts and decisions are known all the same; they cannot be taken back one by one."""


def source(name: str, data: bytes) -> Source:
    """The good lines of a file. Of two with the same number the first counts."""
    lines: dict[int, bytes] = {}
    bad: list[int] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        op = parse(line)
        if op and op.seq > 0:
            lines.setdefault(op.seq, line + b"\n")
        elif line:
            bad.append(number)
    return Source(name, lines, bad)


def check_of(line: bytes) -> str:
    """The checksum that stands before a line."""
    return line[:8].decode()


def speaks(lines: dict[int, bytes], mark: Mark) -> int:
    """1 where the mark is of these lines, -1 where it is of others, 0 where nobody can say."""
    there = [(seq, check_of(lines[seq])) for seq in {1, mark.seq} if seq in lines]
    if any(mark.differs(seq, check) for seq, check in there):
        return -1
    return int(any((seq == mark.seq and mark.check) or (seq == 1 and mark.first) for seq, _ in there))


def choose(sources: list[Source], marks: Iterable[Mark]) -> tuple[dict[int, bytes], dict[str, int], list[str]]:
    """The lines of one history: of the first source, unless a witness speaks against it and for another one; then those of all that agree.

    Returns the lines by number, how many came from each file, and the files that have another history.
    """
    witnesses = list(marks)

    def trust(one: Source) -> int:  # the first witness, the lock's note, is the latest and counts for two
        return sum(speaks(one.lines, mark) * (1 if number else 2) for number, mark in enumerate(witnesses))

    order = sorted(sources, key=lambda one: -trust(one)) if sources and trust(sources[0]) < 0 < max(map(trust, sources)) else sources
    chosen: dict[int, bytes] = {}
    used: dict[str, int] = {}
    foreign: list[str] = []
    for one in order:
        if any(chosen.get(seq, line) != line for seq, line in one.lines.items()):
            foreign.append(one.name)
            continue
        new = {seq: line for seq, line in one.lines.items() if seq not in chosen}
        chosen |= new
        if new:
            used[one.name] = len(new)
    return chosen, used, foreign


def salvage(sources: list[Source], views: list[Known], marks: list[Mark]) -> Salvaged:
    """The best journal that can be had. Lines in no file are filled by `restore` lines that put what is still known."""
    chosen, used, foreign = choose(sources, [*marks, *(view.mark for view in views)])
    ours = [view for view in views if speaks(chosen, view.mark) >= 0]
    foreign += [view.name for view in views if view not in ours]
    end = max([1, *chosen, *(mark.seq for mark in marks if speaks(chosen, mark) >= 0), *(view.mark.seq for view in ours)])
    ops = {seq: op for seq, line in chosen.items() if (op := parse(line[:-1]))}
    state: Documents = {}
    remembered: list[int] = []
    parts: list[bytes] = []
    missing = [seq for seq in range(1, end + 1) if seq not in ops]
    for first, last in _gaps(missing, {view.mark.seq for view in ours} | {end}):
        if not first:
            parts.append(chosen[last])
            _put(state, ops[last])
            continue
        known, whole = _after(state, ops, ours, first, last, end)
        remembered += range(first, last + 1) if whole else ()
        parts += _fill(state, known, first, last)
    data = b"".join(parts)
    last_mark = Mark(end, check_of(parts[-1]), check_of(parts[0])) if parts else Mark(0)
    return Salvaged(data, last_mark, used, foreign, missing, remembered)


def _gaps(missing: list[int], known: set[int]) -> Iterator[tuple[int, int]]:
    """(0, line) for each line there is, and (first, last) for each run of lines there is not, in order; after a `known` line a run ends."""
    gone = set(missing)
    first = 0
    for seq in range(1, max(known) + 1):
        if seq in gone:
            first = first or seq
            if seq + 1 not in gone or seq in known:
                yield first, seq
                first = 0
        else:
            yield 0, seq


def _documents(tables: Tables) -> Documents:
    return {(name, uid): document for name in TABLES for uid, document in getattr(tables, name).items()}


def _put(state: Documents, op: Op) -> None:
    for place, document in _documents(op.put).items():
        if document is None:
            state.pop(place, None)
        else:
            state[place] = document


def _after(state: Documents, ops: dict[int, Op], views: list[Known], first: int, last: int, end: int) -> tuple[Documents, bool]:
    """The documents after the gap `first`..`last`, and whether they are all known.

    What later lines say stood there before them is certain; for the rest a view of later than the gap speaks.
    """
    view = min((view for view in views if view.mark.seq >= last), key=lambda view: view.mark.seq, default=None)
    until = view.mark.seq if view else end
    found = _documents(view.tables) if view else dict(state)
    for seq in range(until, last, -1):
        if seq in ops:
            for place, document in _documents(ops[seq].was).items():
                found[place] = document
    return {place: document for place, document in found.items() if document is not None}, view is not None


def _fill(state: Documents, known: Documents, first: int, last: int) -> list[bytes]:
    """Lines for a gap: the first one brings the documents to what is known, the others change nothing."""
    changed = {place: known.get(place) for place in {**state, **known} if state.get(place) != known.get(place)}
    put: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
    was: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
    for name, uid in changed:
        put[name][uid], was[name][uid] = changed[name, uid], state.get((name, uid))
    span = f"line {first} was" if first == last else f"lines {first} to {last} were"
    ops = [Op(first, now(), "restore", Tables(**put), Tables(**was), note=f"{span} damaged; mended by the doctor")]
    ops += [Op(seq, now(), "restore", Tables(), note="damaged") for seq in range(first + 1, last + 1)]
    _put(state, ops[0])
    return [encode(op) for op in ops]


def replay(data: bytes) -> Tables:
    """All documents that a whole journal puts."""
    state: Documents = {}
    for line in data.split(b"\n"):
        if op := parse(line):
            _put(state, op)
    tables: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
    for (name, uid), document in state.items():
        tables[name][uid] = document
    return Tables(**tables)
