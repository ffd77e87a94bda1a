"""The curve behind l on Runs, with a real worker on a tiny base: it runs when idle, gives way at once, and goes on with the same key."""

import asyncio
import re

import msgspec
import pytest

from core.config import FILE
from core.errors import FlavorError
from core.protocol import Candidate as Arrived
from core.protocol import Loaded
from runs.points import Points
from tests.app.test_jobs import until
from tests.app.test_sheet_screen import Slow, _queue
from tests.engine.conftest import make_tiny
from tui.app import FlavorApp
from tui.screens.curve import CurveDialog
from tui.screens.sweep import SweepDialog
from tui.session.session import Session
from tui.session.sweep import Sweep, parse_grid
from tui.widgets.plain import Plain


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def quick(workspace, base):
    """Twelve rows on the tiny base, few tokens a text, and points that take long enough to be interrupted."""
    path = workspace / FILE
    text = path.read_text().replace('base = "starter"', f'base = "{base}"')
    text = re.sub(r"\[training\]\n", "[training]\nepochs = 1\n", text)
    path.write_text(re.sub(r"\[sampling\]\n", "[sampling]\nmax_tokens = 6\nbatch = 2\nkeep_ready = 1\n", text))
    with Session(workspace) as session:
        for number in range(9):
            session.write_example(f"Tower {number}, and its light.", {})
    return workspace


def said_of_plan(app):
    return str(app.screen.query_one("#curve-plan", Plain).content)


async def test_the_curve_gives_way_and_goes_on(quick):
    app = FlavorApp(quick)
    points = Points(quick)
    async with app.run_test(size=(100, 40)) as pilot:
        jobs = app.jobs
        await until(pilot, lambda: jobs.doing == "ready")
        await pilot.press("f5", "l")
        await until(pilot, lambda: isinstance(app.screen, CurveDialog) and "enter begins" in said_of_plan(app))
        assert "they tell the loss of each row, no more" in said_of_plan(app)  # of so few rows
        assert jobs.doing == "ready"  # to look is not to measure
        await pilot.press("enter")
        await until(pilot, lambda: jobs.doing == "curving" and "left" in jobs.line().plain)
        await until(pilot, lambda: "c stops it" in said_of_plan(app))
        await until(pilot, lambda: len(points.all()) >= 1)
        await until(pilot, lambda: "held-out loss" in str(app.screen.query_one("#evidence-text", Plain).content))

        await pilot.press("escape", "f3", "g")  # the person wants candidates
        await until(pilot, lambda: jobs.doing == "sampling")
        measured = len(points.all())
        await until(pilot, lambda: jobs.doing == "curving" and len(points.all()) > measured)  # by itself
        await pilot.press("c")
        await until(pilot, lambda: jobs.doing == "ready")
        measured = len(points.all())
        await pilot.pause(0.2)
        assert jobs.doing == "ready" and len(points.all()) == measured  # it does not begin again by itself

        await pilot.press("f5", "l", "enter")  # goes on where it was
        await until(pilot, lambda: jobs.doing == "curving" and len(points.all()) > measured)
        keys = [kept.point.key for kept in points.all()]
        assert len(set(keys)) == len(keys)

        await pilot.press("escape", "f3", *"x" * len(app.session.store.pending))  # nobody should wait for candidates
        await until(pilot, lambda: jobs.doing == "sampling")
        await until(pilot, lambda: jobs.doing == "curving")  # by itself, with the time that was left
        await pilot.press("c")
        await until(pilot, lambda: jobs.doing == "ready")

        await pilot.press("f5", "l", "enter", "l", "l")  # left and opened again: it goes on
        await until(pilot, lambda: jobs.doing == "curving")
        await pilot.press("escape", "T")  # a retraining comes first, too
        await until(pilot, lambda: jobs.doing == "training")
        await until(pilot, lambda: app.session.registry.current() == "0001/refit-01")


