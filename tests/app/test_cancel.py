"""`c`: a retraining that has gone on for long is not stopped by one key."""

import pytest

from tui import jobs
from tui.app import FlavorApp


class Task:
    """Stands for the job that would be cancelled."""

    def __init__(self):
        self.cancelled = 0
        self.is_finished = False

    def cancel(self):
        self.cancelled += 1


@pytest.mark.parametrize(("long", "presses"), [(0, 2), (3600, 1)])
async def test_a_long_retraining_asks_first(workspace, monkeypatch, long, presses):
    monkeypatch.setattr(jobs, "LONG", long)
    app = FlavorApp(workspace, start_worker=False)
    said = []
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.say = lambda text, *_: said.append(text)
        task = app.jobs._task = Task()
        app.jobs.doing, app.jobs._training_since = "training", jobs.time.monotonic()
        for press in range(presses):
            assert task.cancelled == 0 and len(said) == press
            await pilot.press("c")
        assert task.cancelled == 1 and "was stopped" in said[-1] and len(said) == presses
        assert presses == 1 or said[0].startswith("Once more stops the retraining")
        app.jobs.doing, app.jobs._task = "none", None
