"""Attention and low-rank products as they train: values and gradients of the plain expressions."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from core.worker import attention, products
from core.worker.attention import ShortAttention
from core.worker.products import LowRank


def close(one, two, share=0.02):
    return (one.float() - two.float()).abs().max() <= share * two.float().abs().max()


def heads(rows, tokens, shared, kind=torch.bfloat16):
    torch.manual_seed(tokens)
    sizes = [(rows, 6, tokens, 16), (rows, shared, tokens, 16), (rows, shared, tokens, 16)]
    return [torch.randn(size).to(kind).requires_grad_() for size in sizes]


def plain(q, k, v, seen):
    """In float32, every head with keys of its own."""
    k, v = (part.repeat_interleave(6 // part.shape[1], 1) for part in (k, v))
    scores = q.float() @ k.float().transpose(2, 3) * 0.25
    scores = scores.masked_fill(~seen, float("-inf"))
    return (torch.softmax(scores, -1) @ v.float()).to(q.dtype)


@pytest.mark.parametrize("kept", [0, 256])
@pytest.mark.parametrize(("rows", "tokens", "shared"), [(1, 9, 2), (2, 33, 2), (2, 12, 6)])
def test_short_attention_has_the_values_and_gradients_of_the_plain_one(monkeypatch, rows, tokens, shared, kept):
    monkeypatch.setattr("core.worker.attention.KEPT", kept)
    seen = torch.ones(1, 1, tokens, tokens, dtype=torch.bool).tril()
    if rows > 1:
        seen = seen.repeat(rows, 1, 1, 1)
        seen[1, :, 5:, :4] = False  # some positions see less
    parts, others = heads(rows, tokens, shared), heads(rows, tokens, shared)
    ours = ShortAttention.apply(*parts, seen, 0.25)
    theirs = plain(*others, seen)
    assert close(ours, theirs)
    wanted = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    ours.backward(wanted)
    theirs.backward(wanted)
    for one, two in zip(parts, others, strict=True):
        assert close(one.grad, two.grad)
    unscaled = ShortAttention.apply(*parts, seen, 0.5)
    assert not close(unscaled, theirs)


def test_in_float32_its_gradients_are_exact():
    """By finite differences."""
    parts = [part.detach().double().requires_grad_() for part in heads(1, 5, 2)]
    seen = torch.ones(1, 1, 5, 5, dtype=torch.bool).tril()
    assert torch.autograd.gradcheck(lambda q, k, v: ShortAttention.apply(q, k, v, seen, 0.25), parts)


@pytest.mark.parametrize("padded", [False, True])
def test_transformers_masks_reach_it(engine, padded):
    """A model trains the same way with it as with torch's own attention: one text, or texts of several lengths with padding."""
    base, forms, _ = engine._ready()
    assert base.model.config._attn_implementation == attention.NAME
    with torch.no_grad():
        for number, tensor in enumerate(forms.parameters()):
            tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(number)) * 0.05)
    forms.train()
    ids = torch.arange(40, 80).view(2, 20)
    mask = torch.ones_like(ids)
    if padded:
        mask[0, 12:] = 0

    def gradients():
        logits = base.model(input_ids=ids, attention_mask=mask if padded else None, use_cache=False).logits
        (F.log_softmax(logits.float(), -1)[..., 3] * mask).sum().backward()
        found = [tensor.grad.clone() for tensor in forms.parameters()]
        for tensor in forms.parameters():
            tensor.grad = None
        return found

    ours = gradients()
    base.model.set_attn_implementation("sdpa")
    theirs = gradients()
    for one, two in zip(ours, theirs, strict=True):
        assert close(one, two, 0.05)


