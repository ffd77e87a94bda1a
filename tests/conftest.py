"""What all tests share: nothing of them reaches the developer's home."""

import pytest

from core import config
from core.task import Field, Task
from tui.session import Session


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
