"""What a run says reaches the person: of memory before it starts and after it ran out, of the time that is left. The worker's words are written here."""

import pytest

from core.protocol import Loading, Step, Trained
from tests.app.test_jobs import until
from tui import commands
from tui.app import FlavorApp
from tui.commands import Line
from tui.jobs import _steps
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


def test_the_time_left_is_that_of_the_steps():
    """Between the second and the third step eight texts were sampled, which took a minute; the first took long, since all was made ready."""

    def told(step, seconds, spent):
        event = Step(id=1, step=step, steps=12, epoch=1, loss=2.0, rate=1e-4, tokens=9, seconds=seconds, spent=spent)
        return _steps(event, "", 9.0)

    assert told(1, 29.0, 9.0) == "step 1/12  loss 2.00"
    assert told(2, 31.0, 11.0).endswith("0:20 left")
    assert told(3, 93.0, 13.0).endswith("0:18 left")
