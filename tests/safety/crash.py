"""Every state in which a power cut may leave a disk, and a workspace that is used on it while its promises are written down."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
from pathlib import Path
from types import SimpleNamespace

import msgspec

from core.config import Lora, Training
from core.errors import FlavorError
from core.files import new_uid, now, read_bytes, stale
from core.protocol import Row
from core.runfiles import RunSpec, encode_rows, read_rows
from dataset.checkup import _journal_problem, _known
from dataset.rows import Batch, Candidate, Decision, Example, Tables
from dataset.snapshots import snapshots, take
from dataset.store import Store
from tests.safety.disk import Disk, Node, Write, disk_of
from tui.session.drafts import Draft, Typed, read_draft
from tui.session.session import Session

W = Path("/w")
TABLES = msgspec.json.Encoder()


# -- the states a crash may leave ------------------------------------------------------------------------------------------


def _contents(node: Node) -> list[bytes]:
    """What a file may hold: each write that was not synced kept, dropped, torn, or there in length only."""
    while len(node.pending) > 4:  # the lock's note, which is written over and over: its oldest versions are taken for written
        write = node.pending.pop(0)
        node.durable = _apply(node.durable, write)
    found = [node.durable]
    for write in node.pending:
        more = []
        for data in found:
            more.append(_apply(data, write))
            if write.data:
                more.append(_apply(data, Write(write.at, write.data[: len(write.data) // 2])))
                more.append(_apply(data, Write(write.at, bytes(len(write.data)))))
        found = list(dict.fromkeys(found + more))
    return found


def _apply(data: bytes, write: Write) -> bytes:
    if write.data is None:
        return data[: write.at].ljust(write.at, b"\0")
    return data[: write.at].ljust(write.at, b"\0") + write.data + data[write.at + len(write.data) :]


def states(disk: Disk, rng, most: int):
    """Up to `most` of the legal states after a crash now, as files by path: all of them where they are no more than that."""
    nodes = {id(node): node for node in _all_nodes(disk) if node.pending}
    options = [_contents(node) for node in nodes.values()]
    total = math.prod(map(len, options)) << len(disk.changes)
    if total <= most:
        picks = itertools.product(*options, *([(True, False)] * len(disk.changes)))
    else:
        picks = (
            [*(rng.choice(contents) for contents in options), *(rng.random() < 0.5 for _ in disk.changes)] for _ in range(most)
        )  # fmt: skip
    for pick in picks:
        content = dict(zip(nodes, pick, strict=False))
        yield _image(disk, content, pick[len(nodes) :])


def _all_nodes(disk: Disk):
    seen, stack = set(), [disk.root, *(what for change in disk.changes for _, _, what in change.entries if what)]
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            stack += [*node.entries.values(), *node.stored.values()]


def _image(disk: Disk, content: dict[int, bytes], kept) -> dict[str, bytes]:
    names: dict[int, dict[str, Node]] = {}
    for change, keep in zip(disk.changes, kept, strict=True):
        if keep:
            for folder, name, what in change.entries:
                entries = names.setdefault(id(folder), dict(folder.stored))
                if what is None:
                    entries.pop(name, None)
                else:
                    entries[name] = what
    files: dict[str, bytes] = {}
    stack = [(disk.root, "")]
    while stack:
        node, at = stack.pop()
        for name, inner in names.get(id(node), node.stored).items():
            if inner.folder:
                files[f"{at}{name}/"] = b""
                stack.append((inner, f"{at}{name}/"))
            else:
                files[at + name] = content.get(id(inner), inner.durable)
    return files


# -- a workspace in use ----------------------------------------------------------------------------------------------------


def new_disk() -> Disk:
    """A disk with an empty workspace."""
    return disk_of({"w/flavor.toml": b"[task]\nheading = 'Tiny Tavern Menu'\n"})


class Desk:
    """The real store, drafts, runs and snapshots in use; what they acknowledged is in `promised`."""

    def __init__(self, rng, states_by_seq: dict[int, bytes] | None = None, promised: SimpleNamespace | None = None) -> None:
        self.rng = rng
        self.expected = states_by_seq or {0: TABLES.encode(Tables())}
        """All documents after each line of the journal."""
        self.promised = promised or SimpleNamespace(seq=(0, 0), draft=("", ""), current=("base", "base"), runs=((), ()))
        """What is acknowledged, and what may be there besides since it is being written."""
        self.start()

    def start(self) -> None:
        self.session = Session(W)
        self.store, self.registry = self.session.store, self.session.registry
        self.draft = Draft(W, "write")
        self.draft.read()

    def stop(self) -> None:
        self.session.close()

    def _commit(self, kind: str, put: Tables, of: int | None = None) -> None:
        after = Tables(**{name: dict(getattr(self.store, name)) for name in Tables.__struct_fields__})
        for name in Tables.__struct_fields__:
            for uid, document in getattr(put, name).items():
                getattr(after, name).pop(uid, None) if document is None else getattr(after, name).__setitem__(uid, document)
        seq = self.store.journal.seq
        self.expected[seq + 1] = TABLES.encode(after)
        self.promised.seq = (seq, seq + 1)
        self.store.commit(kind, put, of=of)
        self.promised.seq = (seq + 1, seq + 1)

    def write(self) -> None:
        uid = new_uid()
        text = "The patient empire files its weather. " * self.rng.choice((1, 2, 20))
        self._commit("write", Tables(examples={uid: Example(uid, text, {"Mood": "Calm"}, "written", now())}))

    def sample(self) -> None:
        uid, batch = new_uid(), Batch(new_uid(), "base", [], [], {}, now())
        made = Candidate(uid, "A candidate.", {}, "base", batch.uid, 0, 0, "stop", 3, [], now())
        self._commit("sample", Tables(candidates={uid: made}, batches={batch.uid: batch}))

    def decide(self) -> None:
        if not self.store.pending:
            return self.sample()
        candidate = next(iter(self.store.pending.values()))
        verdict = self.rng.choice(("accepted", "rejected"))
        row = Example(new_uid(), candidate.text, {}, "accepted", now(), candidate.uid)
        decision = Decision(
            new_uid(), candidate.uid, "accept", now(), candidate.text, candidate.text, {}, "base", 0, {}, row.uid
        )  # fmt: skip
        put = Tables(
            examples={row.uid: row} if verdict == "accepted" else {},
            candidates={candidate.uid: msgspec.structs.replace(candidate, state=verdict)},
            decisions={decision.uid: decision},
        )
        return self._commit("decide", put)

    def undo(self) -> None:
        last = self.store._undo[-1] if self.store._undo else None
        if last:
            self._commit("undo", last.was, of=last.seq)

    def view(self) -> None:
        tables = self.store.snapshot()
        if tables:
            self.store.write_view(tables)

    def type(self) -> None:
        text = f"half a text {self.rng.random()}"
        self.promised.draft = (self.promised.draft[0], text)
        self.draft.keep(Typed(text, {}))
        assert not self.draft.problem
        self.promised.draft = (text, text)

    def save(self) -> None:
        self.promised.draft = (self.promised.draft[0], "")
        self.draft.drop()
        self.promised.draft = ("", "")

    def run(self) -> None:
        rows = [Row("1", [("# x\n\n", 0.0)], "a text")]
        sha = hashlib.sha256(encode_rows(rows)).hexdigest()
        name = self.registry.next_name()
        spec = RunSpec(name, now(), "starter", "", "nf4", Lora(), Training(), 1, 1, 1e-3, None, 1, 1, sha)
        made = self.promised.runs[0]
        self.promised.runs = (made, (*made, name))
        self.registry.create(spec, rows)
        self.promised.runs = ((*made, name), (*made, name))

    def choose(self) -> None:
        """Another checkpoint becomes active; its files are none of this suite's matter."""
        name = f"0001/epoch-{self.rng.randrange(1, 90):02}"
        self.registry.checkpoint_folder = lambda name: None
        self.promised.current = (self.promised.current[0], name)
        self.registry.use(name)
        self.promised.current = (name, name)

    def snapshot(self) -> None:
        self.view()
        take(W, self.store.mark)

    def restart(self) -> None:
        self.stop()
        self.start()

    def die(self) -> None:
        """Killed, and started again: what was not synced is still in the system's memory."""
        self.start()


