"""Taste: the chosen becomes likelier than the rejected, the same again with the same seed, and nothing is lost when it goes wrong."""

import hashlib
import math

import msgspec
import pytest
import torch

from core import runfiles
from core.config import Training
from core.errors import FlavorError
from core.protocol import Epoch, Step, Train, Trained
from core.runfiles import Pair, Result, RunSpec
from core.worker.preference import Looks, encode_pair, look, prefer, preference_loss
from core.worker.training import EpochDone, StepDone
from tests.engine.conftest import load_engine
from tests.engine.test_engine import PROMPT, make_run, texts

PAIRS = [Pair(PROMPT, f"the {n} text of many ", f"# {n * 7} zzz! ", "decided", f"r{n}", f"c{n}") for n in range(4)]
SETTINGS = Training(batch_size=2)


def ready(engine, seed=1):
    base, forms, _ = engine._ready()
    forms.fresh_adapter(seed)
    forms.train()
    return base, forms


def gains(base, pairs, before):
    """By how much each chosen text has gained on its rejected one, in nats."""
    with torch.no_grad():
        now = [look(base.model, pair) for pair in pairs]
    return [(n.chosen - b.chosen - n.rejected + b.rejected).item() for n, b in zip(now, before, strict=True)]


def run(engine, pairs=PAIRS, epochs=3, peak=5e-3, seed=1, start=1):
    """Taste from a fresh adapter: its events, what each of PAIRS gained, and the adapter."""
    base, forms = ready(engine, start)
    told = [encode_pair(base.tokenizer, pair, 2.0) for pair in PAIRS]
    with torch.no_grad():
        before = [look(base.model, pair) for pair in told]
    encoded = [encode_pair(base.tokenizer, pair, 2.0) for pair in pairs]
    events = [e for e in prefer(base.model, forms.parameters(), encoded, SETTINGS, epochs=epochs, peak=peak, seed=seed) if e]
    return events, gains(base, told, before), torch.cat([tensor.detach().flatten().clone() for tensor in forms.parameters()])


def test_the_chosen_gains_on_the_rejected(engine):
    events, gained, _ = run(engine)
    assert all(gain > 1 for gain in gained)
    losses = [event.loss for event in events if isinstance(event, EpochDone)]
    assert len(losses) == 3 and losses[-1] < losses[0]
    assert [event.step for event in events if isinstance(event, StepDone)] == list(range(1, 7))
    # The planted fault: with the two texts exchanged the same check must fail.
    wrong = [msgspec.structs.replace(pair, chosen=pair.rejected, rejected=pair.chosen) for pair in PAIRS]
    assert all(gain < 0 for gain in run(engine, wrong)[1])


def test_the_loss_is_that_of_the_paper():
    def looks(chosen, rejected):
        return Looks(torch.tensor(chosen), torch.tensor(rejected), torch.tensor(0.0))

    before = looks(-10.0, -20.0)
    assert preference_loss(before, before, 0.1).item() == pytest.approx(math.log(2))
    # The chosen gained 4 nats, the rejected lost 6: -log sigmoid(0.1 * 10).
    assert preference_loss(looks(-6.0, -26.0), before, 0.1).item() == pytest.approx(math.log(1 + math.exp(-1)))


def test_what_counts_is_the_text_and_the_end_of_the_chosen_one(engine):
    base, _ = ready(engine)
    pair = encode_pair(base.tokenizer, Pair([("# H\n\n", 0.0), ("Mood: calm\n", 0.2)], "ab", "cde", "edit", "e", "c"), 3.0)
    assert [weight for weight in pair.chosen.weights if weight] == [1.0, 1.0, 3.0]
    assert [weight for weight in pair.rejected.weights if weight] == [1.0, 1.0, 1.0]
    found = look(base.model, pair)
    ids = torch.tensor([pair.rejected.ids])
    with torch.no_grad():
        scores = base.model(input_ids=ids).logits[0].float().log_softmax(-1)
    own = sum(scores[at - 1, pair.rejected.ids[at]].item() for at in range(pair.rejected.start, pair.rejected.end))
    assert found.rejected.item() == pytest.approx(own, rel=0.01)