async def test_c_in_the_dialogs_stops_what_they_show_and_nothing_else(quick, held):
    """A retraining, however young, goes on; a curve that waits is told from it."""
    app = FlavorApp(quick)
    said = []
    async with app.run_test(size=(100, 40)) as pilot:
        jobs = app.jobs
        await until(pilot, lambda: held.begun == ["load"])
        held.go["load"].set()
        await until(pilot, lambda: jobs.doing == "ready")
        await pilot.press("f3", "t")
        await until(pilot, lambda: "run" in held.begun)
        app.say = lambda text, *_, **__: said.append(text)
        app.push_screen(CurveDialog())
        await pilot.press("c")
        assert said == ["The learning curve is not being measured: there is nothing to stop."] and jobs.doing == "training"
        jobs.curve.ask(held, 600)
        jobs.sweep.ask(held, 600)
        await pilot.press("c")
        assert said[-1] == "The learning curve waits no more; it does when you ask for it again." and jobs.doing == "training"
        await pilot.press("escape")
        held.go["run"].set()
        await until(pilot, lambda: jobs.doing == "sweeping")
        app.push_screen(CurveDialog())
        await pilot.press("c")
        assert jobs.doing == "sweeping"  # it is another's
        jobs.curve.ask(held, 600)
        await pilot.press("escape")
        app.push_screen(SweepDialog())
        await pilot.pause()
        await pilot.press("c")
        assert said[-1] == "The sweep was stopped; everything is as it was."
        await until(pilot, lambda: jobs.doing == "curving")  # which has waited for it
        assert held.begun == ["load", "run", "curve", "curve"]


async def test_too_few_rows_are_said(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 40), notifications=True) as pilot:
        await pilot.press("f5", "l")
        await until(pilot, lambda: "needs 8 rows of yours" in said_of_plan(app))
        await pilot.press("enter")
        await pilot.pause()
        assert any("needs 8 rows of yours" in note.message for note in app._notifications)


class Held:
    """What the worker would do, in its place: it goes on when it is let. Knows what was begun, in order."""

    def __init__(self):
        self.begun, self.go = [], {name: asyncio.Event() for name in ("load", "run", "curve")}

    async def wait(self, name):
        self.begun.append(name)
        await self.go[name].wait()

    async def load(self, session, early=False):
        await self.wait("load")
        session.worker = Slow()
        session.loaded = Loaded(id=1, name="x", fingerprint="f", parameters=1, trainable=1, device="cpu", form="none")
        yield session.loaded

    async def train(self, session, plan):
        session.registry.create(plan.spec, plan.rows, plan.pairs)
        await self.wait("run")
        return
        yield

    # a curve's subject

    def check(self):
        pass

    def missing(self):
        return 1

    async def measure(self, budget):
        await self.wait("curve")
        return
        yield

    async def sentence(self):
        return "Measured."


@pytest.fixture
def held(monkeypatch):
    made = Held()
    monkeypatch.setattr(Session, "start_worker", lambda session, early=False: made.load(session))
    monkeypatch.setattr(Session, "retrain", lambda session, plan: made.train(session, plan))
    return made


async def test_what_was_asked_for_while_it_loads_comes_one_after_the_other(quick, held):
    """The queue is full: the curve could begin, but the retraining is before it; and at its end, the curve before the contact sheet."""
    app = FlavorApp(quick)
    async with app.run_test(size=(100, 40)) as pilot:
        jobs = app.jobs
        await until(pilot, lambda: held.begun == ["load"])
        jobs.curve.ask(held, 600)
        await pilot.press("f3", "t")
        held.go["load"].set()
        await until(pilot, lambda: "run" in held.begun)
        await pilot.pause(0.1)
        assert held.begun == ["load", "run"] and jobs.doing == "training"
        held.go["run"].set()
        await until(pilot, lambda: "curve" in held.begun)
        await pilot.pause(0.1)
        assert jobs.doing == "curving" and app.session.worker.asked == []
        await pilot.press("t")  # what is behind gives way, and goes on after it with the time that it had left
        await until(pilot, lambda: held.begun == ["load", "run", "curve", "run", "curve"])


