"""The repetition of the best epoch on all rows: what it is trained on, what is said of it, and that it is nobody's parent."""

import json

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from core import checkpoints, runfiles
from core.checkpoints import WEIGHTS
from core.errors import FlavorError
from core.protocol import Epoch, Refit, Step, Train, Trained
from core.runfiles import CheckpointInfo, Result, RunSpec
from core.stopping import refit_steps
from core.worker.encoding import Curriculum
from core.worker.retraining import Retraining
from tests.engine.conftest import load_engine
from tests.engine.test_retraining import HELD, ROWS, bake, make


@pytest.fixture(scope="module")
def loaded(tiny):
    return load_engine(tiny)


def info_of(run, name):
    return runfiles.read(run / "checkpoints" / name / "checkpoint.json", CheckpointInfo)


def state(run, name):
    return load_file(run / "checkpoints" / name / WEIGHTS)


def same(one, two):
    return all(torch.equal(one[key], two[key]) for key in one)


def test_the_best_epoch_is_repeated_on_all_rows(loaded, tiny, tmp_path):
    events, run = bake(tiny, tmp_path, ROWS + HELD, engine=loaded)
    best = min((event for event in events if isinstance(event, Epoch) and event.epoch), key=lambda event: event.held_out_loss)
    assert isinstance(events[-1], Trained) and events[-1].checkpoint == f"0001/refit-{best.epoch:02}"
    assert "all 8 rows" in events[-1].why
    steps = [event for event in events if isinstance(event, Refit)]
    planned = refit_steps(3 * best.epoch, 4)
    assert [event.step for event in steps] == list(range(1, planned + 1)) and {event.steps for event in steps} == {planned}
    told, epoch = info_of(run, f"refit-{best.epoch:02}"), info_of(run, f"epoch-{best.epoch:02}")
    assert told.measured_by == epoch.name and epoch.measured_by is None
    assert (told.held_out_loss, told.recall_held_out, told.p_end, told.p_end_early) == (None, None, None, None)  # it saw those rows
    assert 0 <= told.recall <= 1 and told.drift > 0 and told.seen == pytest.approx(planned * 2 / 8, abs=0.05)
    assert not same(state(run, f"refit-{best.epoch:02}"), state(run, f"epoch-{best.epoch:02}"))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert sum(line["type"] == "step" for line in lines) == events[-1].steps == sum(isinstance(event, Step) for event in events)
    assert sum(line["type"] == "refit" for line in lines) == len(steps)
    assert runfiles.read(run / "result.json", Result).checkpoint == told.name


def test_a_short_last_batch_is_no_whole_step(loaded, tiny, tmp_path):
    """Seven rows two by two are four steps an epoch, of which the last has one row."""
    events, run = bake(tiny, tmp_path, ROWS + HELD[:1], engine=loaded)
    name = events[-1].checkpoint.split("/")[1]
    whole, rest = divmod(sum(isinstance(event, Refit) for event in events), 4)
    assert name.startswith("refit-") and info_of(run, name).seen == pytest.approx(whole + min(2 * rest, 7) / 7, abs=0.05)


def test_held_out_rows_are_trained_on_in_the_repetition_alone(loaded, tiny, tmp_path, monkeypatch):
    seen = []
    epoch = Curriculum.epoch
    monkeypatch.setattr(Curriculum, "epoch", lambda self, number: seen.append({row.id for row in self._rows}) or epoch(self, number))
    events, _ = bake(tiny, tmp_path, ROWS + HELD, engine=loaded)
    epochs = sum(isinstance(event, Epoch) and event.epoch > 0 for event in events)
    held = {row.id for row in HELD}
    assert not any(rows & held for rows in seen[:epochs]) and len(seen) > epochs
    assert all(rows == {row.id for row in ROWS + HELD} for rows in seen[epochs:])


def test_the_same_run_gives_the_same_repetition(loaded, tiny, tmp_path):
    events, run = bake(tiny, tmp_path, ROWS + HELD, engine=loaded)
    name = events[-1].checkpoint.split("/")[1]
    _, again = bake(tiny, tmp_path / "again", ROWS + HELD)  # an engine of its own, as after a crash
    assert same(state(run, name), state(again, name))


@pytest.mark.parametrize(("rows", "settings"), [(ROWS, {}), (ROWS + HELD, {"refit_rows": 0}), (ROWS + HELD, {"refit_rows": 7})])
def test_nothing_is_repeated_where_no_row_is_held_out_or_there_are_many(loaded, tiny, tmp_path, rows, settings):
    events, run = bake(tiny, tmp_path, rows, engine=loaded, **settings)
    assert events[-1].checkpoint.startswith("0001/epoch-") and not list(run.glob("checkpoints/refit-*"))
    assert not any(isinstance(event, Refit) for event in events)


