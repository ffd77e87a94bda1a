"""What all tests share: nothing of them reaches the developer's home; two processes run them; the safety suites' figures at the end."""

import os

import hypothesis
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a core for each of the two processes, and for the worker that it starts

from core import config
from core.task import Field, Task
from tests.safety.memory import in_memory
from tests.safety.sizes import SEED, SHARE, figures, table, write_report
from tui.session.session import Session

FIRST = (
    "test_the_loop_by_commands", "test_process_events.py", "test_crash_states.py", "test_tutorial.py", "test_loop.py", "test_learning.py",
    "test_security_hostile.py", "test_security_imports.py", "test_operations.py", "test_process_worker.py", "test_process_killed.py",
    "test_faults.py",
)  # fmt: skip
"""The dearest files and tests, begun first: else one process is still at them when the other has nothing left. The very first one chooses the
starter's codes, which takes minutes and is done once: meanwhile the other process has what needs no model."""
ALONE = ("test_loop.py", "test_process_events.py", "test_process_killed.py", "test_security_hostile.py")
"""Files whose tests share nothing that takes long to make: each test goes to the process that is free. Other files stay together."""


hypothesis.settings.register_profile("calm", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("calm")  # a busy machine is no fault


def pytest_configure():
    """The tests' folders are in memory where there is room: a process that dies takes nothing from the system's memory, so that a disk
    which waits at every fsync would prove no more. What a power cut leaves is looked at on a disk of our own, in `tests/safety/disk.py`."""
    if where := in_memory(4 << 30):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", where)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: min(FIRST.index(name) if name in FIRST else len(FIRST) for name in (item.originalname, item.path.name)))
    for item in items:
        if item.path.name not in ALONE:
            item.add_marker(pytest.mark.xdist_group(f"{item.path.parent.name}/{item.path.stem}"))


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Tests press the key that answers a question at once; a person who does has not read it."""
    monkeypatch.setattr("tui.twice.HASTE", 0.0)


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = figures


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    figures.extend(map(tuple, getattr(node, "workeroutput", {}).get("figures", ())))


def pytest_terminal_summary(terminalreporter, exitstatus):
    write_report(exitstatus == 0)
    lines = table()
    if lines:
        which = f"{SHARE:g} of the long sizes" if SHARE else "short sizes"
        terminalreporter.section(f"what we promise ({which}, seed {SEED})")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAVOR_TUI_STATE", str(tmp_path / "state"))


@pytest.fixture
def task():
    return Task("Tiny Tavern Menu", fields=(Field("Mood", "choice", ("Calm", "Grim")), Field("Price", "scale"), Field("Cook")))


@pytest.fixture
def there(tmp_path, task):
    """A workspace without rows."""
    folder = tmp_path / "tavern"
    config.create(folder, task)
    return folder


@pytest.fixture
def session(there):
    with Session(there) as opened:
        yield opened
