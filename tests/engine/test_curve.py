"""Points of the learning curve on a tiny base: what they hold, how time is kept, and that sampling goes on as before."""

import msgspec
import pytest

from core.config import Training
from core.protocol import Curve, Curved, Curving, Recipe, Row, Train, Wanted
from core.task import Field, Task
from core.worker import curve as module
from core.worker.evaluation import RowMeasure
from tests.engine.conftest import load_engine
from tests.engine.test_engine import make_run, texts
from tui.session.learning import USED

PROMPT = [("# Heading\n\n", 0.0)]
ROWS = [Row(f"r{n}", PROMPT, f"the {n} text of many, with some more words") for n in range(12)]
SMALL = Wanted("small", 0, 0, [0, 1, 2, 3], [10, 11])
LARGE = Wanted("large", 0, 0, list(range(10)), [10, 11])
HUGE = Wanted("huge", 1, 0, list(range(10)) * 100, [10, 11])


def command(*points, budget=600.0, rows=ROWS, speed=1e6, **training):
    return Curve(
        id=7,
        rows=rows,
        points=list(points),
        training=Training(epochs=1, learning_rate=1e-2, **training),
        task=None,
        budget=budget,
        speed=speed,
    )


class Clock:
    """A hundredth of a second passes whenever one looks: time as counted in looks, the same on every machine."""

    now = 0.0

    def perf_counter(self):
        self.now += 0.01
        return self.now


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(module, "time", Clock())


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """One epoch for each point, whatever its size."""
    monkeypatch.setattr(module, "ROWS", 1)


@pytest.fixture(scope="module")
def loaded(tiny):
    return load_engine(tiny)


@pytest.fixture(scope="module")
def engine(loaded):
    return loaded[0]


def events_of(engine, wanted):
    return [event for event in engine.curve(wanted) if event]


def test_a_point_has_the_loss_of_every_row_of_its_fold(engine):
    *events, last = events_of(engine, command(SMALL, LARGE, speed=1e-3))
    points = [event.point for event in events if event.point]
    assert [(point.key, point.size) for point in points] == [("small", 4), ("large", 10)]
    for point in points:
        assert set(point.losses) == {"r10", "r11"} and point.seconds > 0 and point.step >= 1
        assert all(tokens == len(ROWS[0].text) + (row == "r10") * 1 + (row == "r11") * 1 for row, (_, tokens) in point.losses.items())
    mean = [sum(loss for loss, _ in point.losses.values()) for point in points]
    assert mean[1] < mean[0]  # more rows, lower loss
    assert isinstance(last, Curved) and (last.done, last.missing) == (2, 0)
    assert [event.done for event in events if event.point] == [1, 2]
    assert all(isinstance(event, Curving) and event.left >= 0 and event.of <= 2 for event in events)


def test_the_same_point_again_is_the_same(engine):
    first, second = (next(e.point for e in engine.curve(command(SMALL)) if e and getattr(e, "point", None)) for _ in range(2))
    assert first.losses == second.losses
    other = next(e.point for e in engine.curve(command(Wanted("s", 0, 1, SMALL.learn, SMALL.held))) if e and getattr(e, "point", None))
    assert other.losses != first.losses


def test_few_rows_may_take_the_steps_of_many(engine, monkeypatch):
    """With the epochs of a large point the small one would stop half-trained, and the curve would show that."""
    monkeypatch.setattr(module, "ROWS", 32)
    base, forms, _ = engine._ready()
    measuring = module.LearningCurve(base, forms, command(SMALL, LARGE))
    assert [measuring._epochs(size) for size in (4, 10, 32, 50)] == [8, 4, 1, 1]


def test_the_lowest_loss_is_taken_once_it_has_turned():
    def seen(*losses):
        lowest = module.Lowest()
        stopped = [lowest.turned(4 * number, [RowMeasure("r", loss, 1, 0.0, 0.0, 0.0)]) for number, loss in enumerate(losses, 1)]
        assert not any(stopped[:-1])
        return lowest.step, lowest.rows[0].total, stopped[-1]

    assert seen(5.0, 4.0, 3.0, 3.2, 3.1, 3.3) == (12, 3.0, True)
    assert seen(5.0, 3.0, 3.2, 3.1, 2.9) == (20, 2.9, False)  # not for good
    assert seen(3.0, 3.001, 3.002, 3.003, 3.004) == (4, 3.0, False)  # flat is not risen


def test_what_does_not_fit_is_passed_over(engine, clock):
    """The first is begun whatever its estimate, which is a guess; after it the cheap ones have their turn."""
    *events, last = events_of(engine, command(SMALL, HUGE, LARGE, budget=3.0))
    assert [event.point.key for event in events if event.point] == ["small", "large"]
    assert last.missing == 1 and last.least > 3.0
    assert events[0].of == 3  # by the guess; the plan follows what is measured
    assert events[-1].of == 2 and events[-1].left == 0


