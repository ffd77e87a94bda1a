"""Every call to the system fails once, and for good: afterwards there is the old state or the new, one message, and the session lives."""

import errno

from core.errors import FlavorError
from dataset.checkup import mend_dataset
from dataset.snapshots import take
from dataset.store import Store
from tests.safety.crash import TABLES, Desk, W, broken, new_disk, recover
from tests.safety.disk import Disk, on
from tests.safety.sizes import report, rng, size

FAULTS = {
    "no space": OSError(errno.ENOSPC, "No space left on device"),
    "disk error": OSError(errno.EIO, "Input/output error"),
    "not allowed": PermissionError(errno.EACCES, "Permission denied"),
    "interrupted": InterruptedError(errno.EINTR, "Interrupted system call"),
    "short write": None,
}
WRITES = ("pwrite", "fsync")
"""Where a call may be interrupted or short; Python itself goes on with all the others."""
SCENARIOS = ("write", "decide", "undo", "view", "type", "save", "run", "choose", "snapshot", "close", "start", "repair")


class Failing:
    """Makes the k-th call of an action fail, once or from then on."""

    def __init__(self, fault: str, k: int, lasting: bool) -> None:
        self.fault, self.k, self.lasting = fault, k, lasting
        self.count = 0
        self.struck = ""

    def __call__(self, name: str):
        error = FAULTS[self.fault]
        if self.fault in ("interrupted", "short write") and name not in (WRITES if error else WRITES[:1]):
            return None
        self.count += 1
        if self.count < self.k or (self.count > self.k and not self.lasting):
            return None
        self.struck = self.struck or name
        if error is None:
            return True
        if self.lasting and isinstance(error, InterruptedError) and self.count > self.k + 3:
            return None  # nothing is interrupted for ever
        raise error


def evening(disk: Disk, random_numbers) -> Desk:
    """A workspace in the middle of an evening."""
    desk = Desk(random_numbers)
    for step in ("write", "sample", "type", "write", "run", "choose", "snapshot", "write", "type", "sample"):
        getattr(desk, step)()
    return desk


def act(desk: Desk, scenario: str) -> list[str]:
    """Do it as the session does; the messages that a person would see."""
    session = desk.session
    try:
        if scenario == "view":
            _ = (tables := session.store.snapshot()) and session.store.write_view(tables)
        elif scenario == "snapshot":
            take(W, session.store.mark)
        elif scenario == "close":
            session.close()
        elif scenario == "repair":
            mend_dataset(W, session._lock)
        else:
            getattr(desk, scenario)()
    except FlavorError as error:
        return [str(error)]
    except AssertionError:
        return [desk.draft.problem]
    except OSError as error:  # the view, the snapshot and the repair: their callers say it, or do it again later
        assert scenario in ("view", "snapshot", "repair"), f"{scenario}: {error!r} reaches the person as a traceback"
        return [error.strerror]
    if scenario == "start" and (said := desk.session.held_by or desk.session.store.journal.broken):
        return [said]
    return []


def damage(disk: Disk) -> None:
    """For the repair: a bit of the journal's second line flips, on the disk too."""
    node = disk.root.entries["w"].entries["journal.log"]
    at = node.data.index(b"\n") + 40
    node.data = node.durable = node.data[:at] + bytes([node.data[at] ^ 1]) + node.data[at + 1 :]


def attempt(scenario: str, fault: str, k: int, lasting: bool, random_numbers) -> tuple[str, str]:
    """One failure. Which call it struck (empty: there are fewer than k), and what was wrong afterwards."""
    disk = new_disk()
    with on(disk):
        desk = evening(disk, random_numbers)
        if scenario == "start":
            desk.session._lock.release()
        if scenario == "repair":
            damage(disk)
        before = desk.promised.draft[0]
        disk.on_call = failing = Failing(fault, k, lasting)
        said = act(desk, scenario)
        if scenario == "save":  # a draft that could not be removed is offered once more
            desk.promised.draft = (before, "")
        if not failing.struck:
            return "", ""
        lives = _lives(desk) if scenario not in ("start", "close", "repair") else ""
        disk.on_call = None
        if len(said) > 1:
            return failing.struck, f"{len(said)} messages"
        if fault in ("interrupted", "short write") and said:
            return failing.struck, f"not gone on with: {said[0]}"
        if scenario == "repair" and (wrong := _mended(desk, disk)):
            return failing.struck, wrong
        files = disk.files()
    machine = Disk()
    with on(machine):
        found = recover(machine, files, again=True)
    return failing.struck, lives or broken(found, desk.promised, desk.expected)


def _lives(desk: Desk) -> str:
    """What a person does next, while the disk still fails: it is answered or refused with one message, nothing else."""
    memory = TABLES.encode(desk.store.tables())
    if memory not in (desk.expected[seq] for seq in desk.promised.seq):
        return "memory holds other documents than before or after"
    expected, promised = dict(desk.expected), vars(desk.promised).copy()
    try:
        desk.write()
    except FlavorError:
        desk.expected = expected  # what the failed action left may still be there, this one cannot
        vars(desk.promised).update(promised)
        if TABLES.encode(desk.store.tables()) != memory:
            return "a refused decision changed what is shown"
    return ""


def _mended(desk: Desk, disk: Disk) -> str:
    """A repair that failed is done again, now that the disk works: all is there."""
    mend_dataset(W, desk.session._lock)
    if TABLES.encode(Store(W, read_only=True).tables()) != desk.expected[desk.promised.seq[0]]:
        return "the second repair did not bring everything back"
    kept = [data for path, data in disk.files().items() if path.startswith("w/damaged/") and "journal" in path]
    return "" if kept else "the damaged journal was not kept"


def test_every_call_fails(monkeypatch):
    tried, struck = 0, {}
    for number in range(size("faults of one call")):
        for scenario in SCENARIOS:
            for fault in FAULTS:
                for lasting in (False, True):
                    for k in range(1, 1000):
                        name, wrong = attempt(scenario, fault, k, lasting, rng(f"faults {number}"))
                        assert not wrong, f"{scenario}, call {k} ({name}): {fault}{' for good' if lasting else ''}: {wrong}"
                        if not name:
                            break
                        tried += 1
                        struck[name] = struck.get(name, 0) + 1
    assert set(struck) >= {"open", "pwrite", "fsync", "replace", "rename", "link", "lstat"}, struck
    report(
        "faults of one call",
        f"{tried:,} failures of {len(struck)} calls in {len(SCENARIOS)} scenarios: 0 broken promises",
        _planted(monkeypatch),
    )


def _planted(monkeypatch) -> str:
    """A journal that tries again after an fsync that failed, and one that takes a short write for a whole one."""
    import core.files
    from dataset.journal import Journal

    put = Journal._put

    def again(self, data, at):
        try:
            put(self, data, at)
        except OSError:
            core.files.os.fsync(self._opened)

    def short(handle, data, at=0):
        core.files.os.pwrite(handle, data, at)

    caught = []
    for name, where, fault in (
        ("tried again", "dataset.journal.Journal._put", again),
        ("short write not noticed", "dataset.journal.write_all", short),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, fault)
            assert any(_fails("write", what, k) for what in FAULTS for k in range(1, 12)), f"not caught: {name}"
        caught.append(name)
    return f"{len(caught)} caught, all: {', '.join(caught)}"


def _fails(scenario: str, fault: str, k: int) -> bool:
    try:
        return bool(attempt(scenario, fault, k, False, rng("planted"))[1])
    except Exception:
        return True
