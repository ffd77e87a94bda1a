"""Power cuts: every state a disk may be left in, while the real store, drafts, runs and snapshots write to it, comes back whole."""

import errno
import random
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.files import publish_file, sync, write_all, write_new
from dataset.store import Store
from tests.safety.crash import STEPS, Desk, W, broken, new_disk, recover, states
from tests.safety.disk import Disk, disk_of, on
from tests.safety.sizes import SECONDS, report, rng, size

AT_ONCE = 48
"""States looked at after one call, at most; chosen at random where there are more."""
STEPS_AN_EVENING = 14


def use(random_numbers: random.Random, lies) -> tuple[Desk, list, list[str]]:
    """One evening at a workspace. Gives it, the states after each call with what was promised then, and what went wrong by itself."""
    waiting: list[tuple[list[dict[str, bytes]], SimpleNamespace]] = []
    disk = new_disk()
    disk.lies = lies
    with on(disk):
        desk = Desk(random_numbers)
        disk.watch = lambda: waiting.append((list(states(disk, random_numbers, AT_ONCE)), SimpleNamespace(**vars(desk.promised))))
        for _ in range(STEPS_AN_EVENING):
            try:
                getattr(desk, random_numbers.choice(STEPS))()
            except Exception as error:
                if not PLANTED:
                    raise
                return desk, waiting, [repr(error)]
    return desk, waiting, []


def survey(random_numbers: random.Random, wanted: int, lies=None, stop_at: int = 1_000_000) -> tuple[int, int, list[str]]:
    """Use workspaces until `wanted` states were recovered. Gives states, different disks among them, and what was broken."""
    seen: dict[frozenset, object] = {}
    count, disks, faults = 0, 0, []
    machine = Disk()
    end = time.monotonic() + SECONDS
    while count < wanted and len(faults) < stop_at and time.monotonic() < end:
        desk, waiting, failed = use(random_numbers, lies)
        faults += failed
        with on(machine):
            for files, promised in ((files, promised) for images, promised in waiting for files in images):
                key = frozenset(files.items())
                if key not in seen:
                    disks += 1
                    seen[key] = recover(machine, files, again=disks % 20 == 0)
                count += 1
                if fault := broken(seen[key], promised, desk.expected):
                    faults.append(fault)
        seen.clear()  # ids differ from one evening to the next: no disk comes twice
    return count, disks, faults


PLANTED: list[str] = []


def test_no_crash_state_breaks_a_promise():
    count, disks, faults = survey(rng("crash states"), size("crash states"))
    assert not faults, faults[:3]
    report("crash states", f"{count:,} states ({disks:,} different disks): 0 violations", _mutants())


@pytest.mark.parametrize("linking", [True, False])
def test_a_file_is_published_whole_or_not_at_all(linking, monkeypatch):
    def no_second_names(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    disk, seen, whole = disk_of({"out/": b""}), [], b"GGUF" * 100
    staged, final = Path("/out/.staged"), Path("/out/x.gguf")
    if not linking:
        monkeypatch.setattr(disk, "link", no_second_names)
    with on(disk):
        write_new(staged, whole)
        disk.watch = lambda: seen.extend(states(disk, random.Random(1), AT_ONCE))
        publish_file(staged, final)
        assert {image.get("out/x.gguf") for image in seen} == {None, whole}
        assert list(states(disk, random.Random(1), AT_ONCE)) == [{"out/": b"", "out/x.gguf": whole}]
        if linking:
            write_new(staged, b"another")
            with pytest.raises(FileExistsError):
                publish_file(staged, final)


def _ends(*ends):
    return lambda path: str(path).endswith(ends)


LIES = {
    "journal not synced": _ends("journal.log"),
    "temporary files not synced": _ends(".tmp"),
    "view's temporary file not synced": lambda path: "dataset.json" in str(path),
    "workspace folder not synced": lambda path: str(path) == str(W),
    "folder of drafts not synced": _ends("drafts"),
    "files of a run not synced": lambda path: ".tmp-" in str(path) and "runs" in str(path),
    "folder of runs not synced": _ends("runs"),
    "files of a snapshot not synced": lambda path: ".tmp-" in str(path) and "snapshots" in str(path),
}
"""Syncs that are left out: the call is answered, and nothing is made durable."""


def _in_place(path, data):
    """How a file must not be written."""
    import core.files

    handle = core.files.os.open(path, core.files.os.O_WRONLY | core.files.os.O_CREAT, 0o600)
    core.files.os.ftruncate(handle, 0)
    write_all(handle, data.encode() if isinstance(data, str) else data)
    sync(handle)
    core.files.os.close(handle)
    core.files.sync_folder(path.parent)


def _too_early(commit):
    """A decision that is acknowledged before it is on the disk."""

    def early(self, kind, put, note="", of=None):
        self._lock.witness(self.journal.seq + 1, "", self.journal.first)
        return commit(self, kind, put, note, of)

    return early


def _all_in_place(patch):
    for module in ("dataset.storage", "runs.registry", "tui.session.drafts", "core.runfiles"):
        patch.setattr(f"{module}.write_atomic", _in_place)


CHANGES = {
    "written in place": _all_in_place,
    "acknowledged too early": lambda patch: patch.setattr("dataset.store.Store.commit", _too_early(Store.commit)),
}
"""Code that is changed for the worse."""


def _mutants() -> str:
    """Plant each fault; what was said of them."""
    for name in (*LIES, *CHANGES):
        PLANTED.append(name)
        with pytest.MonkeyPatch.context() as patch:
            CHANGES.get(name, lambda _: None)(patch)
            count, _, faults = survey(random.Random(name), size("crash states of a mutant"), LIES.get(name), stop_at=1)
        PLANTED.pop()
        assert faults, f"not caught: {name}, in {count} states"
    return f"{len(LIES) + len(CHANGES)} caught, all: {', '.join((*LIES, *CHANGES))}"