def test_the_same_seed_gives_the_same_adapter(engine):
    one, two, other = (run(engine, epochs=1, seed=seed)[2] for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_a_loss_that_is_no_number_stops_it(engine):
    base, forms = ready(engine)
    with torch.no_grad():
        forms.parameters()[1].fill_(float("nan"))
    with pytest.raises(FlavorError, match="no longer a number"):
        list(prefer(base.model, forms.parameters(), [encode_pair(base.tokenizer, PAIRS[0], 2.0)], SETTINGS, epochs=1, peak=1e-3, seed=1))


# -- as a run ----------------------------------------------------------------------------------------------------------


def make_taste(run, parent, rate, name, epochs=2):
    """A run of taste beside `run`, as the session makes it."""
    spec = runfiles.read(run / "run.json", RunSpec)
    folder = run.parent / name
    folder.mkdir()
    data = runfiles.encode_rows(PAIRS)
    (folder / "rows.jsonl").write_bytes((run / "rows.jsonl").read_bytes())
    (folder / "pairs.jsonl").write_bytes(data)
    spec = msgspec.structs.replace(
        spec, name=name, parent=parent, learning_rate=rate, epochs=epochs, kind="taste", pairs=len(PAIRS),
        pairs_sha256=hashlib.sha256(data).hexdigest(),
    )  # fmt: skip
    runfiles.write(folder / "run.json", spec)
    return folder


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """An engine and a finished run of one epoch."""
    engine, loaded = load_engine(tiny)
    run = make_run(tmp_path_factory.mktemp("tasted") / "runs", loaded, epochs=1)
    list(engine.train(Train(id=3, run=str(run))))
    return engine, run, "0001/epoch-01"


def test_a_run_of_taste_gives_a_checkpoint_a_pass(trained):
    engine, run, parent = trained
    folder = make_taste(run, parent, 1e-5, "0002")
    events = [event for event in engine.train(Train(id=4, run=str(folder))) if event]
    passes = [event for event in events if isinstance(event, Epoch)]
    assert [event.checkpoint for event in passes] == [parent, "0002/epoch-01", "0002/epoch-02"]
    assert all(event.held_out_loss is not None and event.gauges.drift is not None for event in passes)
    assert sum(isinstance(event, Step) for event in events) == 4
    assert events[-1].checkpoint == "0002/epoch-02" and "taste" in events[-1].why
    assert texts(engine, folder / "checkpoints/epoch-02")


def test_what_loses_too_much_is_refused_and_the_parent_stays(trained):
    engine, run, parent = trained
    folder = make_taste(run, parent, 1.0, "0003")  # a rate that breaks everything
    last = list(engine.train(Train(id=4, run=str(folder))))[-1]
    assert isinstance(last, Trained)
    assert last.checkpoint == parent
    assert "refused" in last.why and last.stopped
    assert runfiles.read(folder / "result.json", Result).checkpoint == parent


def test_a_cancelled_taste_leaves_everything_as_it_was(trained):
    engine, run, parent = trained
    before = texts(engine, run / "checkpoints/epoch-01")
    folder = make_taste(run, parent, 1e-2, "0004")
    events = engine.train(Train(id=4, run=str(folder)))
    for event in events:
        if isinstance(event, Step) and event.step == 2:
            break
    events.close()
    assert runfiles.read(folder / "result.json", Result).status == "cancelled"
    assert not list(folder.glob("checkpoints/*/checkpoint.json"))
    assert texts(engine, run / "checkpoints/epoch-01") == before


def test_changed_pairs_are_noticed(trained):
    engine, run, parent = trained
    folder = make_taste(run, parent, 1e-5, "0005")
    with open(folder / "pairs.jsonl", "ab") as file:
        file.write(b" ")
    with pytest.raises(FlavorError, match="was changed since"):
        list(engine.train(Train(id=4, run=str(folder))))
