"""A run's figures for other tools: TensorBoard's own reader reads what was written; stand-ins for Trackio and wandb; none fails a run."""

import json
import sys
from types import SimpleNamespace

import pytest

from core.protocol import Train, Trained
from core.worker.sinks import KINDS, Sinks
from tests.engine.conftest import load_engine
from tests.engine.test_engine import make_run


@pytest.fixture(scope="module")
def loaded(tiny):
    return load_engine(tiny)


def trained(loaded, folder, *sinks):
    """A run with these sinks: its folder, and its last event."""
    engine, told = loaded
    run = make_run(folder / "runs", told, epochs=2)
    *_, last = engine.train(Train(id=3, run=str(run), sinks=list(sinks)))
    assert isinstance(last, Trained) and (run / "result.json").exists()
    return run, last


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_tensorboards_own_reader_finds_every_figure(loaded, tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run, last = trained(loaded, tmp_path, "tensorboard")
    assert last.note == ""
    found = reader.EventAccumulator(str(tmp_path / "metrics/tensorboard" / run.name))
    found.Reload()
    steps = [line for line in lines(run) if line["type"] == "step"]
    epochs = [line for line in lines(run) if line["type"] == "epoch" and line["held_out_loss"] is not None]
    assert [(event.step, round(event.value, 4)) for event in found.Scalars("train/loss")] == [
        (line["step"], round(line["loss"], 4)) for line in steps
    ]
    held = found.Scalars("held_out/loss")
    assert [round(event.value, 4) for event in held] == [round(line["held_out_loss"], 4) for line in epochs]
    assert held[-1].step == steps[-1]["step"] and "gauges/recall" in found.Tags()["scalars"]


def test_off_by_default_and_imported_only_then(loaded, tmp_path, monkeypatch):
    for name in ("torch.utils.tensorboard", "tensorboard", "trackio", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)  # to import it is an error
    _, last = trained(loaded, tmp_path)
    assert last.note == "" and not (tmp_path / "metrics").exists()


def test_a_missing_package_is_one_message_and_the_run_goes_on(loaded, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    run, last = trained(loaded, tmp_path, "trackio")
    assert last.note.startswith("trackio is not installed") and last.note.count("pip install") == 1
    assert [line["type"] for line in lines(run)].count("epoch") == 3


def stand_in(log, fails_at=None):
    """Stands in for wandb and Trackio alike: it keeps what it is told."""

    def told(figures, step):
        if step == fails_at:
            raise RuntimeError("the disk of another tool is full")
        log.append((step, dict(figures)))

    def init(**given):
        log.append(given)
        return SimpleNamespace(log=told, finish=lambda: log.append("finished"))

    return SimpleNamespace(init=init, log=told, finish=lambda: log.append("finished"), Settings=SimpleNamespace)


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_a_stand_in_is_told_of_every_step(loaded, tmp_path, monkeypatch, name):
    log = []
    monkeypatch.setitem(sys.modules, name, stand_in(log))
    run, last = trained(loaded, tmp_path, name)
    began, *figures, finished = log
    assert last.note == "" and finished == "finished"
    assert began["project"] == tmp_path.name and began["name"] == run.name and began["config"]["lora"]["r"] == 4
    assert "the" not in json.dumps(began["config"]).split() and began.get("mode", "offline") == "offline"
    assert [step for step, told in figures if "train/loss" in told] == [line["step"] for line in lines(run) if line["type"] == "step"]
    assert [step for step, _ in figures] == sorted(step for step, _ in figures)


def test_one_that_fails_is_let_go(loaded, tmp_path, monkeypatch):
    log = []
    monkeypatch.setitem(sys.modules, "wandb", stand_in(log, fails_at=1))
    _, last = trained(loaded, tmp_path, "wandb")
    assert last.note == "wandb took no figures: RuntimeError: the disk of another tool is full."
    assert not [told for told in log[1:] if told != "finished" and told[0] > 1]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "metrics").write_text("a file")
    run = tmp_path / "runs" / "0001"
    sinks = Sinks(list(KINDS), run, SimpleNamespace(name="0001"))
    assert sinks.note.count("took no figures") == 3
    sinks.close()
