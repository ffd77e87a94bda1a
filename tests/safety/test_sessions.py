"""One writer: of several sessions exactly one writes, the others say who; a dead one never stands in the way."""

import os
import subprocess
import sys

import pytest

from core import place
from core.errors import FlavorError
from core.lock import Lock, read_note
from tests.safety.sizes import report, size

SESSION = """
import sys
from pathlib import Path
from tui.session import Session
session = Session(Path(sys.argv[1]))
print(session.held_by or "writes", flush=True)
sys.stdin.readline()
try:
    session.write_example(f"text of {sys.argv[2]}", {})
    print("wrote", flush=True)
except Exception as error:
    print(error, flush=True)
sys.stdin.readline()
"""


def start(folder, name):
    return subprocess.Popen([sys.executable, "-c", SESSION, str(folder), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(process):
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_one_of_three_sessions_writes(there):
    rounds = size("two sessions")
    for _ in range(rounds):
        sessions = [start(there, str(number)) for number in range(3)]
        said = [session.stdout.readline().strip() for session in sessions]
        assert said.count("writes") == 1, said
        writer = sessions[said.index("writes")]
        assert all(line == "writes" or f"process {writer.pid} on " in line for line in said), said
        answers = [ask(session) for session in sessions]
        assert answers.count("wrote") == 1 and answers[said.index("writes")] == "wrote"
        assert all(answer == "wrote" or f"open elsewhere: process {writer.pid} on " in answer for answer in answers), answers
        for session in sessions:  # kill -9 of the writer: its lock is free at once
            session.kill()
            session.wait()
            session.stdin.close()
            session.stdout.close()
        lock = Lock(there / "lock")
        assert lock.acquire() is None
        lock.release()
    report("two sessions", f"{rounds} times three at once: 1 writer each time, 0 stale locks", _without_the_lock(there))


def _without_the_lock(there):
    """The planted fault: two writers at once, as without the lock. The second one's next line is refused."""
    from dataset.rows import Tables
    from dataset.store import Store

    first, second = Store(there), Store(there)
    first.commit("write", Tables())
    with pytest.raises(FlavorError, match="another program"):
        second.commit("write", Tables())
    first.close()
    return "two writers without a lock: the second one stopped"


@pytest.mark.parametrize("left", [b"", b"process 1 since 1970", b"\0" * 400, b"deadbeef {}"])
def test_whatever_stands_in_the_lock_file_opens(there, left):
    (there / "lock").write_bytes(left)
    lock = Lock(there / "lock")
    assert lock.acquire() is None
    assert read_note(there / "lock").pid == os.getpid()
    lock.release()


def test_a_link_is_refused(there, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (there / "drafts").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FlavorError, match="a link to elsewhere"):
        place.refuse_links(there)


@pytest.mark.parametrize(
    ("folder", "said"),
    [("Dropbox/evening", "Dropbox"), ("OneDrive - Home/evening", "OneDrive"), ("notes/evening", ""), ("megaliths/evening", "")],
)
def test_a_synced_folder_is_warned_about(tmp_path, folder, said):
    (tmp_path / folder).mkdir(parents=True)
    warning = place.warning(tmp_path / folder)
    assert (said in warning) if said else not warning


def test_a_network_folder_is_warned_about(tmp_path, monkeypatch):
    assert not place.warning(tmp_path)
    monkeypatch.setattr(place, "_kind", lambda _: "fuse.sshfs")
    assert "on a network (fuse.sshfs)" in place.warning(tmp_path)