async def test_what_waits_begins_after_a_run_that_failed(quick, held, monkeypatch):
    """The curve that was granted, and candidates where the last were decided meanwhile."""
    held.go["load"].set()
    app = FlavorApp(quick)

    async def failing(session, plan):
        await held.wait("run")
        for uid in list(session.store.pending):
            session.decide(uid, "reject")
        raise FlavorError("The memory ran out.", "", "memory")
        yield

    monkeypatch.setattr(Session, "retrain", failing)
    async with app.run_test(size=(100, 40)) as pilot:
        jobs = app.jobs
        await until(pilot, lambda: jobs.doing == "ready")
        await pilot.press("f3", "t")
        await until(pilot, lambda: "run" in held.begun)
        jobs.curve.ask(held, 600)
        held.go["run"].set()
        await until(pilot, lambda: jobs.doing == "sampling")
        await until(pilot, lambda: len(app.session.worker.asked) == 1)
        for _ in range(2):
            app.session.worker.go.release()
        await until(pilot, lambda: jobs.doing == "curving")


async def test_a_worker_that_lost_the_gpu_is_started_again_by_its_key(quick, held, monkeypatch):
    """It lives, and says that it is of no use."""
    held.go["load"].set()
    app = FlavorApp(quick)

    async def lost(session, plan):
        raise FlavorError("The GPU does not answer the worker any more.", "R starts it again.", "worker")
        yield

    monkeypatch.setattr(Session, "retrain", lost)
    async with app.run_test(size=(100, 40)) as pilot:
        await until(pilot, lambda: app.jobs.doing == "ready")
        await pilot.press("f3", "t")
        await until(pilot, lambda: app.jobs.doing == "dead")
        await pilot.press("R")
        await until(pilot, lambda: app.jobs.doing == "ready" and held.begun == ["load", "load"])


async def test_sampling_that_adds_nothing_to_what_is_wanted_ends(quick, held, monkeypatch):
    """Whatever the reason: it would go on all night."""
    held.go["load"].set()
    app = FlavorApp(quick)
    async with app.run_test(size=(100, 40)) as pilot:
        await until(pilot, lambda: app.jobs.doing == "ready")
        monkeypatch.setattr(app.session, "newest", list)
        for _ in range(20):
            app.session.worker.go.release()
        app.changed()
        await until(pilot, lambda: len(app.session.worker.asked) == 2 and app.jobs.doing == "ready")
        app.changed()
        await pilot.pause(0.3)
        assert len(app.session.worker.asked) == 2
        app.jobs.samples.ask()
        await until(pilot, lambda: len(app.session.worker.asked) == 3 and app.jobs.doing == "ready")


async def test_sampling_that_brings_nothing_but_empty_texts_ends(quick, held):
    """They are passed over as soon as one text with words waits."""
    held.go["load"].set()
    app = FlavorApp(quick)
    async with app.run_test(size=(100, 40)) as pilot:
        await until(pilot, lambda: app.jobs.doing == "ready")
        worker = app.session.worker
        full = worker.sample

        async def empty(*asked, **options):
            async for event in full(*asked, **options):
                yield msgspec.structs.replace(event, text="") if isinstance(event, Arrived) else event

        worker.sample = empty
        app.session.settings = _queue(app.session.settings, 6)
        for _ in range(20):
            worker.go.release()
        app.changed()
        await until(pilot, lambda: len(worker.asked) == 2 and app.jobs.doing == "ready")
        await pilot.pause(0.3)
        assert len(worker.asked) == 2


async def test_sampling_goes_on_when_the_disk_was_mended(quick, held, monkeypatch):
    held.go["load"].set()
    app = FlavorApp(quick)
    async with app.run_test(size=(100, 40)) as pilot:
        await until(pilot, lambda: app.jobs.doing == "ready")
        app.session.store.journal.broken = "The journal could not be written."
        await pilot.press("f3", "g")
        await until(pilot, lambda: app.jobs.samples._stopped)
        monkeypatch.setattr(app.session.store, "renew", lambda: setattr(app.session.store.journal, "broken", ""))
        await pilot.press("ctrl+r", "ctrl+s")
        await until(pilot, lambda: not app.screen.is_modal)
        assert not app.jobs.samples._stopped


