"""Runs and checkpoints through the engine: whole or absent, refused when damaged or foreign, harmless when cancelled."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from core import runfiles
from core.config import Lora, Sampling, Training
from core.errors import FlavorError
from core.protocol import Candidate, Epoch, Evaluate, Evaluated, Row, Sample, Step, Train, Trained
from core.runfiles import Result, RunSpec
from core.worker.adapters import all_finite
from tests.engine.conftest import load_engine, small_files

PROMPT = [("# Heading\n\n", 0.0)]


def make_run(folder, loaded, name="0001", rows=9, epochs=2, parent=None, seed=1, max_tokens=1024):
    """A run's folder as the session makes it."""
    texts = [Row(id=f"r{n}", prompt=PROMPT, text=f"the {n} text of many " * 2, held_out=n >= 7) for n in range(rows)]
    data = runfiles.encode_rows(texts)
    run = folder / name
    run.mkdir(parents=True)
    (run / "rows.jsonl").write_bytes(data)
    spec = RunSpec(
        name, "now", loaded.name, loaded.fingerprint, "nf4", Lora(r=4, alpha=8), Training(max_tokens=max_tokens), seed, epochs, 1e-2, parent,
        rows, rows, hashlib.sha256(data).hexdigest(),
    )  # fmt: skip
    runfiles.write(run / "run.json", spec)
    return run


@pytest.fixture
def trained(tiny, tmp_path):
    """An engine and a finished run."""
    engine, loaded = load_engine(tiny)
    run = make_run(tmp_path / "runs", loaded)
    events = [event for event in engine.train(Train(id=3, run=str(run))) if event]
    return engine, loaded, run, events


def texts(engine, checkpoint, tokens=12):
    command = Sample(
        id=4,
        checkpoint=str(checkpoint) if checkpoint else None,
        prompts=[PROMPT] * 3,
        seeds=[1, 2, 3],
        settings=Sampling(max_tokens=tokens),
    )
    return {event.index: event.text for event in engine.sample(command) if isinstance(event, Candidate)}


def test_numbers_that_are_none_are_seen():
    none, endless = torch.tensor([1.0, float("nan")]), torch.tensor([float("inf"), float("-inf")])
    large = torch.full((4,), 3e38)  # its sum is no number, all of it are
    assert all_finite([large, torch.ones(3).bfloat16()])
    assert not all_finite([torch.ones(2), none])
    assert not all_finite([endless])


def test_a_run_gives_a_checkpoint_an_epoch_and_makes_the_best_one_active(trained):
    _, _, run, events = trained
    epochs = [event for event in events if isinstance(event, Epoch)]
    assert [event.epoch for event in epochs] == [0, 1, 2]
    assert epochs[2].held_out_loss < epochs[0].held_out_loss
    last = events[-1]
    assert isinstance(last, Trained)
    best = min(epochs[1:], key=lambda event: event.held_out_loss)
    assert runfiles.measured_by(last.checkpoint) == best.checkpoint
    assert runfiles.read(run / "result.json", Result).status == "done"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert sum(line["type"] == "step" for line in lines) == last.steps == sum(isinstance(event, Step) for event in events)


def test_a_saved_adapter_is_what_plain_peft_loads(trained, tiny):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    engine, _, run, _ = trained
    folder = run / "checkpoints" / "epoch-02"
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32), folder)
    names = {name for name, tensor in model.named_parameters() if "lora_" in name and tensor.abs().sum() > 0}
    assert len(names) == 2 * 7 * 2
    texts(engine, folder)
    own = load_file(folder / "adapter_model.safetensors")
    assert len(own) == len(names)


def test_the_same_run_again_gives_the_same_weights(trained, tiny, tmp_path):
    _, _, run, _ = trained
    engine, loaded = load_engine(tiny)
    texts(engine, None)  # sampling before makes no difference
    again = make_run(tmp_path / "again", loaded)
    list(engine.train(Train(id=5, run=str(again))))
    one, two = (load_file(folder / "checkpoints/epoch-02/adapter_model.safetensors") for folder in (run, again))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_top_up_starts_where_its_parent_ended(trained):
    engine, loaded, run, events = trained
    child = make_run(run.parent, loaded, "0002", parent="0001/epoch-02", epochs=1)
    start = next(event for event in engine.train(Train(id=6, run=str(child))) if isinstance(event, Epoch))
    end = next(event for event in events if isinstance(event, Epoch) and event.epoch == 2)
    assert start.held_out_loss == pytest.approx(end.held_out_loss, abs=1e-4)


def test_switching_checkpoints_and_back_gives_the_same_texts(trained):
    engine, _, run, _ = trained
    first = texts(engine, run / "checkpoints/epoch-01")
    base = texts(engine, None)
    assert texts(engine, run / "checkpoints/epoch-01") == first != base
    assert texts(engine, None) == base


def test_a_cancelled_run_leaves_everything_as_it_was(trained):
    engine, loaded, run, _ = trained
    before = texts(engine, run / "checkpoints/epoch-02")
    other = make_run(run.parent, loaded, "0002")
    events = engine.train(Train(id=7, run=str(other)))
    for event in events:
        if isinstance(event, Step):
            break
    events.close()
    assert runfiles.read(other / "result.json", Result).status == "cancelled"
    assert not list(other.glob("checkpoints/*"))
    assert texts(engine, run / "checkpoints/epoch-02") == before


