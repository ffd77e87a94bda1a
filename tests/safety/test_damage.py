"""Damaged workspaces: every damage is harmless, mended exactly, or named; no original is overwritten, and nobody is told nonsense."""

import contextlib
import hashlib
import random
from collections.abc import Iterable

import pytest

from core import runfiles
from core.errors import FlavorError
from core.files import make_folder, write_atomic
from core.finding import Finding
from core.runfiles import CheckpointInfo, Result
from dataset.journal import Journal, parse
from runs.registry import Registry
from tests.safety.crash import TABLES, Desk, W, new_disk
from tests.safety.disk import disk_of, on
from tests.safety.sizes import cases, report, rng
from tui.session.doctor import examine
from tui.session.drafts import read_draft
from tui.session.session import Session

TEXT_FILES = ("w/journal.log", "w/dataset.json", "w/lock", "w/flavor.toml", "w/choices.json", "w/drafts/write.json", "w/runs/current")


def workspace(random_numbers: random.Random) -> dict[str, bytes]:
    """The files of a workspace after two evenings, closed properly or killed."""
    disk = new_disk()
    with on(disk):
        desk = Desk(random_numbers)
        for step in (
            "write",
            "sample",
            "write",
            "decide",
            "run",
            "sample",
            "decide",
            "type",
            "restart",
            "write",
            "undo",
            "write",
            "sample",
        ):
            getattr(desk, step)()
        _finish(desk.registry, "0001")
        desk.registry.use("0001/epoch-01")
        desk.session.choices.set_note("0001/epoch-01", f"of {random_numbers.random()}")
        desk.run()
        closed = random_numbers.random() < 0.5
        if not closed:
            desk.session.close()  # a snapshot, and then some minutes that end in a kill
            desk.start()
            for _ in range(random_numbers.randrange(4)):
                desk.write()
        desk.session.close() if closed else desk.session._lock.release()
    return disk.files()


def _finish(registry: Registry, name: str) -> None:
    """A run's end as the worker leaves it, with a made-up adapter."""
    folder = registry.folder / name / "checkpoints"
    make_folder(folder)
    make_folder(folder / "epoch-01")
    adapter = random.Random(name).randbytes(300)
    write_atomic(folder / "epoch-01" / "adapter_model.safetensors", adapter)
    write_atomic(folder / "epoch-01" / "adapter_config.json", '{"r": 16}')
    info = CheckpointInfo(f"{name}/epoch-01", 1, "starter", "f", hashlib.sha256(adapter).hexdigest(), 2.5, 2.0, "now")
    runfiles.write(folder / "epoch-01" / "checkpoint.json", info)
    runfiles.write(registry.folder / name / "result.json", Result("done", checkpoint=info.name, steps=4))


