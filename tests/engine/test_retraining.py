"""A run on awkward rows: few, alike, too long, one held out; and what it measures, says and leaves behind."""

import hashlib
import itertools
import math

import pytest

from core import runfiles
from core.config import Lora, Training
from core.errors import FlavorError
from core.protocol import Epoch, Row, Train, Trained
from core.runfiles import CheckpointInfo, Result, RunSpec
from core.task import Field, Task
from core.worker.evaluation import RowMeasure, mean
from core.worker.retraining import PROBED, _by_people, _some
from tests.engine.conftest import load_engine

TASK = Task("Heading", fields=(Field("Mood"),))


def make(uid, text, **more):
    return Row(uid, TASK.segments({"Mood": "calm"}), text, fields={"Mood": "calm"}, **more)


def bake(tiny, folder, rows, epochs=3, rate=1e-2, engine=None, expected=0, **settings):
    """The events of a run over `rows`, and its folder."""
    engine, loaded = engine or load_engine(tiny)
    data = runfiles.encode_rows(rows)
    run = folder / "runs" / f"{len(list((folder / 'runs').glob('*'))) + 1:04}"
    run.mkdir(parents=True)
    (run / "rows.jsonl").write_bytes(data)
    spec = RunSpec(
        run.name, "now", loaded.name, loaded.fingerprint, "nf4", Lora(r=4, alpha=8), Training(**settings), 1, epochs, rate, None,
        len(rows), len(rows), hashlib.sha256(data).hexdigest(), task=TASK, expected=expected,
    )  # fmt: skip
    runfiles.write(run / "run.json", spec)
    return [event for event in engine.train(Train(id=1, run=str(run))) if event], run


ROWS = [make(f"r{n}", f"the {n} text of many and more") for n in range(6)]
HELD = [make(f"h{n}", f"the {n} text of many and more", held_out=True) for n in range(6, 8)]


@pytest.mark.parametrize("rows", [ROWS[:1], [make(f"same{n}", "the very same text") for n in range(4)], [*ROWS, HELD[0]], ROWS + HELD])
def test_awkward_rows_train(tiny, tmp_path, rows):
    """One row, identical rows, a held-out fold of one: each gives checkpoints with what can be measured, and one is chosen."""
    events, run = bake(tiny, tmp_path, rows)
    assert isinstance(events[-1], Trained)
    chosen = runfiles.measured_by(events[-1].checkpoint)
    info = runfiles.read(run / "checkpoints" / chosen.split("/")[1] / "checkpoint.json", CheckpointInfo)
    held = any(row.held_out for row in rows)
    assert (info.held_out_loss is not None) == held == (info.recall_held_out is not None)
    assert 0 <= info.recall <= 1 and 0 <= info.p_end <= 1 and info.drift > 0
    assert info.seen == info.epoch


def test_the_base_and_the_parent_are_measured_first(tiny, tmp_path):
    engine = load_engine(tiny)
    events, run = bake(tiny, tmp_path, ROWS + HELD, engine=engine)
    first = next(event for event in events if isinstance(event, Epoch))
    assert first.epoch == 0 and first.base_loss == pytest.approx(first.held_out_loss)  # a fresh adapter is the base
    result = runfiles.read(run / "result.json", Result)
    assert result.base_loss == first.base_loss and result.parent_loss is None


def test_reciting_is_looked_for_from_the_first_row_to_the_newest():
    for count in (*range(1, 20), 71):
        places = _some(range(count))
        assert (places[0], places[-1], len(places)) == (0, count - 1, min(count, PROBED))
        gaps = [later - earlier for earlier, later in itertools.pairwise(places)]
        assert not gaps or 0 < max(gaps) <= min(gaps) + 1


def test_it_stops_by_itself_and_says_why(tiny, tmp_path):
    """Learned by heart: held-out loss turns. With `stop_early` off all epochs are trained."""
    unlike = [make(f"h{n}", "QZX 0123456789 " * 2, held_out=True) for n in range(2)]
    events, run = bake(tiny, tmp_path, [*ROWS[:3], *unlike], epochs=30, rate=3e-2)
    trained = events[-1]
    epochs = [event for event in events if isinstance(event, Epoch) and event.epoch]
    assert len(epochs) < 30 and "held-out loss rose" in trained.stopped and trained.why
    assert runfiles.read(run / "result.json", Result).stopped == trained.stopped
    assert len(list((run / "checkpoints").glob("epoch-*"))) == len(epochs)  # every one is kept
    events, _ = bake(tiny, tmp_path, [*ROWS[:3], *unlike], epochs=len(epochs) + 2, rate=3e-2, stop_early=False)
    assert sum(isinstance(event, Epoch) for event in events) == len(epochs) + 3 and not events[-1].stopped


def test_rows_too_long_are_named_and_the_rest_is_trained(tiny, tmp_path):
    events, _ = bake(tiny, tmp_path, [*ROWS, make("long", "word " * 300)], max_tokens=128)
    assert events[-1].skipped == ["long"]
    with pytest.raises(FlavorError, match="Every row is longer than 128 tokens"):
        bake(tiny, tmp_path, [make("long", "word " * 300)], max_tokens=128)


def test_a_loss_that_is_no_number_leaves_no_checkpoint(tiny, tmp_path):
    engine = load_engine(tiny)

    def spoil(seed):
        type(forms).fresh_adapter(forms, seed)
        forms.parameters()[0].data.fill_(float("nan"))

    forms = engine[0]._forms
    forms.fresh_adapter = spoil
    with pytest.raises(FlavorError, match="no longer a number"):
        bake(tiny, tmp_path, ROWS, engine=engine)
    run = tmp_path / "runs" / "0001"
    assert runfiles.read(run / "result.json", Result).status == "failed" and not (run / "checkpoints").exists()


def test_reciting_is_looked_for_in_what_people_wrote():
    """A model guesses a model's words well unseen: beside held-out rows, all by people, they would look as if learned by heart."""
    mine, machine = make("mine", "a"), make("machine", "b", origin="accepted", depth=1)
    encoded = {"mine": "A", "machine": "B"}
    assert _by_people([machine, mine], encoded) == ["A"] and _by_people([machine], encoded) == ["B"]


def test_a_mean_that_is_no_number_is_said():
    with pytest.raises(FlavorError, match="no longer a number"):
        mean([RowMeasure("1", math.nan, 3, 0.5, 0.1, 0.0)])
