"""`c`: a retraining that has gone on for long is not stopped by one key."""

import asyncio
import contextlib

import pytest
from textual.widgets import Input

from core.errors import FlavorError
from tests.app.test_curve import Held
from tests.app.test_jobs import until
from tests.app.test_sheet_screen import _queue, load
from tui.app import FlavorApp
from tui.jobs import retraining
from tui.session import losses
from tui.widgets.chrome import Activity


class Task:
    """Stands for the job that would be cancelled."""

    def __init__(self):
        self.cancelled = 0
        self.is_finished = False

    def cancel(self):
        self.cancelled += 1


@contextlib.asynccontextmanager
async def on_library(workspace, doing="training"):
    """The app on Library while something goes on; what it says is kept."""
    app, said = FlavorApp(workspace, start_worker=False), []
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f4")
        await pilot.pause()
        app.say = lambda text, *_, **__: said.append(text)
        app.jobs._task, app.jobs.doing, app.jobs.retraining._since = Task(), doing, retraining.time.monotonic()
        yield app, pilot, said
        app.jobs.doing, app.jobs._task = "none", None


@pytest.mark.parametrize(("long", "presses"), [(0, 2), (3600, 1)])
async def test_a_long_retraining_asks_first(workspace, monkeypatch, long, presses):
    monkeypatch.setattr(retraining, "LONG", long)
    async with on_library(workspace) as (app, pilot, said):
        task = app.jobs._task
        for press in range(presses):
            assert task.cancelled == 0 and len(said) == press
            await pilot.press("c")
        assert task.cancelled == 1 and "was stopped" in said[-1] and len(said) == presses
        assert presses == 1 or said[0].startswith("c once more stops the retraining")


async def test_the_question_names_the_key_that_was_pressed(workspace, monkeypatch):
    monkeypatch.setattr(retraining, "LONG", 0)
    async with on_library(workspace) as (_, pilot, said):
        await pilot.press("escape", "j", "c")
        assert [text.split(" once more")[0] for text in said] == ["esc", "c"]


async def test_another_key_takes_the_question_back_and_a_search_is_only_left(workspace, monkeypatch):
    monkeypatch.setattr(retraining, "LONG", 0)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        task = app.jobs._task = Task()
        app.jobs.doing, app.jobs.retraining._since = "training", retraining.time.monotonic()
        await pilot.press("f3", "escape", "x", "escape", "j", "c", "f4", "slash", *"lamp", "escape")
        search = app.screen.query_one("#search", Input)
        assert (search.value, search.has_focus, task.cancelled) == ("", False, 0)
        await pilot.press("o", "c", "c")
        assert task.cancelled == 1
        app.jobs.doing, app.jobs._task = "none", None


NO_MORE = " No candidates come by themselves now; on Curate g samples some."


@pytest.mark.parametrize(
    ("doing", "queue", "said"),
    [
        ("measuring", True, "The measurement was stopped; everything is as it was."),
        ("downloading", True, "The download was stopped; everything is as it was."),
        ("sampling", True, "The sampling was stopped; everything is as it was." + NO_MORE),
        ("sampling", False, "The sampling was stopped; everything is as it was."),  # a text was gone on with
        ("loading", True, "No more candidates until the model is ready."),
        ("loading", False, "The sampling was stopped; everything is as it was."),
        ("training", False, "The retraining was stopped; everything is as it was." + NO_MORE),
    ],
)
async def test_that_no_candidates_come_is_said_where_none_do(workspace, monkeypatch, doing, queue, said):
    monkeypatch.setattr(retraining, "LONG", 3600)
    async with on_library(workspace, doing) as (app, pilot, notes):
        app.jobs.samples.for_queue, app.jobs.samples._beside = queue, Task() if doing == "loading" else None
        await pilot.press("escape")
        assert notes == [said] and app.jobs.samples._stopped == ("No more" in said or said.endswith(NO_MORE))
        assert not app.jobs.samples._beside


@pytest.mark.parametrize("at_once", [False, True])
async def test_candidates_that_a_measurement_stopped_come_when_it_is_stopped(workspace, monkeypatch, at_once):
    """Before its first turn, too."""
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f4")
        await pilot.pause()
        worker, jobs = load(app), app.jobs
        app.session.settings = _queue(app.session.settings, 6)
        app.changed()
        await until(pilot, lambda: len(worker.asked) == 1)
        begun = []

        async def measuring(session):
            begun.append(session)
            await asyncio.sleep(3600)
            yield

        monkeypatch.setattr(losses, "measure", measuring)
        if at_once:
            jobs.losses.ask()
            jobs.cancel()
        else:
            await pilot.press("l")
            await until(pilot, lambda: begun and jobs.doing == "measuring")
            await pilot.press("escape")
        await until(pilot, lambda: jobs.doing == "sampling" and len(worker.asked) == 2)
        assert bool(begun) != at_once


