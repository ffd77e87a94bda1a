"""A folder that is quick to write to."""

import tempfile
from pathlib import Path

import pytest

from tests.safety.memory import in_memory


@pytest.fixture
def quick_disk(tmp_path):
    """A folder in memory where there is room: a kill takes nothing from the system's memory, so a slow disk would prove no more."""
    where = in_memory()
    if not where:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield Path(folder)
