"""The trap of bitsandbytes on AVX512-BF16: after one generate, gradients vanish without a word. Here they must not."""

import pytest
import torch

from core.config import Sampling
from core.protocol import Row, Sample
from core.worker.encoding import encode_row
from core.worker.training import token_losses
from tests.engine.conftest import load_engine

PROMPT = [("# Heading\n\n", 0.0)]
ROWS = [Row(id=str(n), prompt=PROMPT, text=text) for n, text in enumerate(["a small text", "another one, longer than the first"])]


def gradients(engine):
    """The gradient of every LoRA tensor for two fixed rows, with a fixed non-zero adapter."""
    base, forms, _ = engine._ready()
    forms.fresh_adapter(3)
    with torch.no_grad():
        for number, tensor in enumerate(forms.parameters()):
            tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(number)) * 0.05)
    forms.train()
    rows = [encode_row(base.tokenizer, row, 2.0) for row in ROWS]
    losses, weights = token_losses(base.model, rows, [row.weights for row in rows])
    (losses * weights).sum().backward()
    found = [tensor.grad.clone() for tensor in forms.parameters()]
    for tensor in forms.parameters():
        tensor.grad = None
    return found


def sample(engine, checkpoint=None):
    list(engine.sample(Sample(id=2, checkpoint=checkpoint, prompts=[PROMPT] * 2, seeds=[1, 2], settings=Sampling(max_tokens=8))))


def check_gradients(folder):
    fresh = gradients(load_engine(folder)[0])
    engine, _ = load_engine(folder)
    sample(engine)
    after = gradients(engine)
    assert all(grad.abs().sum() > 0 for grad in fresh)
    assert all(torch.equal(one, two) for one, two in zip(fresh, after, strict=True))


def test_gradients_after_sampling_are_those_of_a_fresh_engine(tiny):
    check_gradients(tiny)


@pytest.mark.starter
def test_gradients_after_sampling_on_the_starter():
    check_gradients("starter")


def test_the_check_can_fail(tiny):
    """With bitsandbytes' own switch left on, its repacking is seen: this is the fault that the test above guards against."""
    from bitsandbytes.functional import has_avx512bf16

    if not has_avx512bf16():
        pytest.skip("this processor has no AVX512-BF16, so bitsandbytes never repacks")
    fresh = gradients(load_engine(tiny)[0])
    engine, _ = load_engine(tiny)
    for layer in engine._forms.layers:
        layer.base.support_avx512bf16_for_cpu = True
        layer.dense = layer.packed = None
    sample(engine)
    broken = gradients(engine)
    assert not all(torch.equal(one, two) for one, two in zip(fresh, broken, strict=True))


def test_both_forms_say_nearly_the_same(engine):
    """Packed and exact forms differ by rounding only."""
    base, forms, _ = engine._ready()
    ids = torch.arange(40, 60).unsqueeze(0)
    forms.fresh_adapter(1)
    with torch.no_grad():
        for tensor in forms.parameters():
            tensor.add_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(5)) * 0.05)
        forms.train()
        exact = base.model(ids).logits.float()
        forms.sample(True, "x")
        fast = base.model(ids).logits.float()
        forms.sample(False, "x")
        silent = base.model(ids).logits.float()
    assert (exact - fast).abs().max() < 0.05 * exact.abs().max()
    assert (exact - silent).abs().max() > 0.05 * exact.abs().max()


@pytest.mark.parametrize("tokens", [1, 5, 100])
def test_the_fast_form_leaves_rows_one_after_another(engine, tokens):
    """Whatever way round they were multiplied: else attention would leave torch's fused kernel."""
    base, forms, _ = engine._ready()
    forms.sample(True, "rows")
    layer = forms.layers[0]
    with torch.inference_mode():
        y = layer.wrapped(torch.randn(2, tokens, layer.a.shape[1], dtype=base.compute))
    assert y.shape == (2, tokens, len(layer.b)) and y.is_contiguous()


def test_the_exact_form_is_what_plain_peft_computes(engine):
    base, forms, _ = engine._ready()
    ids = torch.arange(40, 60).unsqueeze(0)
    forms.fresh_adapter(1)
    with torch.no_grad():
        for tensor in forms.parameters():
            tensor.add_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(5)) * 0.05)
        forms.train()
        ours = base.model(ids).logits.float()
        for layer in forms.layers:
            del layer.wrapped.forward
        peft = base.model(ids).logits.float()
    assert (ours - peft).abs().max() < 0.03 * peft.abs().max()
