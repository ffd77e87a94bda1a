"""The contact sheet on the screen: lanes side by side, marks, narrow terminals, hostile texts, and the job behind it."""

import contextlib
import shutil

import pytest

from core.files import now
from core.protocol import Candidate as Arrived
from core.protocol import Loaded, Sampled
from core.text import clean
from runs.sheets import Column, Text
from tests.app.test_jobs import until
from tests.app.test_runs_screen import baked, to_runs  # noqa: F401
from tests.app.test_screens import HOSTILE, shown
from tui.app import FlavorApp
from tui.screens.sheet import SheetScreen
from tui.session.session import Session
from tui.session.sheet import ContactSheet


def fill(there, texts=None):
    """Columns as the job would have made them."""
    with Session(there) as session:
        contact = ContactSheet(session)
        sheet = contact.sheet()
        for number, lane in enumerate(contact.lanes([f"0001/epoch-0{n}" for n in (1, 2, 3)])):
            made = [Text(clean(texts[(number + at) % len(texts)]) if texts else f"The lamp of Sarn burns on, says lane {number} of {at}.", "stop")
                    for at in range(6)]  # fmt: skip
            contact.sheets.add(Column(sheet.key, lane.name, now(), made))


@contextlib.asynccontextmanager
async def opened(folder, doing="none"):
    """The app in a wide window, with the contact sheet open over Runs; its model is said to do something."""
    app = FlavorApp(folder, start_worker=False)
    async with app.run_test(size=(160, 50)) as pilot:
        await to_runs(pilot)
        app.jobs.doing = doing
        await pilot.press("c")
        await pilot.pause()
        yield app, pilot


async def test_lanes_stand_side_by_side(baked):  # noqa: F811
    fill(baked)
    async with opened(baked) as (app, pilot):
        assert isinstance(app.screen, SheetScreen)
        assert "prompt 1 of 6" in shown(app, "#sheet-head")
        assert shown(app, "#lane-0-0").startswith("0001/epoch-03 ▶\n\nThe lamp of Sarn") and shown(app, "#lane-0-1").startswith("base\n\n")
        assert shown(app, "#lane-0-2").startswith("few-shot") and "≠" not in "".join(shown(app, f"#lane-0-{n}") for n in range(3))
        assert shown(app, "#lane-0-3").startswith("0001/epoch-02\n\n") and "says lane ≠3 of 0." in shown(app, "#lane-0-3")
        assert shown(app, "#lane-0-4").startswith("0001/epoch-01\n\n") and "says lane ≠2 of 0." in shown(app, "#lane-0-4")
        rows = {app.screen.query_one(f"#lane-0-{n}").region.y for n in range(5)}
        assert len(rows) == 1 and app.screen.query_one("#lane-0-3").region.right <= 160
        await pilot.press("n")
        assert "prompt 2 of 6" in shown(app, "#sheet-head") and "lane 4 of 1" in shown(app, "#lane-0-0")
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, SheetScreen)


async def test_as_many_prompts_as_fit_stand_below_each_other(baked):  # noqa: F811
    fill(baked, ["The lamp burns whale fat and gossip, and tells nobody. " * 8])
    async with opened(baked) as (app, pilot):
        await pilot.press("p")
        await pilot.pause()
        asked = [str(widget.content) for widget in app.screen.query(".prompt .asked") if widget.region.height]
        assert "prompt 6 of 6" in shown(app, "#sheet-head") and [text[:13] for text in asked[:2]] == ["prompt 1 of 6", "prompt 2 of 6"]
        drawn = [block.region for block in app.screen.query(".prompt") if block.display]
        bottom = app.screen.query_one("#sheet-body").region.bottom
        assert drawn[-1].bottom >= bottom - 2, "nothing is left free"
        assert drawn[-2].y < bottom, "little is drawn that nobody sees"


async def test_the_keys_of_the_sheet_fit_at_80_columns(baked):  # noqa: F811
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        await pilot.press("c")
        await until(pilot, lambda: app.screen.query("FooterKey"))
        await pilot.pause()
        drawn = "".join(segment.text for segment in list(app.screen._compositor.render_strips())[-1])
        assert "help" in drawn and "before" in drawn


