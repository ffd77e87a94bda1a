"""What the models tell of a text: the same alone or among others, the same as plain transformers say, and untouched by the adapter."""

import pytest
import torch

from core.config import Sampling
from core.protocol import Candidate, Sample
from core.sampling import Text
from core.traits import PLACES, Reader

PROMPT = [("# Heading\n\n", 0.0)]


def text(content, likelihoods=(-1.0, -3.0)):
    return Text(0, content, "stop", len(likelihoods), False, likelihoods)


def read(engine, *contents):
    engine._forms.sample(False, "")
    return engine._reader.read([text(content) for content in contents])


def test_the_base_is_asked_for_each_text_alone(engine, tiny):
    from transformers import AutoModelForCausalLM

    contents = ["A tower.", "Two keepers share one shadow, and neither of them minds.", "No."]
    together = read(engine, *contents)
    for one, content in zip(together, contents, strict=True):
        alone = read(engine, content)[0]
        assert [alone.base, *alone.place] == pytest.approx([one.base, *one.place], abs=0.02)
    plain = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16)
    ids = torch.tensor([engine._base.tokenizer(contents[1], add_special_tokens=False).input_ids])
    with torch.no_grad():
        assert together[1].base == pytest.approx(-plain(input_ids=ids, labels=ids).loss.item(), abs=0.1)  # four bits against sixteen
    assert len(together[0].place) == PLACES and together[0].place != together[1].place
    assert read(engine, "")[0].place == read(engine, "x")[0].place == [] != read(engine, "", "A tower.")[1].place


def test_what_the_writer_thought_is_summed_up(engine):
    (traits,) = engine._reader.read([text("A tower.", (-1.0,) * 12 + (-5.0,) * 8 + (-1.0,) * 12)])
    assert (traits.own, traits.weakest) == (-2.0, -5.0)
    assert Reader(engine._base).read([text("A tower.", (-1.0,))])[0].weakest == -1.0


def test_candidates_bring_their_traits_and_the_sampling_is_as_before(engine):
    command = Sample(id=4, checkpoint=None, prompts=[PROMPT] * 4, seeds=[1, 2, 3, 4], settings=Sampling(max_tokens=12))
    found = {event.index: event for event in engine.sample(command) if isinstance(event, Candidate)}
    bare = {
        event.index: event
        for event in engine._sampler.sample([PROMPT] * 4, [1, 2, 3, 4], Sampling(max_tokens=12))
        if isinstance(event, Text)
    }
    assert {place: event.text for place, event in found.items()} == {place: event.text for place, event in bare.items()}
    for place, event in found.items():
        assert event.traits.own == pytest.approx(sum(bare[place].likelihoods) / len(bare[place].likelihoods), abs=1e-3)


def test_likelihoods_are_the_models_own(engine):
    """At temperature 0 with every filter off, what was drawn is what the model found likeliest; a filter does not change what it is told."""
    engine._forms.sample(False, "")

    def likelihoods(**settings):
        events = engine._sampler.sample([PROMPT], [1], Sampling(max_tokens=6, temperature=0, **settings))
        return next(event.likelihoods for event in events if isinstance(event, Text))

    plain = likelihoods(dry_multiplier=0, end_ramp=0)
    assert likelihoods(dry_multiplier=0, end_ramp=0, min_p=0.5, top_k=1) == plain
    ids = torch.tensor([engine._base.tokenizer("# Heading\n\n", add_special_tokens=False).input_ids])
    with torch.inference_mode():
        first = engine._base.model(input_ids=ids).logits[0, -1].float().log_softmax(-1).max().item()
    assert plain[0] == pytest.approx(first, abs=0.05)
