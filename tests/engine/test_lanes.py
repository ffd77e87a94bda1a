"""Parts of a step side by side: the same training as one after another, the same again with the same seed, and nothing left of it."""

import threading
import time

import pytest
import torch

from core import training
from core.config import Training
from core.encoding import Curriculum
from core.lanes import Lanes, side_by_side
from core.memory import StepMemory, Way
from core.protocol import Row
from core.training import StepDone, train
from tests.engine.conftest import load_engine

ROWS = [Row(str(n), [("# Heading\n\n", 0.0)], f"number {n} has some words " * (1 + n % 3)) for n in range(7)]


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def learn(engine, lanes, batch=2):
    """Steps, adapter, and the memory's note, of two epochs over ROWS."""
    base, forms, _ = engine._ready()
    forms.fresh_adapter(3)
    forms.train()
    memory = StepMemory(base.model, forms.parameters(), 140, batch, 1 << 50)
    assert memory.way == Way(512, lanes=2)
    if lanes == 1:
        memory._ways = [Way(512)]
    curriculum = Curriculum(base.tokenizer, ROWS, Training(batch_size=batch), None, 1)
    loop = train(base.model, forms.parameters(), curriculum, Training(batch_size=batch), epochs=2, peak=1e-2, seed=1, memory=memory)
    steps = [event for event in loop if isinstance(event, StepDone)]
    return steps, torch.cat([tensor.detach().flatten().clone() for tensor in forms.parameters()]), memory.note


def lane_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("lane")]


@pytest.mark.parametrize("batch", [2, 4])
def test_side_by_side_it_is_the_same_training(engine, monkeypatch, batch):
    seen = []
    forward = training.position_logits
    monkeypatch.setattr(training, "position_logits", lambda *args: (seen.append(threading.current_thread().name), forward(*args))[1])
    steps, one, _ = learn(engine, 1, batch)
    assert set(seen) == {"MainThread"}
    seen.clear()
    again, two, _ = learn(engine, 2, batch)
    assert len([name for name in seen if name.startswith("lane")]) > len(seen) / 2
    assert ("MainThread" in seen) == (batch == 2), "a row that is alone has all the cores"
    _, forms, _ = engine._ready()
    forms.fresh_adapter(3)
    start = torch.cat([tensor.detach().flatten() for tensor in forms.parameters()])
    assert [step.loss for step in again] == pytest.approx([step.loss for step in steps], rel=1e-2)
    assert [step.tokens for step in again] == [step.tokens for step in steps]
    assert (one - two).norm() < 0.05 * (one - start).norm()
    assert torch.equal(two, learn(engine, 2, batch)[1])
    assert not lane_threads()


def test_memory_that_runs_out_in_a_lane_is_survived(engine, monkeypatch):
    _, whole, _ = learn(engine, 1)
    forward = training.position_logits

    def small(*args):
        if threading.current_thread().name.startswith("lane"):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB (planted)")
        return forward(*args)

    monkeypatch.setattr(training, "position_logits", small)
    _, adapter, note = learn(engine, 2)
    assert note.startswith("The memory ran out in step 1, which was done again: from there on at most 256 tokens at a time")
    assert (adapter - whole).norm() < 0.05 * whole.norm()
    assert not lane_threads()


def test_a_run_that_is_left_leaves_no_thread(engine):
    base, forms, _ = engine._ready()
    forms.train()
    curriculum = Curriculum(base.tokenizer, ROWS, Training(), None, 1)
    loop = train(base.model, forms.parameters(), curriculum, Training(), epochs=2, peak=1e-2, seed=1)
    next(loop)
    assert len(lane_threads()) == 2
    loop.close()
    assert not lane_threads()


def test_results_come_in_order_and_threads_have_their_share():
    lanes = Lanes(2)
    lanes.open()
    threads = []

    def work(part):
        time.sleep(0.05 / part)
        threads.append(torch.get_num_threads())
        return part

    assert list(lanes.each(work, [1, 2, 3, 4])) == [1, 2, 3, 4]
    assert threads == [1, 1, 1, 1]
    assert torch.get_num_threads() == 2
    later = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [2], "threads of others have what they had before"
    lanes.close()


def test_an_error_leaves_nothing_going_on():
    lanes, done = Lanes(2), []
    lanes.open()

    def work(part):
        if part == 0:
            raise ValueError("planted")
        time.sleep(0.2)
        done.append(part)

    with pytest.raises(ValueError, match="planted"):
        list(lanes.each(work, range(6)))
    count = len(done)
    assert count < 5
    time.sleep(0.5)
    assert len(done) == count
    lanes.close()


def test_where_a_model_goes_through_one_after_another(tiny, engine):
    model = engine._ready()[0].model
    assert side_by_side(model, 2) == 2 and side_by_side(model, 1) == 1 and side_by_side(model, 9) == 2
    torch.set_num_threads(1)
    assert side_by_side(model, 2) == 1
    torch.set_num_threads(2)
    draws, _ = load_engine(tiny, dropout=0.1)
    assert side_by_side(draws._ready()[0].model, 2) == 1


def test_a_long_row_is_not_beside_another(engine):
    base, forms, _ = engine._ready()
    assert StepMemory(base.model, forms.parameters(), 513, 2, 1 << 50).way.lanes == 1
    long = StepMemory(base.model, forms.parameters(), 400, 2, 1 << 50)
    assert long.way.lanes == 2 and long.need(long.way) > long.need(Way(512))


def test_what_a_lane_is_given():
    way = Way(512, lanes=2)
    assert way.part([170, 150]) == 170, "a row each"
    assert way.part([50, 40, 30]) == 100
    assert way.part([50] * 8) == 200
    assert way.part([150] * 8) == 256