async def test_the_lanes_keep_their_places_while_another_checkpoint_becomes_active(baked):  # noqa: F811
    fill(baked)
    async with opened(baked) as (app, pilot):
        app.session.use("0001/epoch-01")
        await pilot.press("n")
        assert shown(app, "#lane-0-0").startswith("0001/epoch-03\n") and shown(app, "#lane-0-4").startswith("0001/epoch-01 ▶")


async def test_at_80_columns_two_fit_and_the_others_are_reached(baked):  # noqa: F811
    fill(baked)
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        await pilot.press("c")
        await pilot.pause()
        assert app.screen.query_one("#lane-0-1").region.right <= 80 < app.screen.query_one("#lane-0-2").region.right
        await pilot.press("right", "right", "right")
        await pilot.pause()
        assert 0 <= app.screen.query_one("#lane-0-4").region.x < 80


async def test_hostile_texts_are_shown_as_they_are(baked):  # noqa: F811
    fill(baked, HOSTILE)
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await to_runs(pilot)
        await pilot.press("c")
        for _ in range(6):
            await pilot.press("n")
            await pilot.pause()
            for strip in app.screen._compositor.render_strips():
                for segment in strip:
                    assert segment.control or not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u2066" for c in segment.text)


class Slow:
    """In place of the worker: texts come when they are let through."""

    alive, death = True, None

    def __init__(self):
        import asyncio

        self.asked, self.go = [], asyncio.Semaphore(0)

    def trouble(self):
        return ""

    async def sample(self, folder, prompts, seeds, settings, examples=None, free=None, strength=1.0, without=None):
        self.asked.append((folder and folder.name, len(prompts)))
        for index, seed in enumerate(seeds):
            await self.go.acquire()
            yield Arrived(id=1, index=index, text=f"Text {seed} with a lamp and {index} ships.", finish="stop", tokens=9)
        yield Sampled(id=1, tokens=3, seconds=0.1, first_token=0.1)

    async def close(self):
        pass


@pytest.fixture
def slow(baked):  # noqa: F811
    """An app on `baked`, with a worker that waits."""
    return FlavorApp(baked, start_worker=False)


def load(app):
    app.session.worker = worker = Slow()
    app.session.loaded = Loaded(id=1, name="x", fingerprint="f", parameters=1, trainable=1, device="cpu", form="none")
    app.jobs.rest()
    return worker


async def test_the_sheet_gives_way_to_the_queue_and_goes_on_after_it(slow):
    async with slow.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        worker, jobs = load(slow), slow.jobs
        slow.session.settings = _queue(slow.session.settings, 6)
        jobs.sheet.ask(["0001/epoch-02"])
        await until(pilot, lambda: worker.asked == [("epoch-02", 6)])  # what was asked for, then the base
        assert jobs.doing == "sheeting" and "contact sheet" in jobs.line().plain
        slow.changed()  # no candidate waits: the queue goes before
        await until(pilot, lambda: jobs.doing == "sampling" and worker.asked[-1] == ("epoch-03", 8))
        for _ in range(8 + 18):
            worker.go.release()
        await until(pilot, lambda: jobs.sheet.made == 3)
        assert worker.asked[2:] == [("epoch-02", 6), (None, 6), (None, 6)]  # from the beginning of the lane that was stopped
        assert jobs.sheet.contact.missing(jobs.sheet.contact.lanes(["0001/epoch-02"])) == []


async def test_a_cancelled_sheet_does_not_begin_again(slow):
    async with slow.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.pause()
        worker, jobs = load(slow), slow.jobs
        slow.session.settings = _queue(slow.session.settings, 0)
        await to_runs(pilot)
        await pilot.press("c")
        await until(pilot, lambda: jobs.doing == "sheeting")
        await pilot.press("x")
        await until(pilot, lambda: jobs.doing == "ready")
        slow.changed()
        await pilot.pause(0.2)
        assert jobs.doing == "ready" and len(worker.asked) == 1


async def test_x_stops_the_sheet_and_nothing_else(slow):
    said = []
    async with slow.run_test(size=(120, 40)) as pilot:
        await to_runs(pilot)
        worker, jobs = load(slow), slow.jobs
        slow.session.settings = _queue(slow.session.settings, 6)
        slow.say = lambda text, *_, **__: said.append(text)
        slow.changed()
        await until(pilot, lambda: worker.asked == [("epoch-03", 8)])
        await pilot.press("c", "x")
        assert said == ["The contact sheet waits no more; it does when you open it again."]
        await pilot.press("x")
        assert said[-1] == "The contact sheet is not being made: there is nothing to stop." and jobs.doing == "sampling"
        for _ in range(8):
            worker.go.release()
        await until(pilot, lambda: jobs.doing == "ready")
        await pilot.pause(0.1)
        assert len(worker.asked) == 1  # the sampling went on to its end, and no sheet followed


