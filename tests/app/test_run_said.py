"""What a run says reaches the person: of memory before it starts and after it ran out, of the time that is left. The worker's words are written here."""

import pytest

from core import runfiles
from core.errors import FlavorError
from core.protocol import Loaded, Loading, Provisional, Step, Trained
from core.runfiles import CheckpointInfo
from tests.app.test_jobs import until
from tests.made import bake, refit, write
from tui.app import FlavorApp
from tui.commands import retraining as commands
from tui.commands.output import Line
from tui.jobs.retraining import _steps
from tui.session.session import Session

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
        await app.jobs.retraining._retrain(lambda: app.session.plan(True))
        await until(pilot, lambda: {BEFORE, AFTER} <= {str(note.message) for note in app._notifications})


async def test_that_a_retraining_pays_is_said_where_one_decides(workspace):
    with Session(workspace) as session:
        write(session, 4)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        app.jobs.doing, app.jobs._text = "ready", "ready: starter, 134 M parameters, NF4 on cpu"
        assert "134 M" in app.jobs.line().plain  # seven are too few to hold any out
        app.session.write_example("One more tower, and a bell in it.", {})
        assert app.jobs.line().plain == "○ ready: starter; t retrains: 8 examples it does not know yet"
        await pilot.press("f2")
        assert "on Curate t retrains" in app.jobs.line().plain
        bake(app.session, [4.0, 3.2])
        assert "retrains" not in app.jobs.line().plain
        app.jobs.doing = "none"


async def test_that_what_is_active_now_will_not_do_is_said(workspace, monkeypatch):
    with Session(workspace) as session:
        write(session, 12)
        bake(session, [4.0, 3.4, 3.2, 3.6])

    async def retrain(self, plan):
        self.use("0001/epoch-03")
        yield done("0001/epoch-03", "as chosen")

    monkeypatch.setattr(Session, "retrain", retrain)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.pause()
        await app.jobs.retraining._retrain(lambda: app.session.plan(True))
        assert any("while 0001/epoch-03 is overbaked" in str(note.message) for note in app._notifications)


@pytest.fixture
def refused(workspace, monkeypatch):
    """A run of taste that was refused, while a refit is active: its parent, which is named then, is the epoch that the refit repeats."""
    with Session(workspace) as session:
        write(session, 12)
        bake(session, [4.0, 3.2])
        refit(session, "0001/epoch-01")

    async def retrain(self, plan):
        assert plan.spec.parent == "0001/epoch-01"
        yield done(plan.spec.parent, "as before: taste was refused, it knows less well where a text ends")

    async def nothing(*_):
        return
        yield

    monkeypatch.setattr(Session, "retrain", retrain)
    monkeypatch.setattr(commands, "start", nothing)
    return workspace


def done(checkpoint, why):
    return Trained(id=1, checkpoint=checkpoint, steps=1, tokens=9, seconds=1.0, train_seconds=1.0, why=why)


async def test_a_refused_taste_leaves_active_what_was(refused):
    plan = lambda session: session.planner.plan(onwards=True)  # noqa: E731
    last = [each async for each in commands._carry_out(refused, plan) if isinstance(each, Line)][-1]
    assert last.text.startswith("0001/refit-01 is active, as before: taste was refused")
    assert (last.data["checkpoint"], last.data["measured_by"]) == ("0001/refit-01", "0001/epoch-01")
    app = FlavorApp(refused, start_worker=False)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.pause()
        await app.jobs.retraining._retrain(lambda: plan(app.session))
        assert any(str(note.message).startswith("0001/refit-01 stays active: as before") for note in app._notifications)


async def test_that_what_was_chosen_meanwhile_stays_is_said(workspace, monkeypatch):
    with Session(workspace) as session:
        write(session, 12)
        bake(session, [4.0, 3.4, 3.2])

    async def retrain(self, plan):
        yield done("0002/epoch-01", "the lowest held-out loss")

    monkeypatch.setattr(Session, "retrain", retrain)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.pause()
        await app.jobs.retraining._retrain(lambda: app.session.plan(True))
        said = "0001/epoch-02 stays active; 0002/epoch-01 is done (the lowest held-out loss): ⏎ on Runs takes it."
        assert said in {str(note.message) for note in app._notifications} and not app.prefer_new


