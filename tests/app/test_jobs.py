"""The app with a real worker on a tiny random base: load, sample, retrain, cancel, measure, continue, die and start again."""

import os
import re
import signal

import pytest
from textual.widgets import DataTable, TextArea

from core.config import FILE
from core.errors import FlavorError
from dataset.store import Store
from runs.registry import Registry
from tests.engine.conftest import make_tiny
from tests.made import write
from tui.app import FlavorApp
from tui.commands.models import Known
from tui.jobs import retraining
from tui.screens import curate
from tui.screens.library import LibraryScreen
from tui.session import losses
from tui.session.session import Session
from tui.widgets.plain import Plain


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def quick(workspace, base, monkeypatch):
    """The workspace on the tiny base, with few tokens a text. One `c` stops a run, however long a busy machine has taken for it."""
    monkeypatch.setattr(retraining, "LONG", 3600)
    path = workspace / FILE
    text = path.read_text().replace('base = "starter"', f'base = "{base}"')
    text = text.replace("# calibrate = true", "calibrate = false")  # the worker is watched here, not the bits
    text = re.sub(r"\[training\]\n", "[training]\nepochs = 3\ntopup_epochs = 1\nstop_early = false\ntaste = true\n", text)
    path.write_text(re.sub(r"\[sampling\]\n", "[sampling]\nmax_tokens = 12\nbatch = 4\nkeep_ready = 4\n", text))
    return workspace


async def until(pilot, condition, tries=1200):
    for _ in range(tries):
        if condition():
            return
        await pilot.pause(0.05)
    raise AssertionError(f"never came: {pilot.app.jobs.doing}, {pilot.app.jobs.line().plain}")


async def test_the_whole_evening(quick, monkeypatch):
    monkeypatch.setattr(curate, "READING", 0)
    app = FlavorApp(quick)
    async with app.run_test(size=(100, 30)) as pilot:
        jobs = app.jobs
        await until(pilot, lambda: jobs.doing == "loading")
        await pilot.press("x")  # deciding works while the model loads
        assert Store(quick, read_only=True).counts["rejected"] == 1
        await until(pilot, lambda: jobs.doing == "ready" and len(app.session.store.pending) >= 4)

        await pilot.press("T", "x")  # and while it trains
        await until(pilot, lambda: app.session.registry.current() != "base")
        first = app.session.registry.current()
        assert len(app.session.registry.run("0001").checkpoints) == 3
        await until(pilot, lambda: jobs.doing == "ready" and any(c.checkpoint == first for c in app.session.queue()))
        assert app.session.queue()[0].checkpoint == first
        assert app.session.store.pending[app.screen.shown].checkpoint == first

        worker = app.session.worker.pid
        await pilot.press("t")
        await until(pilot, lambda: app.session.registry.current() == "0002/epoch-01")
        assert app.session.worker.pid == worker
        assert Registry(quick).run("0002").spec.parent == first
        await until(pilot, lambda: jobs.doing == "ready")

        await pilot.press("g", "left_square_bracket")  # what was on its way is given up, and sampled anew at once
        await until(pilot, lambda: jobs.doing == "ready" and len(app.session.newest()) >= 4)
        assert {app.session.store.batches[c.batch].strength for c in app.session.newest()} == {0.9}

        await pilot.press("P")
        await until(pilot, lambda: Registry(quick).run("0003").status == "done" and jobs.doing == "ready")
        taste = Registry(quick).run("0003")
        assert taste.spec.kind == "taste" and taste.spec.pairs >= 8 and len((taste.folder / "pairs.jsonl").read_text().splitlines()) >= 8
        assert app.session.registry.current() == taste.result.checkpoint

        await pilot.press("f4", "l")
        assert isinstance(app.screen, LibraryScreen)
        await until(pilot, lambda: set(app.screen.losses) == set(app.session.store.examples))
        assert all(loss > 0 for loss in app.screen.losses.values())
        await until(pilot, lambda: jobs.doing == "ready")
        long = app.session.write_example("A tower of very many words, " * 30, {})
        await pilot.press("l")
        await until(pilot, lambda: any("left out: “A tower of very many words, A …”" in note.message for note in app._notifications))
        assert long.uid not in app.screen.losses and long.uid not in losses.known(app.session)
        app.session.delete_example(long.uid)

        await pilot.press("f2")
        area = app.screen.query_one(TextArea)
        area.load_text("A tower")
        await until(pilot, lambda: jobs.doing == "ready")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: jobs.doing == "ready")
        assert area.text.startswith("A tower")