STEPS = (
    "write",
    "write",
    "sample",
    "decide",
    "decide",
    "undo",
    "view",
    "type",
    "type",
    "save",
    "run",
    "choose",
    "snapshot",
    "restart",
    "die",
)


# -- coming back -----------------------------------------------------------------------------------------------------------


def recover(machine: Disk, files: dict[str, bytes], again: bool) -> SimpleNamespace | str:
    """Open the workspace in `files` with the real code, as at the next start. What is there; in words where a promise is broken."""
    fresh = disk_of(files)
    machine.root, machine.changes = fresh.root, []
    try:
        session = Session(W)
        store = session.store
        if session.held_by or store.read_only:
            return f"opens read-only: {session.held_by or store.journal.broken}"
        draft = ""
        with contextlib.suppress(FileNotFoundError):
            draft = read_draft(W / "drafts" / "write.json").text
        registry = session.registry
        runs = tuple(registry.names())
        for name in runs:
            run = registry.run(name)
            if run.spec is None:
                return f"run {name} is there, but not whole: {run.reason}"
            read_rows(run.folder / "rows.jsonl", run.spec.rows_sha256)
        for one in snapshots(W):
            if one.sums is None or (one.sums.seq and read_bytes(one.folder / "journal.log").count(b"\n") != one.sums.seq):
                return f"snapshot {one.folder.name} is there, but not whole"
        if "w/dataset.json" in files and _known(W, "dataset.json") is None:
            return "dataset.json is there, but not whole"
        if left := stale(W, W / "drafts", W / "runs", W / "snapshots"):
            return f"left over: {left}"
        found = SimpleNamespace(
            seq=store.journal.seq, tables=TABLES.encode(store.tables()), draft=draft, current=registry.current(), runs=runs
        )
        if again:
            uid = new_uid()
            store.commit("write", Tables(examples={uid: Example(uid, "one more", {}, "written", now())}))
            store.close()
            if _journal_problem(W)[0] or uid not in Store(W, read_only=True).examples:
                return "what is written after the crash cannot be read"
        return found
    except (FlavorError, OSError, ValueError, LookupError) as error:
        return f"{type(error).__name__}: {error}"


def broken(found: SimpleNamespace | str, promised: SimpleNamespace, expected: dict[int, bytes]) -> str:
    """Which promise does not hold after the crash; empty where all do."""
    if isinstance(found, str):
        return found
    if found.seq not in promised.seq:
        return f"line {found.seq} is the last, {promised.seq[0]} was acknowledged"
    if found.tables != expected[found.seq]:
        return "other documents than were acknowledged"
    for name in ("draft", "current", "runs"):
        if getattr(found, name) not in getattr(promised, name):
            return f"{name} is {getattr(found, name)!r}, promised was one of {getattr(promised, name)!r}"
    return ""
