"""Sampling between the steps of a run: the run ends as if nothing had been, and so do the texts."""

import json
import subprocess
import sys
import threading

import pytest
import torch
from safetensors.torch import load_file

from core.checkpoints import WEIGHTS
from core.config import Lora, Sampling
from core.errors import FlavorError
from core.protocol import Candidate, Epoch, Load, Sample, Train, Trained, encode
from core.worker.engine import Engine
from tests.engine.conftest import load_engine
from tests.engine.test_retraining import HELD, ROWS, TASK, bake


def loaded(tiny, dropout):
    engine = Engine()
    *_, event = engine.load(Load(id=1, base=str(tiny), quantization="nf4", lora=Lora(r=4, alpha=8, dropout=dropout)))
    return engine, event


def wanted(checkpoint, number=9):
    settings = Sampling(max_tokens=8)
    return Sample(id=number, checkpoint=checkpoint, prompts=[TASK.segments({})] * 2, seeds=[1, 2], settings=settings, examples=[])


def texts(events):
    return [event.text for event in events if isinstance(event, Candidate)]


def weights(run):
    return {path.name: load_file(path / WEIGHTS) for path in sorted((run / "checkpoints").iterdir())}


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_run_that_is_interrupted_everywhere_ends_the_same(tiny, tmp_path, dropout, monkeypatch):
    """With the parent's adapter, which the run itself moves away from; with dropout its random numbers count too."""
    engine, event = loaded(tiny, dropout)
    lora = Lora(r=4, alpha=8, dropout=dropout)
    monkeypatch.setattr("tests.engine.test_retraining.Lora", lambda **_: lora)
    first, parent = bake(tiny, tmp_path, ROWS + HELD, epochs=1, engine=(engine, event))
    checkpoint = str(parent / "checkpoints" / first[-1].checkpoint.split("/")[1])
    alone = texts(engine.sample(wanted(checkpoint)))
    assert len(alone) == 2

    plain, run = bake(tiny, tmp_path, ROWS + HELD, epochs=3, engine=(engine, event))
    train, between = Engine.train, []

    def interrupted(self, command):
        for happened in train(self, command):
            if not isinstance(happened, Trained):
                between.append(texts(self.between(wanted(checkpoint))))
            yield happened

    monkeypatch.setattr(Engine, "train", interrupted)
    again, other = bake(tiny, tmp_path, ROWS + HELD, epochs=3, engine=(engine, event))
    assert len(between) > 20 and all(found == alone for found in between)
    one, two = weights(run), weights(other)
    assert list(one) == list(two) and len(one) == 4  # three epochs and the repetition on all rows
    assert all(torch.equal(one[name][key], two[name][key]) for name in one for key in one[name])
    assert [event.gauges for event in plain if isinstance(event, Epoch)] == [event.gauges for event in again if isinstance(event, Epoch)]
    assert again[-1].train_seconds < again[-1].seconds


def test_what_goes_wrong_between_steps_leaves_the_run_alone(tiny, tmp_path, monkeypatch):
    engine, event = load_engine(tiny)
    _, run = bake(tiny, tmp_path, ROWS, epochs=2, engine=(engine, event))
    train = Engine.train

    def interrupted(self, command):
        for happened in train(self, command):
            if not isinstance(happened, Trained):
                with pytest.raises(FlavorError):
                    list(self.between(wanted(str(tmp_path / "nowhere"))))
                sampling = self.between(wanted(None))
                next(sampling)
                sampling.close()  # cancelled
            yield happened

    monkeypatch.setattr(Engine, "train", interrupted)
    _, other = bake(tiny, tmp_path, ROWS, epochs=2, engine=(engine, event))
    one, two = weights(run), weights(other)
    assert one and all(torch.equal(one[name][key], two[name][key]) for name in one for key in one[name])


def test_the_worker_samples_within_a_run_and_cancels_either(tiny, tmp_path):
    """Over the wire: a sampling that is asked for while a run goes on is answered before its end, one that is cancelled ends alone."""
    _, run = bake(tiny, tmp_path, ROWS, epochs=1)
    spec = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(spec | {"epochs": 400, "training": spec["training"] | {"stop_early": False}}))
    worker = subprocess.Popen([sys.executable, "-P", "-m", "core.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    watchdog = threading.Timer(120, worker.kill)  # an event that never comes ends the pipe
    watchdog.start()

    def ask(*commands):
        for command in commands:
            worker.stdin.write(command if isinstance(command, bytes) else encode(command))
        worker.stdin.flush()

    def until(kind, number):
        seen = []
        while not seen or (seen[-1]["type"], seen[-1]["id"]) != (kind, number):
            seen.append(json.loads(worker.stdout.readline()))
        return seen

    try:
        ask(Load(id=1, base=str(tiny), quantization="nf4", lora=Lora(r=4, alpha=8)))
        until("loaded", 1)
        ask(Train(id=2, run=str(run)))
        until("step", 2)
        ask(
            wanted(None, 3),
            b'{"type":"cancel","id":4,"of":4}\n',
            wanted(None, 4),
            b'{"type":"evaluate","id":6,"checkpoint":null,"rows":[],"max_tokens":64}\n',
        )
        answered = until("sampled", 3)
        assert sum(event["type"] == "candidate" for event in answered) == 2 and not any(event["type"] == "trained" for event in answered)
        until("cancelled", 4)
        assert until("step", 2)  # it goes on
        ask(b'{"type":"cancel","id":7,"of":2}\n')
        assert not any(event["id"] == 6 for event in until("cancelled", 2))  # anything else waits for the run's end
        until("failed", 6)
    finally:
        watchdog.cancel()
        worker.stdin.close()
        worker.wait(30)
