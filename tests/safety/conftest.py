"""The figures of the suites, as a table after the last test; a folder that is quick to write to."""

import os
import tempfile
from pathlib import Path

import pytest

from tests.safety.sizes import SEED, SHARE, table, write_report


def pytest_terminal_summary(terminalreporter, exitstatus):
    write_report(exitstatus == 0)
    lines = table()
    if lines:
        which = f"{SHARE:g} of the long sizes" if SHARE else "short sizes"
        terminalreporter.section(f"what we promise ({which}, seed {SEED})")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture
def quick_disk(tmp_path):
    """A folder in memory where there is one: a kill takes nothing from the system's memory, so a slow disk would prove no more."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)