async def test_candidates_that_are_too_few_come_when_a_curve_is_stopped(workspace):
    """While some wait it goes before them."""
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f4")
        await pilot.pause()
        worker, jobs = load(app), app.jobs
        app.session.settings = _queue(app.session.settings, 6)
        jobs.curve.ask(Held(), 600)
        await until(pilot, lambda: jobs.doing == "curving")
        await pilot.press("escape")
        await until(pilot, lambda: jobs.doing == "sampling" and len(worker.asked) == 1)


@pytest.mark.parametrize(
    ("doing", "wish", "lost"), [("training", None, "the retraining"), ("loading", list, "the retraining that is to follow")]
)
async def test_leaving_without_what_is_waited_for_asks_first(workspace, doing, wish, lost):
    app = FlavorApp(workspace, start_worker=False)
    said = []
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.say = lambda text, *_, **__: said.append(text)
        app.jobs.doing, app.session.wish = doing, wish
        await pilot.press("ctrl+q")
        assert said == [f"^q once more leaves without {lost}."] and not app._exit
        await pilot.press("ctrl+q")
        await pilot.pause()
        assert len(said) == 1 and app._exit


async def test_what_is_said_of_the_key_holds_where_it_is_said(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        said = {}
        for key in ("f3", "f5", "f2", "f4"):
            await pilot.press(key)
            await pilot.pause()
            said[key] = app.jobs.stops()
        assert said == {"f3": "c stops it", "f5": "esc stops it", "f2": "on Curate c stops it", "f4": "c stops it"}
        app.jobs.doing = "training"
        for key in ("f4", "f5"):
            pressed = []
            app.jobs.cancel = lambda pressed=pressed: pressed.append(True)
            await pilot.press(key)
            await pilot.pause()
            await pilot.press({"f4": "c", "f5": "escape"}[key])
            assert pressed == [True]
        app.jobs.doing = "none"


@pytest.mark.parametrize(
    ("own", "said"), [("", "on Curate c stops it"), ('cancel = "y,f9"\n', "f9 stops it"), ('cancel = "y"\n', "on Curate y stops it")]
)
async def test_the_key_is_the_persons_own(workspace, own, said):
    with (workspace / "flavor.toml").open("a", encoding="utf-8") as file:
        file.write(own)  # a new one ends with [keys]
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f2")
        await pilot.pause()
        assert app.jobs.stops() == said


@pytest.mark.parametrize(
    ("doing", "keys", "said"),
    [
        ("measuring", ("f3", "t"), "The measurement is going on; c stops it."),
        ("measuring", ("f3", "g"), "The measurement is going on; c stops it."),
        ("measuring", ("f2", "ctrl+g"), "The measurement is going on; on Curate c stops it."),
        ("measuring", ("f4", "l"), "The measurement is going on; c stops it."),
        ("training", ("f4", "l"), "The retraining is going on; c stops it."),
        ("training", ("f5", "t"), "The retraining is going on; esc stops it."),
        ("downloading", ("f3", "g"), "The download is going on; c stops it."),
        ("loading", ("f3", "g"), "The model is being made ready; deciding and writing go on."),
        ("dead", ("f3", "t"), "It ran out of memory. R starts it again."),
        ("none", ("f3", "g"), "The model is not loaded; R starts the worker."),
    ],
)
async def test_what_keeps_the_model_busy_is_said_with_its_key(workspace, doing, keys, said):
    app = FlavorApp(workspace, start_worker=False)
    notes = []
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        app.say = lambda text, *_, **__: notes.append(text)
        app.jobs.tell(doing, "It ran out of memory. R starts it again." if doing == "dead" else "")
        await pilot.press(*keys)
        await pilot.pause()
        assert notes == [said]
        app.jobs.doing = "none"


async def test_a_key_that_types_a_letter_is_named_with_its_page(workspace):
    """What is wrong is said with the keys as they are where it is read, whatever page it came on."""
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("f3")
        await pilot.pause()
        app.jobs._failed(FlavorError("The base is not here.", "", "absent"))
        seen = {}
        for key in ("f2", "f3"):
            await pilot.press(key)
            await pilot.pause()
            seen[key] = str(app.screen.query_one(Activity).render())
        assert seen["f3"].endswith("The base is not here. D downloads it from the hub; R looks again.")
        assert seen["f2"].endswith("The base is not here. on Curate D downloads it from the hub; on Curate R looks again.")
        app.jobs.rest()
        assert app.jobs.line().plain.endswith("the model is not loaded; R starts the worker")
        await pilot.press("f4")
        await pilot.pause()
        await pilot.press("slash")  # the search is typed in
        await pilot.pause()
        assert str(app.screen.query_one(Activity).render()).endswith("on Curate R starts the worker")
        app.jobs.trouble = "the worker hangs"
        assert "on Curate R ends it" in app.jobs.line().plain