async def test_what_has_not_had_its_turn_gives_way_too(quick, held):
    """Two keys between two turns."""
    held.go["load"].set()
    app = FlavorApp(quick)
    async with app.run_test(size=(100, 40)) as pilot:
        jobs = app.jobs
        await until(pilot, lambda: jobs.doing == "ready")
        jobs.curve.ask(held, 600)
        assert jobs.doing == "curving"
        jobs.retraining.ask(False)
        assert jobs.doing == "training" and not jobs.make_room()
        jobs.cancel()
        assert jobs.doing == "ready"
        jobs.curve.ask(held, 600)
        jobs.cancel()
        assert jobs.doing == "ready"
        app.changed()
        await pilot.pause(0.1)
        assert held.begun == ["load"] and jobs.doing == "ready"


async def test_a_look_that_takes_its_time_is_not_begun_anew(quick, monkeypatch):
    app = FlavorApp(quick, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        begun, real = [], app.session.learning.look

        async def slow():
            begun.append(1)
            await asyncio.sleep(1.8)
            return await real()

        monkeypatch.setattr(app.session.learning, "look", slow)
        await pilot.press("f5", "l")
        await pilot.pause(1.4)
        assert len(begun) == 1
        await until(pilot, lambda: "looking through" not in str(app.screen.query_one("#evidence-text", Plain).content))
        assert len(begun) == 1


async def test_other_numbers_take_the_place_of_those_that_are_tried(quick, held, monkeypatch):
    held.go["load"].set()
    app, said = FlavorApp(quick), []

    class Asked(Held):
        """A sweep of these numbers."""

        def __init__(self, numbers):
            super().__init__()
            self.numbers = numbers

        def __eq__(self, other):
            return self.numbers == other.numbers

        async def wait(self, name):
            held.begun.append(self.numbers)
            await self.go[name].wait()

    async with app.run_test(size=(100, 40)) as pilot:
        jobs = app.jobs
        await until(pilot, lambda: jobs.doing == "ready")
        app.say = lambda text, *_, **__: said.append(text)
        jobs.sweep.ask(Asked("4"), 600)
        await until(pilot, lambda: held.begun[-1] == "4")
        jobs.sweep.ask(Asked("4"), 600)
        assert said == []
        jobs.sweep.ask(Asked("8"), 600)
        await until(pilot, lambda: held.begun[-1] == "8" and jobs.doing == "sweeping")
        assert said == ["The sweep goes on with what you ask for now; what was measured is kept."]
        jobs.sweep.stop()
        await until(pilot, lambda: jobs.doing == "ready")
        jobs.sweep.ask(Asked("4"), 600)
        jobs.sweep.ask(Asked("16"), 600)  # before the first had its turn
        await until(pilot, lambda: held.begun[-1] == "16")
        assert held.begun == ["load", "4", "8", "16"]


def test_two_sweeps_of_the_same_numbers_are_one(quick):
    with Session(quick) as session:
        assert Sweep(session, parse_grid("4", "", "")) == Sweep(session, parse_grid("4", "", ""))
        assert Sweep(session, parse_grid("4", "", "")) != Sweep(session, parse_grid("8", "", ""))


async def test_with_too_few_rows_nothing_is_said_to_be_done_and_without_a_model_it_waits_for_one(workspace, held):
    app, said = FlavorApp(workspace, start_worker=False), []
    async with app.run_test(size=(100, 40)) as pilot:
        await pilot.press("f6", "s")
        await pilot.pause()
        app.say = lambda text, *_, **__: said.append(text)
        app.complain = lambda error: said.append(error.message)
        await pilot.press("enter")
        assert len(said) == 1 and "needs 8 rows" in said[0]
        app.jobs.tell("dead", "The worker stopped.", way_out=lambda: f" {app.jobs.key('restart_worker')} starts it again.")
        app.jobs.sweep.ask(held, 600)
        assert said[1:] == ["The sweep waits for a model: The worker stopped. on Curate R starts it again."]
        app.jobs.doing = "none"
