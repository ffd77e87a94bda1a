"""The real program with a stand-in worker, in a terminal: workspaces for it, and what the suites of processes share."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import core
from core import config
from core.task import Field, Task
from dataset.store import Store
from tests.safety.terminal import Terminal
from tui.session.session import Session

ROOT = Path(core.__file__).parent.parent
FAKE = [sys.executable, "-P", "-m", "tests.safety.fake_worker"]
WITH_FAKE = f"""
import core.client
init = core.client.WorkerClient.__init__
core.client.WorkerClient.__init__ = lambda self, log, python=None: init(self, log, {FAKE!r})
"""
"""Put before the launcher: the program as it is, with the stand-in in the worker's place."""
TASK = Task("Brief Description of a Lighthouse", fields=(Field("Height", "scale"), Field("Keeper", "choice", ("Kind", "Odd"))))


def make_workspace(folder: Path, ready: int = 6, task: Task = TASK) -> Path:
    """A workspace with two examples, whose queue is filled up to `ready` candidates by the stand-in."""
    config.create(folder, task)
    path = folder / config.FILE
    path.write_text(re.sub(r"\[sampling\]\n", f"[sampling]\nbatch = 8\nkeep_ready = {ready}\n", path.read_text()))
    with Session(folder) as session:
        for number in range(2):
            session.write_example(f"Example {number}: a tower with a light and a keeper who counts ships.", {"Height": "2"})
    return folder


def open_program(workspace: Path, state: Path, **options: str) -> Terminal:
    """The program in a pty, with the stand-in."""
    return Terminal(
        workspace, code=WITH_FAKE, PYTHONPATH=str(ROOT), FLAVOR_TUI_STATE=str(state), FLAVOR_TUI_CACHE=str(state / "cache"), **options
    )  # type: ignore[arg-type]


def store_of(workspace: Path) -> Store:
    """What a fresh process would read."""
    return Store(workspace, read_only=True)


def use_fake(monkeypatch, fault: str = "", texts: str = "") -> None:
    """The stand-in in the worker's place, for an app in this process."""
    import core.client

    init = core.client.WorkerClient.__init__
    monkeypatch.setattr(core.client.WorkerClient, "__init__", lambda self, log, python=None: init(self, log, FAKE))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("FAKE_FAULT", fault)
    monkeypatch.setenv("FAKE_TEXTS", texts)
