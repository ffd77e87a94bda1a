"""`t` while a run's checkpoint is in use and only its measuring goes on: that gives way, and has ended before the next run begins."""

import asyncio
import contextlib
from types import SimpleNamespace

from core.protocol import Provisional
from tests.app.test_typing import until
from tui.app import FlavorApp


class Runs:
    """In place of the session's retraining: each run publishes a checkpoint and is measured for an hour, its name says which it is."""

    def __init__(self, app):
        self.app, self.told, self.count = app, [], 0

    def plan(self, fresh, **_):
        spec = SimpleNamespace(name=f"run {self.count + 1}", parent=None, epochs=3)
        return SimpleNamespace(line=lambda: f"{spec.name} on 8 rows", advice="", spec=spec)

    slow = 0.2
    """Seconds that a run takes to end."""

    async def retrain(self, plan):
        self.count += 1
        self.told.append(f"{plan.spec.name} begins")
        try:
            if self.count != 2:
                self.app.session.registry.current = lambda: f"{plan.spec.name}/refit-01"
                yield Provisional(id=1, checkpoint=f"{plan.spec.name}/refit-01", seconds=1.0)
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(self.slow)  # the worker is told
            self.told.append(f"{plan.spec.name} ends")


@contextlib.asynccontextmanager
async def measured(workspace, slow=0.2):
    """The app while its first run is measured, and what it says."""
    app, said = FlavorApp(workspace, start_worker=False), []
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f3")
        runs = Runs(app)
        runs.slow = slow
        app.session.plan, app.session.retrain = runs.plan, runs.retrain
        app.say = lambda text, *_, **__: said.append(text)
        app.jobs.doing = "ready"
        await pilot.press("t")
        await until(pilot, lambda: app.jobs.retraining.stays == "run 1/refit-01")
        yield app, pilot, runs, said
        app.jobs.doing, app.jobs._task = "none", None


async def test_what_remains_of_a_run_in_use_gives_way_to_the_next(workspace):
    async with measured(workspace) as (app, pilot, runs, said):
        await pilot.press("t")
        await until(pilot, lambda: runs.told == ["run 1 begins", "run 1 ends", "run 2 begins"])
        assert "The measuring of run 1/refit-01 gives way. Retraining, run 2 on 8 rows" in said and app.jobs.doing == "training"
        assert not app.jobs.retraining.stays
        await pilot.press("t")  # this one is being trained
        await pilot.pause()
        assert said[-1].startswith("The retraining is going on") and runs.count == 2
        app.jobs.retraining._since = -3600.0
        await pilot.press("c", "c")
        await until(pilot, lambda: runs.told[-1] == "run 2 ends")
        assert said[-1].startswith("The retraining was stopped; everything is as it was. No candidates come")
        app.jobs.doing = "ready"
        await pilot.press("t")
        await until(pilot, lambda: app.jobs.retraining.stays == "run 3/refit-01")
        app.jobs.retraining._since = -3600.0
        await pilot.press("c", "c")
        await until(pilot, lambda: runs.told[-1] == "run 3 ends")
        assert said[-1].startswith("The measuring was stopped; run 3/refit-01 stays active. No candidates come")


async def test_a_run_that_waits_for_the_one_before_can_be_stopped(workspace):
    async with measured(workspace, slow=0.6) as (app, pilot, runs, said):
        await pilot.press("t", "t", "c")
        assert runs.told == ["run 1 begins"]
        assert said[-2].startswith("The retraining is going on") and said[-1].startswith("The retraining was stopped; ")
        await pilot.pause(0.8)
        assert runs.told == ["run 1 begins", "run 1 ends"] and app.jobs.doing != "training"


async def test_a_checkpoint_that_is_in_use_no_more_is_not_said_to_be(workspace):
    async with measured(workspace) as (app, _, _, _):
        assert app.jobs.retraining.lost_by_leaving == "the measuring of run 1/refit-01, which is in use already"
        app.session.registry.current = lambda: "base"
        assert app.jobs.retraining.lost_by_leaving == "the retraining"
