"""Attention and low-rank products as they train: values and gradients of the plain expressions."""

import pytest
import torch
import torch.nn.functional as F
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from core import attention
from core.attention import ShortAttention, spans_of
from core.encoding import encode_row
from core.products import LowRank
from core.protocol import Row
from core.training import token_losses


def close(one, two, share=0.02):
    return (one.float() - two.float()).abs().max() <= share * two.float().abs().max()


def heads(tokens, shared, kind=torch.bfloat16):
    torch.manual_seed(tokens)
    sizes = [(1, 6, tokens, 16), (1, shared, tokens, 16), (1, shared, tokens, 16)]
    return [torch.randn(size).to(kind).requires_grad_() for size in sizes]


def plain(q, k, v, lengths):
    """In float32, every head with keys of its own; every text sees itself alone."""
    k, v = (part.repeat_interleave(6 // part.shape[1], 1) for part in (k, v))
    scores = q.float() @ k.float().transpose(2, 3) * 0.25
    seen = torch.block_diag(*[torch.ones(length, length) for length in lengths]).tril().bool()
    scores = scores.masked_fill(~seen, float("-inf"))
    return (torch.softmax(scores, -1) @ v.float()).to(q.dtype)


@pytest.mark.parametrize("kept", [0, 256])
@pytest.mark.parametrize(("lengths", "shared"), [([9], 2), ([33, 7], 2), ([1, 12, 5], 6)])
def test_short_attention_has_the_values_and_gradients_of_the_plain_one(monkeypatch, lengths, shared, kept):
    monkeypatch.setattr("core.attention.KEPT", kept)
    spans = spans_of(lengths)
    parts, others = heads(sum(lengths), shared), heads(sum(lengths), shared)
    ours = ShortAttention.apply(*parts, spans, 0.25)
    theirs = plain(*others, lengths)
    assert close(ours, theirs)
    wanted = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    ours.backward(wanted)
    theirs.backward(wanted)
    for one, two in zip(parts, others, strict=True):
        assert close(one.grad, two.grad)
    unscaled = ShortAttention.apply(*parts, spans, 0.5)
    assert not close(unscaled, theirs)


def test_in_float64_its_gradients_are_exact():
    """By finite differences."""
    parts = [part.detach().double().requires_grad_() for part in heads(5, 2)]
    assert torch.autograd.gradcheck(lambda q, k, v: ShortAttention.apply(q, k, v, [(0, 3), (3, 5)], 0.25), parts)


def test_a_model_trains_the_same_way_without_padding(engine):
    """Texts of several lengths one after another, and padded with torch's own attention: the same losses and gradients."""
    base, forms, _ = engine._ready()
    assert base.model.config._attn_implementation == attention.NAME
    with torch.no_grad():
        for number, tensor in enumerate(forms.parameters()):
            tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(number)) * 0.05)
    forms.train()
    texts = ["a small text", "another one, longer than the first", "x"]
    rows = [encode_row(base.tokenizer, Row(str(n), [("# Heading\n\n", 0.0)], text), 2.0) for n, text in enumerate(texts)]

    def learned(batch):
        losses, weights = token_losses(base.model, batch, [row.weights for row in batch])
        (losses * weights).sum().backward()
        found = [tensor.grad.clone() for tensor in forms.parameters()]
        for tensor in forms.parameters():
            tensor.grad = None
        return losses.detach(), found

    ours = learned(rows)
    base.model.set_attn_implementation("sdpa")
    theirs = learned(rows)
    assert torch.allclose(ours[0], theirs[0], rtol=0.02, atol=0.02)
    for one, two in zip(ours[1], theirs[1], strict=True):
        assert two.abs().sum() > 0 and close(one, two, 0.05)
    fewer = learned(rows[:2])
    assert not all(close(one, two, 0.05) for one, two in zip(fewer[1], theirs[1], strict=True))


def test_what_it_is_not_for_goes_to_torchs_own(monkeypatch):
    """Sampling and a cache, which tell no spans; dropout, and texts that are too long: each for itself."""
    asked = []

    def own(*args, **options):
        asked.append(args)
        return sdpa_attention_forward(*args, **options)

    monkeypatch.setattr(attention, "sdpa_attention_forward", own)
    monkeypatch.setattr(attention, "LONGEST", 8)
    module = torch.nn.Module()
    module.num_key_value_groups, module.is_causal = 3, True
    q, k, v = heads(12, 2)
    short = attention._forward(module, q, k, v, None, spans=[(0, 7), (7, 12)])[0]
    assert not asked
    attention._forward(module, q, k, v, None)
    attention._forward(module, q[:, :, -1:], k, v, None)
    assert len(asked) == 2
    monkeypatch.setattr(attention, "LONGEST", 6)
    long = attention._forward(module, q, k, v, None, spans=[(0, 7), (7, 12)])[0]
    assert len(asked) == 4
    assert close(long, short)
    assert close(long, plain(q, k, v, [7, 5]).transpose(1, 2))


@pytest.mark.parametrize("bias", [False, True])
def test_a_low_rank_product_has_the_values_and_gradients_of_the_plain_expression(bias):
    torch.manual_seed(0)
    weight, extra = torch.randn(24, 32, dtype=torch.float64), torch.randn(24, dtype=torch.float64) if bias else None
    x, a, b = (torch.randn(size, dtype=torch.float64, requires_grad=True) for size in ((2, 5, 32), (4, 32), (24, 4)))
    ours = LowRank.apply(x, weight, extra, a, b, 0.5)
    plainly = F.linear(x, weight, extra) + 0.5 * F.linear(F.linear(x, a), b)
    assert torch.allclose(ours, plainly)
    wanted = torch.randn(ours.shape, dtype=torch.float64)
    found = torch.autograd.grad(ours, (x, a, b), wanted)
    for one, two in zip(found, torch.autograd.grad(plainly, (x, a, b), wanted), strict=True):
        assert torch.allclose(one.double(), two, rtol=1e-5)  # those of A and B are rounded to float32


def test_the_first_layers_input_needs_no_gradient():
    x, weight = torch.randn(3, 8), torch.randn(6, 8)
    a, b = torch.randn(2, 8, requires_grad=True), torch.randn(6, 2, requires_grad=True)
    LowRank.apply(x, weight, None, a, b, 1.0).sum().backward()
    assert a.grad is not None
    assert x.grad is None
