"""Typed text: kill -9 of the app while somebody types loses at most twenty keys that were on the screen."""

import os
import pty
import select
import signal
import subprocess
import sys

import pytest

from core import config
from core.task import Task
from tests.safety.sizes import cases, report, rng
from tui.session.drafts import read_draft

LETTERS = "αβγδεζηθικλμνξοπρστυφχψω"
"""What is typed: letters that no control sequence contains, so that their echo can be told."""
MOST = 20
"""Keys that may be lost."""
NURSERY = """
import fcntl, os, sys, termios
from pathlib import Path
import textual.widgets, tui.screens.write, tui.session.drafts
from tui.app import FlavorApp

def run(terminal, folder):
    os.setsid()
    handle = os.open(terminal, os.O_RDWR)
    fcntl.ioctl(handle, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(handle, number)
    FlavorApp(Path(folder), start_worker=False).run()
    os._exit(0)

for line in sys.stdin:
    terminal, folder, how = line.split()
    child = os.fork()
    if not child:
        if how == "careless":
            tui.session.drafts.KEYS, tui.screens.write.EVERY = 10_000, 10_000
        run(terminal, folder)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


@pytest.fixture
def nursery(monkeypatch):
    """A process with the app loaded that forks it on request."""
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    one = subprocess.Popen([sys.executable, "-c", NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    yield one
    one.stdin.close()
    one.wait()
    one.stdout.close()


def read_until(terminal: int, what: str) -> None:
    """Read the screen until `what` was painted."""
    seen = b""
    while what.encode() not in seen:
        assert select.select([terminal], [], [], 60)[0], f"{what!r} never came"
        seen += os.read(terminal, 1 << 16)


def type_and_kill(nursery, folder, keys: int, how: str = "careful") -> int:
    """Type so many keys, each seen on the screen before the next; kill the app. How many of them the draft lacks."""
    terminal, other = pty.openpty()
    nursery.stdin.write(f"{os.ttyname(other)} {folder} {how}\n")
    nursery.stdin.flush()
    pid = int(nursery.stdout.readline())
    read_until(terminal, "undo save")  # the footer: it comes last
    text = "".join(LETTERS[number % len(LETTERS)] for number in range(keys))
    for letter in text:
        os.write(terminal, letter.encode())
        read_until(terminal, letter)
    os.kill(pid, signal.SIGKILL)
    assert nursery.stdout.readline() == "dead\n"
    os.close(terminal)
    os.close(other)
    draft = folder / "drafts" / "write.json"
    kept = read_draft(draft).text if draft.exists() else ""
    assert text.startswith(kept)
    return keys - len(kept)


def test_at_most_twenty_keys_are_lost(nursery, quick_disk):
    lost, numbers = [], rng("draft killed")
    for number in cases("draft killed"):
        folder = quick_disk / str(number)
        config.create(folder, Task("Tiny Tavern Menu"))
        lost.append(type_and_kill(nursery, folder, numbers.randrange(25, 70)))
    assert max(lost) <= MOST, lost
    config.create(quick_disk / "careless", Task("Tiny Tavern Menu"))
    assert type_and_kill(nursery, quick_disk / "careless", 30, "careless") > MOST, "a draft that is not written was not caught"
    report(
        "draft killed", f"{len(lost)} kills while typing: at most {max(lost)} keys lost ({MOST} allowed)", "1 caught, all: no draft written"
    )
