"""What a run says of memory reaches the person: before it starts, and after memory ran out in it. The worker's words are written here."""

import pytest

from core.protocol import Loading, Step, Trained
from tests.app.test_jobs import until
from tui import commands
from tui.app import FlavorApp
from tui.commands import Line
from tui.session import Session

BEFORE = "Memory is short (1.0 GB free, 1.2 GB wanted): training one row at a time."
AFTER = "The memory ran out in step 2, which was done again: from there on with gradient checkpointing, which is slower."


@pytest.fixture
def short(monkeypatch):
    """Runs of which the worker says so."""

    async def retrain(self, plan):
        yield Loading(id=1, stage=BEFORE)
        yield Step(id=1, step=1, steps=1, epoch=1, loss=1.0, rate=1e-4, tokens=9, seconds=1.0)
        yield Trained(id=1, checkpoint="0001/epoch-01", steps=1, tokens=9, seconds=1.0, train_seconds=1.0, why="the only one", note=AFTER)

    async def nothing(*_):
        return
        yield

    monkeypatch.setattr(Session, "retrain", retrain)
    monkeypatch.setattr(commands, "start", nothing)


async def test_the_command_line_says_it(workspace, short):
    lines = [each async for each in commands._carry_out(workspace, lambda session: session.plan(True)) if isinstance(each, Line)]
    notes = [line.data["note"] for line in lines if set(line.data) == {"note"}]
    assert notes == [BEFORE, AFTER] and lines[-1].data["note"] == AFTER


async def test_the_screen_says_it(workspace, short):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.pause()
        await app.jobs._retrain(lambda: app.session.plan(True))
        await until(pilot, lambda: {BEFORE, AFTER} <= {str(note.message) for note in app._notifications})