async def test_a_sheet_that_a_run_stopped_is_made_once_when_it_is_over(slow, monkeypatch):
    async def retrain(self, plan):
        self.registry.create(plan.spec, plan.rows)
        return
        yield

    monkeypatch.setattr(Session, "retrain", retrain)
    async with slow.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        worker, jobs = load(slow), slow.jobs
        slow.session.settings = _queue(slow.session.settings, 0)
        jobs.sheet.ask(["0001/epoch-02"])
        await until(pilot, lambda: len(worker.asked) == 1)
        jobs.retraining.ask(False)
        await until(pilot, lambda: len(worker.asked) > 1)
        await pilot.pause(0.1)
        assert jobs.doing == "sheeting" and len(worker.asked) == 2


async def test_a_sheet_that_meets_a_fault_does_not_begin_again(slow, monkeypatch):
    async with slow.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        load(slow)
        slow.session.settings = _queue(slow.session.settings, 0)
        begun = []

        async def make(wanted):
            begun.append(wanted)
            raise ValueError
            yield

        monkeypatch.setattr(slow.jobs.sheet.contact, "make", make)
        slow.jobs.sheet.ask(["0001/epoch-02"])
        await until(pilot, lambda: begun and slow.jobs.doing == "ready")
        slow.changed()
        await pilot.pause(0.2)
        assert len(begun) == 1


def _queue(settings, ready):
    import msgspec

    return msgspec.structs.replace(settings, sampling=msgspec.structs.replace(settings.sampling, keep_ready=ready))


async def test_a_lane_that_is_gone_goes_from_the_screen_and_one_that_came_is_there(baked, monkeypatch):  # noqa: F811
    fill(baked)
    async with opened(baked) as (app, pilot):
        contact = app.jobs.sheet.contact
        lanes = contact.lanes(["0001/epoch-01", "0001/epoch-02", "0001/epoch-03"])

        def drawn():
            return [number for number, place in enumerate(app.screen.query("#prompt-0 .lane")) if place.display]

        assert drawn() == [0, 1, 2, 3, 4]
        monkeypatch.setattr(contact, "lanes", lambda _: lanes[:1] + lanes[2:])  # another base: no example is shown to it
        await until(pilot, lambda: drawn() == [0, 1, 2, 3])
        assert shown(app, "#lane-0-3").startswith("0001/epoch-01")
        monkeypatch.setattr(contact, "lanes", lambda _: [*lanes, lanes[2]._replace(name="0001/epoch-01 ×0.8")])
        await until(pilot, lambda: drawn() == [0, 1, 2, 3, 4, 5])
        await until(pilot, lambda: shown(app, "#lane-0-5").startswith("0001/epoch-01"))


async def test_the_lane_of_a_checkpoint_that_is_gone_says_so(baked):  # noqa: F811
    async with opened(baked, doing="training") as (app, pilot):
        lane = next(n for n, lane in enumerate(app.screen._lanes()) if lane.checkpoint.startswith("0001/"))
        assert "This is made when" in shown(app, f"#lane-0-{lane}")
        shutil.rmtree(baked / "runs" / app.screen._lanes()[lane].checkpoint.replace("/", "/checkpoints/"))
        await until(pilot, lambda: "its checkpoint is not there any more." in shown(app, f"#lane-0-{lane}"))


async def test_a_text_that_was_given_up_is_not_promised(baked):  # noqa: F811
    async with opened(baked, doing="training") as (app, pilot):
        assert "This is made when the model has nothing else to do." in shown(app, "#lane-0-0")
        app.jobs.doing = "dead"
        await until(pilot, lambda: "This is made as soon as a model is loaded." in shown(app, "#lane-0-0"))
        await pilot.press("x")
        await until(pilot, lambda: "it was given up, and goes on when this is opened again." in shown(app, "#lane-0-0"))
        app.jobs.doing = "none"