async def test_a_cancelled_retrain_leaves_everything_as_it_was(quick):
    path = quick / FILE
    path.write_text(path.read_text().replace("epochs = 3", "epochs = 100", 1))
    app = FlavorApp(quick)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.jobs.doing == "ready")
        await pilot.press("T")
        await until(pilot, lambda: "step" in app.jobs.line().plain)
        await pilot.press("c")
        await until(pilot, lambda: Registry(quick).run("0001").status == "cancelled")
        await until(pilot, lambda: app.jobs.doing == "ready")
        assert app.session.registry.current() == "base"
        await pilot.press("g")
        await until(pilot, lambda: app.jobs.doing == "sampling")


async def test_a_worker_that_dies_is_named_and_starts_again_on_a_key(quick):
    app = FlavorApp(quick)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await until(pilot, lambda: app.jobs.doing == "ready")
        await pilot.press("T")
        await until(pilot, lambda: app.jobs.doing == "training")
        os.kill(app.session.worker.pid, signal.SIGKILL)
        await until(pilot, lambda: app.jobs.doing == "dead")
        assert "memory ran out" in app.jobs.line().plain and "R starts it again" in app.jobs.line().plain
        await pilot.press("a")  # deciding goes on
        assert Store(quick, read_only=True).counts["accepted"] == 1
        assert (quick / "logs/worker.log").exists()
        await pilot.press("R")
        await until(pilot, lambda: app.jobs.doing in ("ready", "sampling"))
        assert Registry(quick).run("0001").status == "interrupted"
        assert app.session.registry.current() == "base"
    later = FlavorApp(quick, start_worker=False)
    async with later.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.pause()
        said = [str(note.message) for note in later._notifications]
        assert "Retrain: run 0001 was interrupted. A on Runs carries it out once more, t begins a new one." in said


async def test_a_worker_that_dies_while_nothing_goes_on_is_noticed(quick):
    path = quick / FILE
    path.write_text(path.read_text().replace("keep_ready = 4", "keep_ready = 0"))
    app = FlavorApp(quick)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.jobs.doing == "ready")
        os.kill(app.session.worker.pid, signal.SIGKILL)
        await until(pilot, lambda: app.jobs.doing == "dead")


async def test_a_base_that_is_not_there_is_said(workspace):
    path = workspace / FILE
    path.write_text(path.read_text().replace('base = "starter"', 'base = "./nowhere.gguf"'))
    app = FlavorApp(workspace)
    said = []
    app.complain = lambda error: said.append(str(error))
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.jobs.doing == "dead")
        assert app.jobs.line().plain.endswith("nowhere.gguf is not there. M shows the models that are here; R looks again.")
        assert said[0].endswith("Check the path of the GGUF file.")
        await pilot.press("a")
        assert Store(workspace, read_only=True).counts["accepted"] == 1


async def test_another_base_is_loaded_at_once_until_there_are_runs(quick, base, tmp_path, monkeypatch):
    """Whatever the worker does; one that was written by mistake needs no editor."""
    path, other = quick / FILE, make_tiny(tmp_path / "other", seed=5)
    before = re.sub(r'base = ".*"', 'base = "A rumour"', path.read_text())
    path.write_text(before)

    async def known(folders):
        yield Known(str(other), "folder", 1, None, None)
        yield Known(str(base), "folder", 1, None, None)

    async def choose(pilot, *keys):
        await pilot.press("M")
        await until(pilot, lambda: app.screen.query("#models-table") and app.screen.query_one(DataTable).row_count == 2)
        await pilot.press(*keys)

    def loaded(one):
        return app.session.loaded is not None and app.session.loaded.name == str(one) and app.jobs.doing in ("ready", "sampling")

    monkeypatch.setattr("tui.screens.models.known", known)
    app = FlavorApp(quick)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.jobs.doing == "dead")
        await choose(pilot, "enter")
        await until(pilot, lambda: loaded(other))
        await pilot.press("g")
        await choose(pilot, "down", "enter")
        await until(pilot, lambda: loaded(base))
        assert path.read_text() == before.replace("A rumour", str(base)) and len(app.session.store.pending) >= 3
        await pilot.press("T")
        await until(pilot, lambda: app.session.registry.names())
        await choose(pilot, "enter")
        said = app.screen.query_one("#models-doing", Plain)
        await until(pilot, lambda: f'write base = "{other}" under [model]' in str(said.content))
        assert path.read_text() == before.replace("A rumour", str(base))