def test_what_it_is_not_for_goes_to_torchs_own(monkeypatch):
    """Sampling, a cache, and texts that are too long."""
    asked = []

    def own(*args, **options):
        asked.append(args)
        return sdpa_attention_forward(*args, **options)

    monkeypatch.setattr(attention, "sdpa_attention_forward", own)
    monkeypatch.setattr(attention, "LONGEST", 16)
    monkeypatch.setattr(attention, "LONGEST_WIDE", 13)
    module = torch.nn.Module()
    module.num_key_value_groups, module.is_causal = 3, True
    q, k, v = heads(1, 12, 2)
    attention._forward(module, q, k, v, None)
    attention._forward(module, *heads(1, 13, 2, torch.float32), None)
    assert not asked
    with torch.no_grad():
        attention._forward(module, q, k, v, None)
    attention._forward(module, q[:, :, -1:], k, v, None)
    attention._forward(module, *heads(1, 17, 2), None)
    attention._forward(module, *heads(1, 14, 2, torch.float32), None)
    assert len(asked) == 4


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
@pytest.mark.parametrize("bias", [False, True])
def test_a_low_rank_product_has_the_values_and_gradients_of_the_plain_expression(bias, kind):
    torch.manual_seed(0)
    weight, extra = torch.randn(24, 32, dtype=kind), torch.randn(24, dtype=kind) if bias else None
    x, a, b = (torch.randn(size, dtype=kind, requires_grad=True) for size in ((2, 32, 5), (4, 32), (24, 4)))
    across = x.transpose(1, 2)  # as attention leaves it
    ours = LowRank.apply(across, weight, extra, a, b, 0.5)
    plainly = F.linear(across, weight, extra) + 0.5 * F.linear(F.linear(across, a), b)
    assert torch.allclose(ours, plainly, rtol=1e-4, atol=1e-5)
    wanted = torch.randn(ours.shape, dtype=kind)
    found = torch.autograd.grad(ours, (x, a, b), wanted)
    for one, two in zip(found, torch.autograd.grad(plainly, (x, a, b), wanted), strict=True):
        assert torch.allclose(one.to(kind), two, rtol=1e-4, atol=1e-4)  # those of A and B are rounded to float32


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [1, 7, 60, 200])
def test_products_over_plain_weights_are_those_of_the_plain_expression(kind, bias, rows):
    torch.manual_seed(0)
    weight, extra = torch.randn(48, 32, dtype=kind), torch.randn(48, dtype=kind) if bias else None
    x = torch.randn(rows, 32, dtype=kind)
    wanted = F.linear(x, weight, extra)
    for found in (products.plain_product(x, weight, extra), products.dense_product(weight, extra)(x)):
        assert found.shape == wanted.shape and torch.allclose(found, wanted, rtol=1e-4, atol=1e-4)
    a, b = torch.randn(32, 4), torch.randn(4, 48)
    with_pair = products.with_pair(products.dense_product(weight, extra), a, b)(x)
    assert torch.allclose(with_pair.float(), wanted.float() + x.float() @ a @ b, rtol=0.02, atol=1e-4 if kind == torch.float32 else 0.5)


@pytest.mark.parametrize("rows", [1, 7, 60])
def test_a_copy_in_16_bits_rounds_weights_and_nothing_else(rows):
    if not products.can_halve(torch.float32):
        pytest.skip("torch has no such product here")
    torch.manual_seed(0)
    weight, x = torch.randn(48, 32), torch.randn(rows, 32)
    found = products.half_product(weight)(x)
    assert torch.allclose(found, F.linear(x, weight.half().float()), atol=1e-4)
    assert not torch.allclose(found, F.linear(x, weight), atol=1e-5)  # it is not the plain product
    assert not products.can_halve(torch.bfloat16)


@pytest.mark.parametrize("bias", [False, True])
def test_quick_linear_layers_give_what_plain_ones_do_and_are_plain_again(bias):
    torch.manual_seed(0)
    layer = torch.nn.Linear(32, 48, bias=bias)
    model = torch.nn.Sequential(layer, torch.nn.Identity())
    for x in (torch.randn(1, 1, 32), torch.randn(3, 5, 32), torch.randn(2, 100, 32)):
        with torch.no_grad():
            wanted = model(x)
            with products.quick_linears(model):
                found = model(x)
        assert found.shape == wanted.shape and found.is_contiguous() and torch.allclose(found, wanted, rtol=1e-4, atol=1e-4)
    assert "forward" not in vars(layer)


@pytest.mark.parametrize("bias", [False, True])
def test_a_frozen_output_matrix_gives_the_gradient_of_its_input(bias):
    torch.manual_seed(0)
    output = torch.nn.Linear(32, 100, bias=bias).requires_grad_(False)
    x = torch.randn(2, 5, 32, requires_grad=True)
    plainly = output(x)
    products.take_over_output(SimpleNamespace(get_output_embeddings=lambda: output))
    ours = output(x)
    assert torch.allclose(ours, plainly, atol=1e-5)
    if products._one_dnn:
        assert output.forward.__module__ == products.__name__
    wanted = torch.randn(ours.shape)
    one, two = (torch.autograd.grad(found, x, wanted)[0] for found in (ours, plainly))
    assert torch.allclose(one, two, atol=1e-5)


def test_another_output_matrix_is_left_alone():
    """Of another type, another kind, or one that is trained."""
    frozen = torch.nn.Linear(8, 16, dtype=torch.bfloat16).requires_grad_(False)
    for output in (frozen, torch.nn.Sequential(torch.nn.Linear(8, 16)), torch.nn.Linear(8, 16)):
        own = output.forward
        products.take_over_output(SimpleNamespace(get_output_embeddings=lambda output=output: output))
        assert output.forward == own


def test_the_first_layers_input_needs_no_gradient():
    x, weight = torch.randn(3, 8), torch.randn(6, 8)
    a, b = torch.randn(2, 8, requires_grad=True), torch.randn(6, 2, requires_grad=True)
    LowRank.apply(x, weight, None, a, b, 1.0).sum().backward()
    assert a.grad is not None
    assert x.grad is None