def test_nothing_is_repeated_where_the_start_was_best(loaded, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("core.stopping.Watch.best", lambda self: (0, "the lowest held-out loss"))
    events, run = bake(tiny, tmp_path, ROWS + HELD, engine=loaded)
    assert events[-1].checkpoint == "" and not list(run.glob("checkpoints/refit-*"))


def child_of(run, parent, engine):
    """A run that starts from a checkpoint of `run`."""
    child = run.parent / "0002"
    child.mkdir()
    spec = runfiles.read(run / "run.json", RunSpec)
    (child / "rows.jsonl").write_bytes((run / "rows.jsonl").read_bytes())
    runfiles.write(child / "run.json", msgspec.structs.replace(spec, name="0002", parent=parent, shrink=0.5, epochs=2))
    return [event for event in engine.train(Train(id=2, run=str(child))) if event], child


def test_a_top_up_repeats_from_its_parent_as_it_began(loaded, tiny, tmp_path):
    events, run = bake(tiny, tmp_path, ROWS + HELD, engine=loaded)
    parent = runfiles.measured_by(events[-1].checkpoint)
    more, child = child_of(run, parent, loaded[0])
    best = int(more[-1].checkpoint[-2:])
    assert best == 0 or info_of(child, f"refit-{best:02}").measured_by == f"0002/epoch-{best:02}"
    first = next(event for event in more if isinstance(event, Epoch))
    own = next(event for event in events if isinstance(event, Epoch) and event.checkpoint == parent)
    assert first.held_out_loss == pytest.approx(own.held_out_loss, abs=1e-4)  # nobody has seen those rows


def test_a_repetition_is_nobodys_parent(loaded, tiny, tmp_path):
    events, run = bake(tiny, tmp_path, ROWS + HELD, engine=loaded)
    with pytest.raises(FlavorError, match="trained on the held-out rows") as refused:
        child_of(run, events[-1].checkpoint, loaded[0])
    assert runfiles.measured_by(events[-1].checkpoint) in refused.value.hint
    assert runfiles.read(run.parent / "0002/result.json", Result).status == "failed"


def test_why_it_may_be_nobodys_parent(loaded, tiny, tmp_path, monkeypatch):
    """Planted: without the refusal the loss of held-out rows that were learned looks far better than it is."""
    unlike = [make(f"h{n}", "QZX 0123456789 " * 2, held_out=True) for n in range(2)]
    events, run = bake(tiny, tmp_path, [*ROWS[:4], *unlike], epochs=3, engine=loaded, stop_early=False)
    true = next(e for e in events if isinstance(e, Epoch) and e.checkpoint == runfiles.measured_by(events[-1].checkpoint)).held_out_loss
    monkeypatch.setattr("core.runfiles.check_parent", lambda name: None)
    more, _ = child_of(run, events[-1].checkpoint, loaded[0])
    assert next(event for event in more if isinstance(event, Epoch)).held_out_loss < true


@pytest.mark.parametrize("claim", [None, "0001/refit-03", "0009/epoch-03"])
def test_a_repetition_that_is_measured_by_another_is_refused(loaded, tiny, tmp_path, claim):
    events, run = bake(tiny, tmp_path, ROWS + HELD, engine=loaded)
    folder = run / "checkpoints" / events[-1].checkpoint.split("/")[1]
    told = runfiles.read(folder / "checkpoint.json", CheckpointInfo)
    assert checkpoints.verify_files(folder) == told
    runfiles.write(folder / "checkpoint.json", msgspec.structs.replace(told, measured_by=claim))
    with pytest.raises(FlavorError, match="which cannot be"):
        checkpoints.verify_files(folder)


def test_an_epoch_that_says_it_is_measured_elsewhere_is_refused(loaded, tiny, tmp_path):
    _, run = bake(tiny, tmp_path, ROWS + HELD, engine=loaded)
    folder = run / "checkpoints/epoch-01"
    told = runfiles.read(folder / "checkpoint.json", CheckpointInfo)
    runfiles.write(folder / "checkpoint.json", msgspec.structs.replace(told, measured_by="0001/epoch-02"))
    with pytest.raises(FlavorError, match="which cannot be"):
        checkpoints.verify_files(folder)


def test_a_repetition_that_is_cancelled_leaves_its_epochs(loaded, tiny, tmp_path, monkeypatch):
    def stop(self, number, began, best, memory):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(Retraining, "_refit", stop)
    with pytest.raises(KeyboardInterrupt):
        bake(tiny, tmp_path, ROWS + HELD, engine=loaded)
    run = tmp_path / "runs/0001"
    assert runfiles.read(run / "result.json", Result).status == "cancelled"
    assert list(run.glob("checkpoints/epoch-*")) and not list(run.glob("checkpoints/refit-*"))