def lengthened(quick):
    """A run in it is not over before its test is."""
    path = quick / FILE
    path.write_text(path.read_text().replace("epochs = 3", "epochs = 100", 1))
    with Session(quick) as session:
        write(session, 24)
    return quick


async def test_candidates_of_a_base_come_while_its_codes_are_chosen(quick, tmp_path, monkeypatch):
    """At its first use, which takes minutes for a real one; training has to wait for it."""
    monkeypatch.setenv("FLAVOR_TUI_CACHE", str(tmp_path / "cache"))
    path = quick / FILE
    slow = make_tiny(tmp_path / "slow", layers=24)  # so that there is time for three keys
    text = path.read_text().replace("calibrate = false", "calibrate = true")
    path.write_text(re.sub(r'base = ".*"', f'base = "{slow}"', text))
    with Session(quick) as session:
        for uid in list(session.store.pending):
            session.decide(uid, "reject")
    app = FlavorApp(quick)
    came, said = [], []
    monkeypatch.setattr(app, "arrived", lambda: came.append((app.jobs.doing, app.jobs.line().plain)))
    monkeypatch.setattr(app, "say", lambda text, *_, **__: said.append(text))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: came)
        assert came[0] == ("loading", "◌ sampling: 1 of 4 from base; preparing the model waits")
        await pilot.press("t", "escape", "t")
        assert app.jobs.doing == "loading" and not app.session.registry.names()
        assert [text.split(";")[0].split(" as soon")[0] for text in said] == [
            "The retraining begins",
            "No retraining follows.",
            "The retraining begins",
        ]
        await until(pilot, lambda: app.session.registry.current().startswith("0001/"))
        assert app.session.registry.names() == ["0001"]
        batches = app.session.store.batches.values()
        assert any(batch.rounded for batch in batches) and not any(batch.rounded for batch in batches if batch.checkpoint != "base")
        rounded = next(c for c in app.session.store.candidates.values() if app.session.store.batches[c.batch].rounded)
        with pytest.raises(FlavorError, match="before the base's 4-bit codes"):
            await app.session.candidates.reproduce(rounded.uid)


async def test_candidates_come_while_it_retrains(quick):
    """The queue runs dry in the middle of a long run: it is filled from the parent, a text is gone on with, and c stops all of it."""
    app = FlavorApp(lengthened(quick))
    async with app.run_test(size=(100, 30)) as pilot:
        jobs = app.jobs
        await until(pilot, lambda: jobs.doing == "ready" and len(app.session.newest()) >= 4)
        await pilot.press("T")
        await until(pilot, lambda: "step" in jobs.line().plain)
        known = set(app.session.store.candidates)
        for _ in range(len(app.session.newest()) - 1):  # no more of them: others come as fast as a key rejects them
            await pilot.press("x")
        await until(pilot, lambda: len(set(app.session.store.candidates) - known) >= 4)
        assert jobs.doing == "training"
        await until(pilot, lambda: not jobs.samples.busy)
        assert {app.session.store.candidates[uid].checkpoint for uid in set(app.session.store.candidates) - known} == {"base"}
        await pilot.press("g")
        assert jobs.doing == "training" and jobs.samples.busy
        await until(pilot, lambda: not jobs.samples.busy)

        await pilot.press("f2")
        area = app.screen.query_one(TextArea)
        area.load_text("A tower")
        await pilot.press("ctrl+g")
        jobs.samples.other_checkpoint()  # what fills the queue would go; the text is gone on with
        assert jobs.samples.busy
        await until(pilot, lambda: not jobs.samples.busy)
        assert jobs.doing == "training" and area.text.startswith("A tower")

        await pilot.press("f3", "c")
        await until(pilot, lambda: Registry(quick).run("0001").status == "cancelled")
        await until(pilot, lambda: jobs.doing == "ready" and not jobs.samples.busy)
        assert app.session.registry.current() == "base"


