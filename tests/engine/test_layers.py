"""The written-out layer: in float32 the gradients of the plain model to many digits; in bfloat16 no further from them than the plain one."""

from functools import partial

import pytest
import torch
from transformers import LlamaConfig, MistralConfig, Qwen2Config

from core import attention, layers
from core.decoding import LlamaDecoder
from core.encoding import encode_row
from core.evaluation import measure_rows
from core.forms import Forms
from core.layers import LlamaLayer
from core.memory import set_checkpointing
from core.model import Base
from core.protocol import Row
from core.training import token_losses
from tests.engine.conftest import load_engine, make_tiny

ROWS = [Row(str(n), [("# Heading\n\n", 0.0)], text) for n, text in enumerate(["a small text", "another one, longer than the first", "x"])]
SHAPE = {
    "vocab_size": 258, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip


def fill(forms, scale=0.05):
    with torch.no_grad():
        for number, tensor in enumerate(forms.parameters()):
            tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(number)) * scale)


def learn(base, forms, rows=ROWS):
    """Losses, and the gradient of every LoRA tensor."""
    encoded = [encode_row(base.tokenizer, row, 2.0) for row in rows]
    forms.train()
    losses, weights = token_losses(base.model, encoded, [row.weights for row in encoded])
    (losses * weights).sum().backward()
    found = [tensor.grad.clone() for tensor in forms.parameters()]
    for tensor in forms.parameters():
        tensor.grad = None
    return losses.detach(), found


@pytest.fixture
def calls(monkeypatch):
    """How often the written-out forward ran."""
    made = []
    forward = LlamaLayer.forward
    monkeypatch.setattr(LlamaLayer, "forward", staticmethod(lambda ctx, x, *rest: (made.append(len(x)), forward(ctx, x, *rest))[1]))
    return made


def in_float32(folder):
    """A base in 4 bits that computes in float32, before anything is installed on it."""
    engine, _ = load_engine(folder)
    name, model, tokenizer = engine._base.name, engine._base.model, engine._base.tokenizer
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    quantized = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
    model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32, quantization_config=quantized, device_map={"": "cpu"})
    model.requires_grad_(False)
    base = Base(name, model.eval(), tokenizer, "", "cpu", True, torch.float32, "")
    return base, Forms(base, engine._lora)


@pytest.mark.parametrize("config", [LlamaConfig, Qwen2Config, partial(MistralConfig, sliding_window=None)])
def test_in_float32_it_has_the_losses_and_gradients_of_the_plain_model(tmp_path, calls, config):
    """Heads that share keys, biases, three texts of different lengths; the plain model pads them."""
    base, forms = in_float32(make_tiny(tmp_path / "tiny", config=config(**SHAPE)))
    for layer in base.model.model.layers:  # a norm of ones would hide one that is left out
        for norm in (layer.input_layernorm, layer.post_attention_layernorm):
            norm.weight.data.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(1))
    fill(forms)
    plain_losses, plain = learn(base, forms)
    assert not calls
    decoder = LlamaDecoder.of(base.model, forms)
    attention.install(base.model)
    layers.install(decoder, forms)
    losses, ours = learn(base, forms)
    assert calls == [sum(len(encode_row(base.tokenizer, row, 2.0).ids) for row in ROWS)] * 3
    assert torch.allclose(losses, plain_losses, atol=1e-5)
    for one, two in zip(ours, plain, strict=True):
        assert two.abs().sum() > 0 and (one - two).norm() < 1e-4 * two.norm()
    with torch.no_grad():
        forms.layers[5].b.mul_(1.1)
    assert any((one - two).norm() > 1e-4 * two.norm() for one, two in zip(learn(base, forms)[1], plain, strict=True))


def test_in_bfloat16_it_is_as_near_to_the_truth_as_the_plain_model(tiny, calls):
    exact_base, exact_forms = in_float32(tiny)
    fill(exact_forms)
    _, truth = learn(exact_base, exact_forms)
    engine, _ = load_engine(tiny)
    base, forms, _ = engine._ready()
    fill(forms)
    _, ours = learn(base, forms)
    assert len(calls) == 2
    base.model.set_attn_implementation("sdpa")
    _, plain = learn(base, forms)
    assert len(calls) == 2

    def off(found):
        return sum(float((one - two).norm() / two.norm()) for one, two in zip(found, truth, strict=True)) / len(truth)

    assert 0 < off(ours) < 1.2 * off(plain) < 0.1


def test_with_checkpointing_it_is_the_very_same(engine, calls):
    base, forms, _ = engine._ready()
    fill(forms)
    base.model.train()
    _, whole = learn(base, forms)
    set_checkpointing(base.model, True)
    _, again = learn(base, forms)
    set_checkpointing(base.model, False)
    assert len(calls) == 2 + 4
    assert all(map(torch.equal, whole, again))


def test_where_the_layers_own_forward_is_used(tiny, engine, calls, monkeypatch):
    """Without the adapter, with dropout, without dequantised weights, for a text that is too long; with the same losses."""
    base, forms, _ = engine._ready()
    fill(forms)
    written, _ = learn(base, forms)
    assert calls
    calls.clear()
    rows = [encode_row(base.tokenizer, row, 2.0) for row in ROWS]
    forms.train(with_adapter=False)
    bare = sum(row.total for part in measure_rows(base.model, rows, 1) for row in part)
    forms.train()
    monkeypatch.setattr(attention, "LONGEST", 20)
    own, _ = learn(base, forms)
    monkeypatch.undo()
    for group in forms._groups:
        group.dense = None
    undone, _ = learn(base, forms)
    assert not calls
    assert torch.allclose(own, written, rtol=0.02, atol=0.02)
    assert torch.allclose(undone, written, rtol=0.02, atol=0.02)
    forms.silence_adapter()
    forms.train()
    assert bare == pytest.approx(sum(row.total for part in measure_rows(base.model, rows, 1) for row in part), rel=1e-3)
    other, _ = load_engine(tiny, dropout=0.5)
    learn(other._base, other._forms)
    assert not calls


def test_another_rank_is_trained_too(engine, calls):
    base, forms, _ = engine._ready()
    with forms.of_rank(engine._lora.__class__(r=2, alpha=8), 1):
        fill(forms)
        _, found = learn(base, forms)
        assert [len(tensor) for tensor in found[::2]] == [2] * len(forms.layers)
        assert all(tensor.abs().sum() > 0 for tensor in found)
    assert calls


def test_measured_without_gradients_it_keeps_nothing(engine, calls):
    base, forms, _ = engine._ready()
    fill(forms)
    forms.train()
    rows = [encode_row(base.tokenizer, row, 2.0) for row in ROWS]
    found = [row for part in measure_rows(base.model, rows, 1) for row in part]
    assert calls and [row.row for row in sorted(found, key=lambda row: row.row)] == ["0", "1", "2"]
    alone = [row for one in rows for part in measure_rows(base.model, [one], 1) for row in part]
    for one, two in zip(sorted(found, key=lambda row: row.row), alone, strict=True):
        assert one.total == pytest.approx(two.total, rel=1e-2) and one.tokens == two.tokens
