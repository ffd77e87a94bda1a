"""The written-out forward says what the model's own says, token after token: with padding, rows that leave, adapters, biases, other ropes."""

import copy

import pytest
import torch
from transformers import LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

from core.config import Sampling
from core.worker import decoding, forms
from core.worker.products import can_halve
from core.worker.sampling import Text
from tests.engine.conftest import load_engine, make_tiny

SIZES = {"vocab_size": 258, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 512, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
         "initializer_range": 0.1}  # fmt: skip
SHAPES = {
    "llama": LlamaConfig(**SIZES),
    "one head for each": LlamaConfig(**{**SIZES, "num_key_value_heads": 4}),
    "an output matrix of its own": LlamaConfig(**SIZES, tie_word_embeddings=False),
    "stretched positions": LlamaConfig(**SIZES, rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}),
    "mistral": MistralConfig(**SIZES, sliding_window=None),
    "qwen2, with biases": Qwen2Config(**SIZES),
}
OTHERS = {
    "mistral that looks back over a window": MistralConfig(**SIZES, sliding_window=32),
    "qwen2 that looks back over a window": Qwen2Config(**SIZES, use_sliding_window=True, sliding_window=32, max_window_layers=1),
    "qwen3, with norms inside the heads": Qwen3Config(**SIZES),
    "another activation": LlamaConfig(**SIZES, hidden_act="gelu"),
}


def rough(engine):
    """An adapter that does something, and biases that are not zero."""
    with torch.no_grad():
        for number, tensor in enumerate(engine._forms.parameters()):
            tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(number)) * 0.1)
        for layer in engine._forms.layers:
            if layer.base.bias is not None:
                layer.base.bias.copy_(torch.randn(layer.base.bias.shape, generator=torch.Generator().manual_seed(7)) * 0.1)
    engine._forms._state = ""
    return engine


@pytest.fixture(scope="module", params=SHAPES)
def shaped(request, tmp_path_factory):
    return rough(load_engine(make_tiny(tmp_path_factory.mktemp("shape") / "base", config=SHAPES[request.param]))[0])


def logits(engine, prompts, plain=False, leaving=3, steps=9):
    """What is predicted after each of `steps` fixed tokens, over rows of which the first leaves after `leaving` steps; `plain`: by the
    model's own forward."""
    sampler = copy.copy(engine._sampler)
    assert sampler.decoder
    if plain:
        sampler.decoder = None
    with torch.inference_mode():
        first, reading = sampler._read(prompts)
        found, rows = [first], len(prompts)
        for step in range(steps):
            if step == leaving:
                reading.keep(torch.arange(1, rows))
                rows -= 1
            found.append(reading.step(torch.arange(rows) + 40 + step))
    return [part.float() for part in found]


def differ(one, two):
    """The largest difference of two predictions, over the largest logit."""
    return max(((a - b).abs().max() / a.abs().max()).item() for a, b in zip(one, two, strict=True))


PADDED = [list(range(30, 40)), list(range(30, 52)), list(range(60, 71))]
EVEN = [list(range(30, 42)), list(range(50, 62)), list(range(70, 82))]


@pytest.mark.parametrize("prompts", [PADDED, EVEN], ids=["padded", "even"])
@pytest.mark.parametrize("with_adapter", [True, False])
def test_it_says_what_the_models_own_forward_says(shaped, prompts, with_adapter, monkeypatch):
    monkeypatch.setattr(decoding, "ROOM", 4)  # the cache grows twice on the way
    shaped._forms.sample(with_adapter, "x")
    own, written = logits(shaped, prompts, plain=True), logits(shaped, prompts)
    assert [part.shape for part in own] == [part.shape for part in written]
    assert differ(own, written) < 0.02


def test_the_comparison_can_fail(shaped, monkeypatch):
    """Positions one too far, padding that is seen, and a silent adapter are seen."""
    shaped._forms.sample(True, "x")
    own = logits(shaped, PADDED, plain=True)
    reading = decoding.LlamaReading
    began = reading.__init__

    def shifted(self, *args):
        began(self, *args)
        self._position = self._position + 1

    def unhidden(self, *args):
        began(self, *args)
        self._hidden = None

    for fault in (shifted, unhidden):
        monkeypatch.setattr(reading, "__init__", fault)
        assert differ(own, logits(shaped, PADDED)) > 0.02
    monkeypatch.setattr(reading, "__init__", began)
    shaped._forms.sample(False, "")
    assert differ(own, logits(shaped, PADDED)) > 0.02


@pytest.mark.parametrize("other", OTHERS)
def test_a_model_of_another_shape_reads_by_its_own_forward(other, tmp_path):
    engine, _ = load_engine(make_tiny(tmp_path / "base", config=OTHERS[other]))
    assert engine._sampler.decoder is None
    engine._forms.sample(False, "")
    found = engine._sampler.sample([[("# Heading\n\n", 0.0)]] * 2, [1, 2], Sampling(max_tokens=8))
    assert sum(isinstance(event, Text) for event in found) == 2


def test_in_16_bits_it_says_the_same(tiny):
    engine = rough(load_engine(tiny, "none")[0])
    engine._forms.sample(True, "x")
    assert differ(logits(engine, PADDED, plain=True), logits(engine, PADDED)) < 0.02


def test_packed_weights_are_held_once(tiny):
    """A layer's packed weight is a part of its group's."""
    engine, _ = load_engine(tiny)
    groups = [group for group, _ in engine._forms._groups]
    assert [len(group.layers) for group in groups] == [3, 1, 2, 1] * 2
    for group in groups:
        if group._packed is None:
            pytest.skip("this processor has no packed form")
        held = {part.untyped_storage().data_ptr() for layer in group.layers for part in [layer.packed[0]]}
        assert held == {group._packed[0].untyped_storage().data_ptr()}


def test_a_copy_in_16_bits_is_made_for_the_first_text_where_memory_allows(tiny, monkeypatch):
    """Not for training, and not where it would take more than its share; what is sampled without it is the same but for rounding."""
    if not can_halve(load_engine(tiny)[0]._forms.layers[0].compute):
        pytest.skip("this processor multiplies 16 bits itself, or torch has no such product here")
    plenty, little = (rough(load_engine(tiny)[0]) for _ in range(2))
    plenty._forms.train()
    groups = [group for group, _ in plenty._forms._groups]
    assert not any(group._half for group in groups)
    assert plenty._forms.to_come > 0
    plenty._forms.sample(True, "x")
    assert plenty._forms.to_come == 0
    assert all(group._half for group in groups)
    with monkeypatch.context() as patch:
        patch.setattr(forms, "DENSE_SHARE", 0.0)
        little._forms.sample(True, "x")
    assert not any(group._half for group, _ in little._forms._groups)
    assert 0 < differ(logits(plenty, PADDED), logits(little, PADDED)) < 0.01


@pytest.mark.starter
def test_on_the_starter():
    engine, _ = load_engine("starter")
    with torch.no_grad():
        for number, tensor in enumerate(engine._forms.parameters()):
            tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(number)) * 0.02)
    engine._forms.sample(True, "x")
    assert differ(logits(engine, PADDED, plain=True), logits(engine, PADDED)) < 0.03
