"""kill -9 of the process that holds the store, at random instants: nothing that was acknowledged is lost, nothing is unreadable."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.lock import Lock
from dataset.checkup import check_dataset
from dataset.store import Store
from tests.safety.sizes import cases, report, rng

NURSERY = """
import os, sys
from pathlib import Path
from core.files import new_uid, now
from core.lock import Lock
from dataset.rows import Example, Tables
from dataset.snapshots import take
from dataset.store import Store
from tui.session.drafts import Draft, Typed

def work(folder, views):
    lock = Lock(folder / "lock")
    assert lock.acquire() is None
    store = Store(folder, lock=lock)
    draft = Draft(folder, "write")
    while True:
        uid = new_uid()
        text = "x" * (400 if store.journal.seq % 5 else 9000)
        op = store.commit("write", Tables(examples={uid: Example(uid, text, {}, "written", now())}))
        os.write(1, b"%d\\n" % op.seq)
        if op.seq % 4 == 0:
            draft.keep(Typed(uid, {}))
        if op.seq % views == 0:
            store.write_view(store.snapshot())
        if op.seq % 11 == 0:
            store.commit("undo", op.was, of=op.seq)
            os.write(1, b"%d\\n" % store.journal.seq)
        if op.seq % 23 == 0:
            take(folder, store.mark)

import dataset.storage, tinydb
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.write(1, b"pid %d\\n" % os.getpid())
        folder, how = line.split()
        if how == "in-place":
            exec(IN_PLACE)
        if how == "crashing":
            Store.write_view = None
        work(Path(folder), 1 if how == "in-place" else 7)
    os.write(1, b"dead %d\\n" % os.waitpid(child, 0)[1])
"""
IN_PLACE = '''
IN_PLACE = """
import dataset.storage
def stock(path, data):
    with open(path, "r+b" if path.exists() else "wb") as file:
        for start in range(0, len(data), 64):
            file.write(data[start:start + 64]); file.flush()
        os.fsync(file.fileno())
        file.truncate()
dataset.storage.write_atomic = stock
"""
'''


class Nursery:
    """A process that forks a store on request: a fresh Python for each would take ten times as long."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", IN_PLACE + NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def kill_one(self, folder: Path, lines: int, seconds: float, how: str = "whole") -> tuple[int, int]:
        """Let a store work on `folder`; kill it so many seconds after it acknowledged so many lines. The last one that it acknowledged, and
        the status with which it ended."""
        self.process.stdin.write(f"{folder} {how}\n".encode())
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline().split()[1])
        acknowledged = 0
        while True:
            if lines == 0:
                time.sleep(seconds)
                with contextlib.suppress(ProcessLookupError):  # it ended by itself: its status tells
                    os.kill(pid, signal.SIGKILL)
            lines -= 1
            line = self.process.stdout.readline()
            if line.startswith(b"dead"):
                return acknowledged, int(line.split()[1])
            acknowledged = int(line)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def nursery():
    one = Nursery()
    yield one
    one.close()


def reopen(folder: Path, acknowledged: int, before: int) -> tuple[int, str]:
    """Open as at the next start. The last line, and what is wrong, in words."""
    lock = Lock(folder / "lock")
    if holder := lock.acquire():
        return before, f"still locked by {holder}"
    try:
        store = Store(folder, lock=lock)
    except Exception as error:
        return before, f"unreadable: {error}"
    seq = store.journal.seq
    store.journal.close()
    lock.release()
    if not max(acknowledged, before) <= seq <= max(acknowledged, before) + 1:
        return seq, f"acknowledged {acknowledged}, found {seq}"
    bad = [one for one in check_dataset(folder) if one.level in ("mend", "lost")]
    return seq, str(bad[0]) if bad else ""


def campaign(nursery, tmp_path, kills, random_numbers, how="whole"):
    """Kill again and again, in a fresh folder every ten times. How often, how many lines were acknowledged, and what was wrong."""
    number, lines, wrong, folder = -1, 0, [], tmp_path / how
    for number in kills:
        if number % 10 == 0:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            before = 0
        acknowledged, status = nursery.kill_one(folder, random_numbers.randrange(20), random_numbers.random() * 0.002, how)
        lines += max(0, acknowledged - before)
        before, fault = reopen(folder, acknowledged, before)
        if status != signal.SIGKILL:
            fault = f"it ended by itself, with status {status}"
        if fault:
            wrong.append(fault)
            break
    return number + 1, lines, wrong


def test_kill_9_of_the_store(nursery, quick_disk):
    kills, lines, wrong = campaign(nursery, quick_disk, cases("store killed"), rng("store killed"))
    assert not wrong, wrong
    *_, caught = campaign(nursery, quick_disk, range(60), rng("store killed in place"), "in-place")
    assert caught and "by itself" not in caught[0], "a view written in place was not caught"
    *_, crashed = campaign(nursery, quick_disk, range(60), rng("store that crashes"), "crashing")
    assert crashed and "by itself" in crashed[0], "a store that crashes was taken for one that was killed"
    report(
        "store killed",
        f"{kills:,} kills, {lines:,} decisions acknowledged: 0 lost, 0 files unreadable",
        "1 caught, all: a view written in place",
    )