def damage(files: dict[str, bytes], other: dict[str, bytes], random_numbers: random.Random) -> tuple[dict[str, bytes], str]:
    """One damage, and what it is in words."""
    files = dict(files)
    real = [path for path in files if not path.endswith("/")]
    path = random_numbers.choice([one for one in TEXT_FILES if one in files] if random_numbers.random() < 0.6 else real)
    data = files[path]
    at = random_numbers.randrange(len(data)) if data else 0
    kind = random_numbers.choice(
        ("bit", "bits", "cut", "cut at a line", "gone", "swapped", "other's", "appended", "zeros", "half a folder", "line gone")
    )
    if kind == "bit" and data:
        files[path] = data[:at] + bytes([data[at] ^ 1 << random_numbers.randrange(8)]) + data[at + 1 :]
    elif kind == "bits":
        files[path] = data[:at] + random_numbers.randbytes(min(20, len(data) - at)) + data[at + 20 :]
    elif kind == "cut":
        files[path] = data[:at]
    elif kind in ("cut at a line", "line gone"):
        lines = data.splitlines(keepends=True)
        number = random_numbers.randrange(len(lines)) if lines else 0
        files[path] = b"".join(lines[:number] + (lines[number + 1 :] if kind == "line gone" else []))
    elif kind == "gone":
        del files[path]
    elif kind == "swapped":
        second = random_numbers.choice(real)
        files[path], files[second] = files[second], files[path]
        path = f"{path} and {second}"
    elif kind == "other's":
        if path in other:
            files[path] = other[path]
    elif kind == "appended":
        files[path] = data + random_numbers.choice(
            (b"garbage\n", b"\0" * 50, b"garbage", random_numbers.randbytes(30), data[: len(data) // 2])
        )
    elif kind == "zeros":
        files[path] = data[:at] + bytes(min(64, len(data) - at)) + data[at + 64 :]
    else:
        files |= {
            "w/runs/.tmp-9/": b"",
            "w/runs/.tmp-9/rows.jsonl": b"half",
            "w/snapshots/.tmp-0009/": b"",
            "w/.journal.log.0123456789ab.tmp": b"x",
        }
    return files, f"{path}: {kind}"


def look(files: dict[str, bytes]) -> dict[str, object]:
    """What a person finds in a workspace that opens: texts, draft, active checkpoint, and every file of runs and settings."""
    with on(disk_of(files)):
        session = Session(W, read_only=True)
        draft: str | None = None
        with contextlib.suppress(OSError, ValueError):
            draft = read_draft(W / "drafts/write.json").text
        found: dict[str, object] = {"texts": TABLES.encode(session.store.tables()), "draft": draft, "runs/current": Registry(W).current()}
    found |= {path[2:]: data for path, data in files.items() if path.startswith(("w/runs/0", "w/flavor", "w/choices"))}
    return found


PLACES = {"texts": ("journal.log",), "draft": ("drafts", "drafts/write.json")}
"""Where the doctor names the loss of a thing."""


def trial(whole: dict[str, bytes], files: dict[str, bytes]) -> str:
    """Check, open, repair and open again. What was lost silently or overwritten, in words; empty where nothing was."""
    truth = look(whole)
    before = _found(files, repair=False)
    try:
        opened = look(files)
    except FlavorError:
        opened = None
    if opened and (silent := _silent(truth, opened, before[0], True)):
        return f"opened as if nothing were lost: {silent}"
    said, mended = _found(files, repair=True)
    try:
        after = look(mended)
    except FlavorError as error:
        after = None
        if not any(one.level == "lost" for one in said):
            return f"mended, it does not open: {error}"
    if after and (silent := _silent(truth, after, said, False)):
        return f"mended, as if nothing were lost: {silent}"
    originals = {data for path, data in mended.items() if "/damaged/" in path}
    for path, data in files.items():
        if path not in ("w/lock", *[one for one in files if "tmp" in one]) and mended.get(path) != data and data not in originals and data:
            return f"{path} was overwritten"
    return ""


def _found(files, repair):
    disk = disk_of(files)
    with on(disk):
        try:
            found = examine(W, repair)
        except FlavorError as error:
            found = [Finding("lost", "all", str(error))]
    return found, disk.files()


def _silent(truth, there, found, opening: bool) -> str:
    """What differs and is not named. In a workspace that opens, no text may differ at all, unless the start says that it is unsure."""
    named = {one.where for one in found if one.level != "well"}
    witness_gone = "lock" in named  # the start says so too
    snapshot_gone = any(where.startswith("snapshots/") for where in named)
    for thing, value in truth.items():
        if there.get(thing) == value:
            continue
        if thing == "texts":
            lost = any(one.level == "lost" and one.where == "journal.log" for one in found)
            if witness_gone or (lost and not opening):
                continue
            return thing
        places = PLACES.get(thing, (thing, *(thing.rsplit("/", cut)[0] for cut in range(1, thing.count("/") + 1))))
        alone = thing in ("draft", "flavor.toml", "choices.json") or thing.endswith("adapter_config.json")  # only a snapshot has their hash
        if not named & {*places, "all"} and not (alone and snapshot_gone):
            return thing
    return ""


def campaign(numbers: Iterable[int], random_numbers: random.Random) -> tuple[int, list[str]]:
    """Damage so many workspaces once or twice. How many, and what was wrong."""
    wrong: list[str] = []
    count = 0
    whole: dict[str, bytes] = {}
    for number in numbers:
        count = number + 1
        if number % 25 == 0:
            whole, other = workspace(random_numbers), workspace(random_numbers)
        files, what = damage(whole, other, random_numbers)
        if random_numbers.random() < 0.3:
            files, more = damage(files, other, random_numbers)
            what += f"; {more}"
        if fault := trial(whole, files):
            wrong.append(f"{what}: {fault}")
    return count, wrong


def test_no_damage_is_silent():
    count, wrong = campaign(cases("damaged workspaces"), rng("damaged workspaces"))
    assert not wrong, f"{len(wrong)} of {count}: " + "\n".join(wrong[:5])
    report("damaged workspaces", f"{count:,} damages: 0 silent losses, 0 originals overwritten", _planted())


def _planted() -> str:
    start = Journal.__init__
    faults = {
        "no witness beside the journal": (
            "dataset.journal.Journal.__init__",
            lambda self, path, read_only=False, witnesses=(): start(self, path, read_only),
        ),
        "bad lines skipped": ("dataset.journal.Journal.replay", _skipping),
        "originals thrown away": ("dataset.checkup.keep_aside", lambda workspace, path: path),
    }
    for name, (where, fault) in faults.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(where, fault)
            _, wrong = campaign(range(200), random.Random(name))
        assert wrong, f"not caught: {name}"
    return f"{len(faults)} caught, all: {', '.join(faults)}"


def _skipping(self):
    """How a journal must not be read."""
    for line in self._read().split(b"\n"):
        if op := parse(line):
            self.seq, self.check = op.seq, line[:8].decode()
            yield op
            self._size += len(line) + 1