class Chosen:
    """A worker whose run is ready early, and then measured. While it was made the person chose another checkpoint."""

    def __init__(self, app, then):
        self._app, self._then = app, then

    async def train(self, folder, sinks):
        where = folder / "checkpoints/epoch-01"
        where.mkdir(parents=True)
        name = f"{folder.name}/epoch-01"
        runfiles.write(where / "checkpoint.json", CheckpointInfo(name, 1, "starter", "f", "0" * 64, 3.0, 2.0, "now"))
        self._app.session.use("0001/epoch-01")
        yield Provisional(id=1, checkpoint=name, seconds=80.0)
        self._then(name)
        yield Step(id=1, step=1, steps=2, epoch=1, loss=1.0, rate=1e-4, tokens=9, seconds=1.0)
        self._app.jobs.halt()
        yield Trained(id=1, checkpoint=name, steps=1, tokens=9, seconds=90.0, train_seconds=1.0, why="as measured")


@pytest.mark.parametrize("takes", [False, True])
async def test_what_is_ready_and_not_taken_is_said_also_when_the_rest_is_stopped(workspace, takes):
    with Session(workspace) as session:
        write(session, 12)
        bake(session, [4.0, 3.4, 3.2])
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.pause()
        said, session = [], app.session
        app.say = lambda text, *_, **__: said.append(text)
        session.worker = Chosen(app, session.use if takes else lambda _: None)
        session.loaded = Loaded("tiny", "f", 1, 1, "cpu", "4 bits", id=1)
        app.jobs.doing = "training"
        await app.jobs.retraining._retrain(lambda: session.plan(True))
        ready = "0002/epoch-01 is ready after 1:20. 0001/epoch-01, which was chosen meanwhile, stays active; ⏎ on Runs takes the new one."
        ended = ("0002/epoch-01 stays active: as measured.", "The measuring was stopped; 0002/epoch-01 stays active.")
        if not takes:
            ended = (
                "0001/epoch-01 stays active; 0002/epoch-01 is done (as measured): ⏎ on Runs takes it.",
                "The retraining was stopped; 0001/epoch-01 stays active, and 0002 keeps the checkpoints that it has.",
            )
        assert ready in said and set(ended) <= set(said)
        session.worker = None


async def test_why_a_checkpoint_was_not_taken_is_forgotten_once_a_person_chose(workspace, monkeypatch):
    with Session(workspace) as session:
        write(session, 12)
        bake(session, [4.0, 3.2])
        use, said = session.use, []

        class Worker:
            async def train(self, folder, sinks):
                monkeypatch.setattr(session, "use", full)
                yield Provisional(id=1, checkpoint=f"{folder.name}/epoch-01", seconds=80.0)
                said.append(session.not_taken)
                use("0001/epoch-01")
                yield Trained(
                    id=1, checkpoint=f"{folder.name}/epoch-01", steps=1, tokens=9, seconds=90.0, train_seconds=1.0, why="as measured"
                )

        def full(*_):
            raise FlavorError("runs/current could not be written: No space left on device.")

        monkeypatch.setattr(session, "ready", lambda: (Worker(), None))
        async for _ in session.retrain(session.plan(True)):
            pass
        assert said == ["runs/current could not be written: No space left on device."] and session.not_taken == ""


def test_the_time_left_is_that_of_the_steps():
    """Between the second and the third step eight texts were sampled, which took a minute; the first took long, since all was made ready."""

    def told(step, seconds, spent):
        event = Step(id=1, step=step, steps=12, epoch=1, loss=2.0, rate=1e-4, tokens=9, seconds=seconds, spent=spent)
        return _steps(event, "", 9.0)

    assert told(1, 29.0, 9.0) == "step 1/12  loss 2.00"
    assert told(2, 31.0, 11.0).endswith("0:20 left")
    assert told(3, 93.0, 13.0).endswith("0:18 left")