def test_a_point_that_overruns_is_given_up(engine, clock):
    *events, last = events_of(engine, command(HUGE, SMALL, budget=0.2))
    assert (last.done, last.missing) == (0, 2) and last.least > 0
    assert not any(event.point for event in events)


def test_rows_that_are_too_long_are_left_out(engine):
    rows = [*ROWS[:3], Row("long", PROMPT, "word " * 200), *ROWS[4:]]
    points = [e.point for e in events_of(engine, command(SMALL, LARGE, rows=rows, max_tokens=100))[:-1] if e.point]
    assert [point.size for point in points] == [3, 9]
    nothing = Wanted("none", 1, 0, [3], [10])
    assert events_of(engine, command(nothing, rows=rows, max_tokens=100))[-1].done == 0


def test_sampling_goes_on_with_the_adapter_that_was_active(loaded, tmp_path):
    """Whole or cancelled in the middle of a step; and the planted fault, an engine that believes its adapter is still there, is seen."""
    engine, told = loaded
    run = make_run(tmp_path / "runs", told, epochs=1)
    list(engine.train(Train(id=3, run=str(run))))
    checkpoint = run / "checkpoints/epoch-01"
    before, base = texts(engine, checkpoint), texts(engine, None)
    events_of(engine, command(SMALL))
    assert texts(engine, checkpoint) == before
    halfway = engine.curve(command(LARGE))
    for _ in range(5):
        next(halfway)
    halfway.close()
    assert texts(engine, None) == base
    assert texts(engine, checkpoint) == before
    events_of(engine, command(SMALL))
    engine.adapters._current = str(checkpoint)
    assert texts(engine, checkpoint) != before


def test_it_is_heard_between_the_parts_of_a_step(engine):
    """Among the first parts there is no event: each is a place where a cancel is heard."""
    first, *more = [event for _, event in zip(range(6), engine.curve(command(LARGE, batch_size=10)), strict=False)]
    assert isinstance(first, Curving) and more.count(None) >= 4


def recipe(r=4, alpha=8, rate=1e-2, epochs=2):
    return Wanted(f"rank {r}", 0, 0, [0, 1, 2, 3], [10, 11], Recipe(r, alpha, rate, epochs))


def points_of(engine, *wanted):
    return [event.point for event in events_of(engine, command(*wanted))[:-1] if event.point]


def test_a_recipe_is_trained_by_its_own_rank_rate_and_epochs(engine):
    small, large, slow, long = points_of(engine, recipe(), recipe(r=16, alpha=32), recipe(rate=1e-6), recipe(epochs=5))
    assert len({tuple(sorted(point.losses.items())) for point in (small, large, slow, long)}) == 4
    assert long.step > small.step  # still falling
    loss = [sum(loss for loss, _ in point.losses.values()) for point in (small, slow, long)]
    assert loss[2] < loss[0] < loss[1]
    (again,) = points_of(engine, recipe())
    assert again.losses == small.losses


def test_another_rank_leaves_our_adapter_as_it_was(loaded, tmp_path):
    """Whole or stopped in the middle; the tensors in the model are PEFT's own again."""
    engine, told = loaded
    run = make_run(tmp_path / "runs", told, epochs=1)
    list(engine.train(Train(id=3, run=str(run))))
    checkpoint = run / "checkpoints/epoch-01"
    before, own = texts(engine, checkpoint), [id(tensor) for tensor in engine._forms.parameters()]
    halfway = engine.curve(command(recipe(r=2, alpha=4)))
    for _ in range(3):
        next(halfway)
    assert [id(tensor) for tensor in engine._forms.parameters()] != own
    halfway.close()
    assert [id(tensor) for tensor in engine._forms.parameters()] == own
    events_of(engine, command(recipe(r=2, alpha=4)))
    assert [id(tensor) for tensor in engine._forms.parameters()] == own
    assert texts(engine, checkpoint) == before


def test_a_point_uses_the_settings_that_its_name_is_made_of(engine):
    class Watched(Training, frozen=True):
        def __getattribute__(self, name):
            looked.add(name)
            return super().__getattribute__(name)

    looked = set()
    rows = [Row(row.id, PROMPT, row.text, origin="accepted" if at % 2 else "", fields={"Mood": "calm"}) for at, row in enumerate(ROWS)]
    wanted = msgspec.structs.replace(command(SMALL, rows=rows), training=Watched(epochs=1), task=Task("Heading", fields=(Field("Mood"),)))
    assert any(isinstance(event, Curving) and event.point for event in engine.curve(wanted))
    assert looked & set(Training.__struct_fields__) == set(USED)
