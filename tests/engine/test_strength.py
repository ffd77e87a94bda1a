"""The bake slider in the engine: the adapter's strength is PEFT's rescaling, 0 is the base, and the base's adapter is truly off."""

import pytest
import torch
from peft.helpers import rescale_adapter_scale

from core.config import Sampling
from core.errors import FlavorError
from core.protocol import Candidate, Sample
from tests.engine.conftest import load_engine
from tests.engine.test_engine import make_run

PROMPT = [("# Heading\n\n", 0.0)]


@pytest.fixture(scope="module")
def loud(tiny, tmp_path_factory):
    """An engine, and the folder of a checkpoint of it that differs much from the base."""
    from core.protocol import Train

    engine, loaded = load_engine(tiny)
    run = make_run(tmp_path_factory.mktemp("loud") / "runs", loaded)
    list(engine.train(Train(id=3, run=str(run))))
    return engine, run / "checkpoints/epoch-02"


def texts(engine, checkpoint, **more):
    where = str(checkpoint) if checkpoint else None
    command = Sample(id=4, checkpoint=where, prompts=[PROMPT] * 4, seeds=[1, 2, 3, 4], settings=Sampling(max_tokens=16), **more)
    return {event.index: event.text for event in engine.sample(command) if isinstance(event, Candidate)}


def logits(engine):
    ids = torch.tensor([engine._base.tokenizer("the text of many").input_ids])
    with torch.inference_mode():
        return engine._base.model(input_ids=ids).logits.float()


def test_strength_changes_the_texts_and_comes_back(loud):
    engine, checkpoint = loud
    as_trained = texts(engine, checkpoint)
    half = texts(engine, checkpoint, strength=0.5)
    assert half != as_trained
    assert texts(engine, checkpoint, strength=0.0) == texts(engine, None)
    assert texts(engine, checkpoint) == as_trained
    assert texts(engine, checkpoint, strength=0.5) == half  # reproduced with its strength


def test_strength_is_pefts_rescaling(loud):
    engine, checkpoint = loud
    engine.adapters.use(checkpoint)
    for strength in (0.3, 1.0, 1.2):
        engine._forms.sample(True, "x", strength)
        ours = logits(engine)
        with rescale_adapter_scale(engine._forms.peft, strength):
            for layer in engine._forms.layers:
                layer.wrapped.__dict__.pop("forward", None)  # PEFT's own
            theirs = logits(engine)
        engine._forms._state = ""
        assert torch.allclose(ours, theirs, atol=0.05, rtol=0), (ours - theirs).abs().max()
    engine._forms.sample(True, "x", 0.3)
    assert (logits(engine) - theirs).abs().max() > 0.1  # what the tolerance would not hide


def test_the_base_has_its_adapter_truly_off(loud, tiny):
    """Its logits, after checkpoints were used, are to the last bit those of an engine that never had one."""
    engine, checkpoint = loud
    texts(engine, checkpoint, strength=1.2)
    tuned = logits(engine)
    texts(engine, None)
    fresh, _ = load_engine(tiny)
    texts(fresh, None)
    assert torch.equal(logits(engine), logits(fresh))
    assert not torch.equal(tuned, logits(fresh))


@pytest.mark.parametrize("strength", [-0.1, 1.3, float("nan")])
def test_a_strength_that_cannot_be_is_refused(loud, strength):
    engine, checkpoint = loud
    with pytest.raises(FlavorError, match="is no strength"):
        texts(engine, checkpoint, strength=strength)