def test_a_full_disk_is_named_and_leaves_no_checkpoint(tiny, tmp_path):
    engine, loaded = load_engine(tiny)
    run = make_run(tmp_path / "runs", loaded)
    with small_files(1 << 14), pytest.raises(FlavorError, match=r"The checkpoint could not be written: .*File too large") as error:
        list(engine.train(Train(id=3, run=str(run))))
    assert error.value.kind == "disk" and not list(run.glob("checkpoints/*"))


def test_scores_that_are_no_numbers_are_named(tiny):
    engine, _ = load_engine(tiny)
    for settings in (Sampling(max_tokens=5), Sampling(max_tokens=5, temperature=0), Sampling(max_tokens=5, min_p=0, top_p=0.9)):
        texts(engine, None)
        engine._base.model.model.norm.weight.data.fill_(float("nan"))
        with pytest.raises(FlavorError) as error:
            list(engine.sample(Sample(id=4, checkpoint=None, prompts=[PROMPT] * 2, seeds=[1, 2], settings=settings)))
        assert error.value.kind == "nan"
        engine._base.model.model.norm.weight.data.fill_(1.0)


def test_rows_longer_than_the_limit_are_named_and_left_out(tiny, tmp_path):
    engine, loaded = load_engine(tiny)
    run = make_run(tmp_path / "runs", loaded, max_tokens=16)
    with pytest.raises(FlavorError, match="Every row is longer than 16 tokens"):
        list(engine.train(Train(id=3, run=str(run))))
    assert runfiles.read(run / "result.json", Result).status == "failed"


def damage_bit(folder):
    path = folder / "adapter_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def damage_nan(folder):
    path = folder / "adapter_model.safetensors"
    state = load_file(path)
    next(iter(state.values())).fill_(float("nan"))
    save_file(state, path)
    info = json.loads((folder / "checkpoint.json").read_text())
    info["sha256"] = runfiles.file_sha256(path)
    (folder / "checkpoint.json").write_text(json.dumps(info))


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (damage_bit, "damaged"),
        (damage_nan, "damaged"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "damaged"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b""), "damaged"),
        (lambda folder: (folder / "checkpoint.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "checkpoint.json").unlink(), "missing"),
    ],
)
def test_damaged_checkpoints_are_refused(trained, tiny, damage, kind):
    _, _, run, _ = trained
    folder = run / "checkpoints/epoch-02"
    damage(folder)
    engine, _ = load_engine(tiny)  # one that has not read it yet
    with pytest.raises(FlavorError) as error:
        texts(engine, folder)
    assert error.value.kind == kind


def test_an_adapter_of_another_base_is_refused(trained, other):
    _, _, run, _ = trained
    engine, _ = load_engine(other)
    with pytest.raises(FlavorError, match="another base"):
        texts(engine, run / "checkpoints/epoch-01")


def test_changed_rows_are_refused(tiny, tmp_path):
    engine, loaded = load_engine(tiny)
    run = make_run(tmp_path / "runs", loaded)
    (run / "rows.jsonl").write_bytes((run / "rows.jsonl").read_bytes().replace(b"many", b"some"))
    with pytest.raises(FlavorError, match="changed since"):
        list(engine.train(Train(id=3, run=str(run))))


def test_evaluate_measures_the_text_alone(trained):
    engine, _, run, _ = trained
    rows = [Row(id="a", prompt=PROMPT, text="the 3 text of many the 3 text of many "), Row(id="b", prompt=PROMPT, text="zzzz")]

    def loss(checkpoint):
        command = Evaluate(id=8, checkpoint=str(checkpoint) if checkpoint else None, rows=rows, max_tokens=1024)
        return next(event for event in engine.evaluate(command) if isinstance(event, Evaluated))

    base, tuned = loss(None), loss(run / "checkpoints/epoch-02")
    assert base.tokens == tuned.tokens == 38 + 4
    assert tuned.losses[0] < base.losses[0]


def test_rows_that_a_run_would_leave_out_are_not_measured(trained):
    """Longer than `max_tokens`, or than the base has positions: they are named."""
    engine = trained[0]
    rows = [Row("short", PROMPT, "z" * 20), Row("long", PROMPT, "z" * 200), Row("huge", PROMPT, "z" * 600)]

    def evaluated(rows, max_tokens):
        return list(engine.evaluate(Evaluate(id=8, checkpoint=None, rows=rows, max_tokens=max_tokens)))[-1]

    alone = evaluated(rows[:1], 100)
    found = evaluated(rows, 100)
    assert (found.skipped, found.rows, found.loss, found.losses) == (["long", "huge"], 1, alone.loss, [*alone.losses, 0.0, 0.0])
    assert evaluated(rows, 9999).skipped == ["huge"]  # the base has 512 positions
    with pytest.raises(FlavorError, match="Every row is longer than 512 tokens"):
        evaluated(rows[2:], 9999)


def test_sixteen_bits(tiny):
    engine, loaded = load_engine(tiny, "none")
    assert loaded.form == f"{8 * engine._base.compute.itemsize} bits"
    assert texts(engine, None)