async def test_an_empty_queue_is_filled_as_soon_as_it_retrains(quick):
    """The sampling that was under way made room for the run: with no card left nothing but the run itself asks for more."""
    app = FlavorApp(lengthened(quick))
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.jobs.doing == "ready" and len(app.session.newest()) >= 4)
        app.jobs.samples.give_up()  # as c does: nothing comes by itself
        await pilot.press(*["x"] * len(app.session.store.pending))
        assert not app.session.store.pending
        await pilot.press("T", "T")
        await until(pilot, lambda: app.session.store.pending)
        assert app.jobs.doing == "training" and app.session.registry.names() == ["0001"]
        await pilot.press("c")
        await until(pilot, lambda: Registry(quick).run("0001").status == "cancelled")


async def test_a_checkpoint_of_all_rows_is_active_before_its_run_is_over(quick, monkeypatch):
    """From the second bake on: its candidates come while the epochs are still measured, and c leaves it active."""
    monkeypatch.setattr(curate, "READING", 0)
    path = quick / FILE
    path.write_text(path.read_text().replace("epochs = 3", "epochs = 30", 1))
    with Session(quick) as session:
        write(session, 12)
    app = FlavorApp(quick)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        jobs = app.jobs
        await until(pilot, lambda: jobs.doing == "ready")
        await pilot.press("T")
        await until(pilot, lambda: jobs.doing == "ready" and app.session.registry.current() != "base")
        first = app.session.registry.run("0001").result
        assert first.checkpoint.startswith("0001/refit-") and first.best_steps > 0
        await until(pilot, lambda: jobs.doing == "ready" and len(app.session.newest()) >= 4)

        await pilot.press("T")
        await until(pilot, lambda: app.session.registry.current().startswith("0002/refit-"))
        early = app.session.registry.current()
        await until(pilot, lambda: app.session.newest())
        assert jobs.doing == "training" and app.session.registry.run("0002").status == "running"
        assert app.session.store.pending[app.screen.shown].checkpoint == early
        await until(pilot, lambda: jobs.doing == "ready")
        assert app.session.registry.run("0002").result.checkpoint.startswith("0002/refit-")

        await until(pilot, lambda: jobs.doing == "ready" and len(app.session.newest()) >= 4)
        await pilot.press("T")
        await until(pilot, lambda: app.session.registry.current().startswith("0003/refit-"))
        await pilot.press("c")
        await until(pilot, lambda: Registry(quick).run("0003").status == "cancelled" and jobs.doing == "ready")
        assert app.session.registry.current().startswith("0003/refit-")
        assert any("0003/refit-" in str(note.message) and "stays active" in str(note.message) for note in app._notifications)
        assert not any("is done" in str(note.message) for note in app._notifications)

        await pilot.press("t")  # no row is new, but there is no epoch to bake on from
        await until(pilot, lambda: app.session.registry.current().startswith("0004/refit-"))
        os.kill(app.session.worker.pid, signal.SIGSTOP)
        assert app.session.registry.run("0004").spec.parent is None
        os.kill(app.session.worker.pid, signal.SIGKILL)
        await until(pilot, lambda: jobs.doing == "dead")
        assert f"{app.session.registry.current()} stays active; measuring it failed." in [str(note.message) for note in app._notifications]
        await pilot.press("R")
        await until(pilot, lambda: jobs.doing in ("ready", "sampling"))
        assert Registry(quick).run("0004").status == "interrupted"
        await until(pilot, lambda: jobs.doing == "ready" and any(c.checkpoint.startswith("0004/refit-") for c in app.session.newest()))
