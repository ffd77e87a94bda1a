"""All rows first, with the steps that were best in the run before; then the epochs, which say whether they are best now."""

import json

import pytest
import torch

from core import runfiles
from core.protocol import Epoch, Provisional, Refit, Trained
from core.runfiles import Result
from core.stopping import Baked, Watch
from tests.engine.conftest import load_engine
from tests.engine.test_refit import info_of, same, state
from tests.engine.test_retraining import HELD, ROWS, bake, make


@pytest.fixture(scope="module")
def loaded(tiny):
    return load_engine(tiny)


def kinds(events):
    found = []
    for event in events:
        if not found or found[-1] is not type(event):
            found.append(type(event))
    return found


def test_it_comes_first_and_is_the_very_same(loaded, tiny, tmp_path):
    """The steps of the run before are what is best again: the checkpoint is bit by bit that of a run which did it last, and so are the epochs."""
    plain, run = bake(tiny, tmp_path, ROWS + HELD, engine=loaded)
    best = runfiles.read(run / "result.json", Result).best_steps
    name = plain[-1].checkpoint.split("/")[1]
    assert best == plain[-1].best_steps == 3 * int(name[-2:])  # six rows two by two
    early, other = bake(tiny, tmp_path, ROWS + HELD, engine=loaded, expected=best)
    assert kinds(early)[:3] == [Refit, Provisional, Epoch] and kinds(early)[-1] is Trained
    assert sum(kind is Refit for kind in kinds(early)) == 1  # once
    told = next(event for event in early if isinstance(event, Provisional))
    assert told.checkpoint == early[-1].checkpoint == f"0002/{name}" and "trained first" in early[-1].why
    assert early[-1].best_steps == best
    for checkpoint in (name, "epoch-01", "epoch-02", "epoch-03"):
        assert same(state(run, checkpoint), state(other, checkpoint))
    one, two = info_of(run, name), info_of(other, name)
    assert (one.recall, one.drift, one.seen, one.loss) == (two.recall, two.drift, two.seen, two.loss)
    gauges = [[event.gauges for event in events if isinstance(event, Epoch)] for events in (plain, early)]
    assert gauges[0] == gauges[1]
    lines = [json.loads(line)["type"] for line in (other / "metrics.jsonl").read_text().splitlines()]
    assert "provisional" in lines


def test_other_steps_are_best_now(loaded, tiny, tmp_path):
    """Far too many were expected: the epoch that is best is repeated after all, from the same start."""
    unlike = [make(f"h{n}", "QZX 0123456789 " * 2, held_out=True) for n in range(2)]
    plain, run = bake(tiny, tmp_path, [*ROWS, *unlike], epochs=30, rate=3e-2, engine=loaded)
    early, other = bake(tiny, tmp_path, [*ROWS, *unlike], epochs=30, rate=3e-2, engine=loaded, expected=90)
    told = next(event for event in early if isinstance(event, Provisional))
    assert told.checkpoint == "0002/refit-30" and sum(kind is Refit for kind in kinds(early)) == 2
    name = plain[-1].checkpoint.split("/")[1]
    assert early[-1].checkpoint == f"0002/{name}" and "trained again" in early[-1].why
    assert same(state(run, name), state(other, name)) and not same(state(other, name), state(other, "refit-30"))
    assert early[-1].best_steps == plain[-1].best_steps < 90


def test_one_that_is_as_good_stays(loaded, tiny, tmp_path):
    """So low a rate that every epoch is within 1 %: two steps were best before, so the first is repeated; the last epoch would be taken else."""
    plain, _ = bake(tiny, tmp_path, ROWS + HELD, rate=1e-6, engine=loaded)
    early, _ = bake(tiny, tmp_path, ROWS + HELD, rate=1e-6, engine=loaded, expected=2)
    assert plain[-1].checkpoint == "0001/refit-03" and early[-1].checkpoint == "0002/refit-01"
    assert early[-1].why.startswith("epoch 1 is within 1 % of the lowest held-out loss")


def test_the_same_weights_are_not_trained_twice(loaded, tiny, tmp_path, monkeypatch):
    """Another epoch is best, but it takes as many steps to repeat: the checkpoint gets its name, and no step is done again."""
    monkeypatch.setattr("core.worker.retraining.refit_steps", lambda best, of_a_pass: 9)
    unlike = [make(f"h{n}", "QZX 0123456789 " * 2, held_out=True) for n in range(2)]
    events, run = bake(tiny, tmp_path, [*ROWS, *unlike], epochs=30, rate=3e-2, engine=loaded, expected=90)
    assert sum(isinstance(event, Refit) for event in events) == 9
    name = events[-1].checkpoint.split("/")[1]
    assert name != "refit-30" and same(state(run, name), state(run, "refit-30"))
    one, two = info_of(run, name), info_of(run, "refit-30")
    assert (one.recall, one.drift, one.seen, one.loss) == (two.recall, two.drift, two.seen, two.loss)
    assert one.measured_by == f"0001/epoch-{name[-2:]}" and "rows first" in events[-1].why


def test_without_held_out_rows_nothing_comes_first(loaded, tiny, tmp_path):
    events, _ = bake(tiny, tmp_path, ROWS, engine=loaded, expected=6)
    assert not any(isinstance(event, (Provisional, Refit)) for event in events) and events[-1].best_steps == 0


def test_a_run_that_is_stopped_leaves_it(loaded, tiny, tmp_path):
    engine, _ = loaded
    train = engine.train

    def given_up(command):
        events = train(command)
        for event in events:
            yield event
            if isinstance(event, Provisional):
                events.close()
                return

    engine.train = given_up
    try:
        stopped, run = bake(tiny, tmp_path, ROWS + HELD, engine=loaded, expected=6)
    finally:
        del engine.train
    _, whole = bake(tiny, tmp_path, ROWS + HELD, engine=loaded, expected=6)
    assert isinstance(stopped[-1], Provisional)
    name = stopped[-1].checkpoint.split("/")[1]
    assert runfiles.read(run / "result.json", Result).status == "cancelled"
    assert same(state(run, name), state(whole, name))
    assert torch.isfinite(next(iter(state(run, name).values()))).all()


def test_as_good():
    watch = Watch([Baked(0, None, 0.0, 0.0), Baked(1, 3.1, 0.0, 0.0), Baked(2, 3.0, 0.0, 0.0), Baked(3, 3.02, 0.0, 0.0)])
    assert [watch.as_good(epoch) for epoch in range(5)] == [False, False, True, True, False]
