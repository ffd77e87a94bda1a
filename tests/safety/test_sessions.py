"""One writer: of several sessions exactly one writes, the others say who; a dead one never stands in the way."""

import os
import subprocess
import sys

import pytest

from core import config, place
from core.errors import FlavorError
from core.lock import Lock, read_note
from tests.safety.sizes import cases, report

SESSION = """
import sys
from pathlib import Path
from tui.session.session import Session
session = None
for word in sys.stdin:
    try:
        if word == "open\\n":
            session = Session(Path(sys.argv[1]))
            said = session.held_by or "writes"
        elif word == "write\\n":
            session.write_example("a text", {})
            said = "wrote"
        else:
            session.close()
            said = "closed"
    except Exception as error:
        said = str(error)
    print(said, flush=True)
"""


class Other:
    """A process that opens the workspace when it is told to."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [sys.executable, "-c", SESSION, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def answer(self):
        return self.process.stdout.readline().strip()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def ask(others, word):
    """Tell all at once; their answers."""
    for other in others:
        other.tell(word)
    return [other.answer() for other in others]


def test_one_of_three_sessions_writes(quick_disk, task):
    folder = quick_disk / "tavern"
    config.create(folder, task)
    number, dead = 0, 0
    others = [Other(folder) for _ in range(3)]
    for number in cases("two sessions"):
        said = ask(others, "open")
        assert said.count("writes") == 1, said
        writer = others[said.index("writes")]
        assert all(line == "writes" or f"process {writer.process.pid} on " in line for line in said), said
        answers = ask(others, "write")
        assert answers.count("wrote") == 1 and answers[said.index("writes")] == "wrote"
        assert all(line == "wrote" or f"open elsewhere: process {writer.process.pid} on " in line for line in answers), answers
        if number % 5 == 4:  # kill -9 of the writer: its lock is free at once
            writer.kill()
            others.remove(writer)
            dead += 1
        ask(others, "close")
        others += [Other(folder) for _ in range(3 - len(others))]
    for other in others:
        other.kill()
    report(
        "two sessions",
        f"{number + 1} times three at once, {dead} of them killed: 1 writer each time, 0 stale locks",
        _without_the_lock(folder),
    )


def _without_the_lock(there):
    """The planted fault: two writers at once, as without the lock. The second one's next line is refused."""
    from dataset.rows import Tables
    from dataset.store import Store

    first, second = Store(there), Store(there)
    first.commit("write", Tables())
    with pytest.raises(FlavorError, match="another program"):
        second.commit("write", Tables())
    first.close()
    return "1 caught, all: two writers without a lock"


@pytest.mark.parametrize("left", [b"", b"process 1 since 1970", b"\0" * 400, b"deadbeef {}"], ids=["empty", "words", "zeros", "a line"])
def test_whatever_stands_in_the_lock_file_opens(there, left):
    (there / "lock").write_bytes(left)
    lock = Lock(there / "lock")
    assert lock.acquire() is None
    assert read_note(there / "lock").pid == os.getpid()
    lock.release()


def test_what_is_released_is_free_though_a_child_still_has_a_copy(tmp_path):
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert first.acquire() is None
    child = os.dup(first._handle)  # what a child that is being born in another thread has until it starts its own program
    first.release()
    assert second.acquire() is None
    second.release()
    os.close(child)


def test_a_link_is_refused(there, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (there / "drafts").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FlavorError, match="a link to elsewhere"):
        place.refuse_links(there)


@pytest.mark.parametrize(
    ("folder", "said"),
    [("Dropbox/evening", "Dropbox"), ("OneDrive - Home/evening", "OneDrive"), ("MEGAsync/evening", "MEGAsync"), ("notes/evening", "")]
    + [(f"{name}/evening", "") for name in ("megaliths", "Mega City", "mega", "MEGA men")],
)
def test_a_synced_folder_is_warned_about(tmp_path, folder, said):
    (tmp_path / folder).mkdir(parents=True)
    warning = place.warning(tmp_path / folder)
    assert (said in warning) if said else not warning


def test_a_network_folder_is_warned_about(tmp_path, monkeypatch):
    assert not place.warning(tmp_path)
    monkeypatch.setattr(place, "_kind", lambda _: "fuse.sshfs")
    assert "on a network (fuse.sshfs)" in place.warning(tmp_path)


def test_mounted_disks_of_any_name_are_no_hindrance(tmp_path, monkeypatch):
    told = f"31 1 8:1 / {tmp_path} rw shared:1 - fuse.sshfs them rw\n".encode()
    (tmp_path / "mounts").write_bytes(b"30 1 8:1 / /media/\xe9t\xe9\xa0 rw - vfat /dev/sdb1 rw\n" + told)
    monkeypatch.setattr(place, "MOUNTS", tmp_path / "mounts")
    assert "on a network (fuse.sshfs)" in place.warning(tmp_path)
