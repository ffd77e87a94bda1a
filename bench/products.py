"""Products of the starter's shapes in the forms that sampling may use, and attention in training: `python -m bench.products`.

The first table is of what a processor with bfloat16 multiplies: microseconds, least of five, of one product of bitsandbytes' packed NF4, of
torch's own bfloat16, and in oneDNN's order of the same bfloat16 weights. The second is of what all others do,
float32 by MKL and oneDNN, and over a copy in 16 bits, of which layers with one input are one: milliseconds, median of seven by turns, of all
layers of the starter, and of its output matrix. The third, where
the processor has no bfloat16: milliseconds of a whole token, by turns in one process. The last, in microseconds: one layer of attention
forwards and backwards by torch's fused kernel, and by plain products (`core/worker/attention.py`).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F

import core.worker.products
from bench.contenders import engine, noise, prompts_of
from core.worker.attention import ShortAttention
from core.worker.encoding import encode_prompt
from core.worker.products import can_halve, dense_product, half_product, output_product, plain_product

SHAPES = [(576, 576), (192, 576), (1536, 576), (576, 1536)]
"""Of its linear layers, out x in."""
ROWS = [1, 8, 16, 32]
LAYERS = 30
LAYER = [(576, 576), (192, 576), (192, 576), (576, 576), (1536, 576), (1536, 576), (576, 1536)]
GROUPED = [(960, 576), (576, 576), (3072, 576), (576, 1536)]
"""A layer's, where those that multiply the same input are one."""
OUTPUT = (49152, 576)
TURNS = 7
TEXTS = (1, 8, 16)
TIMES, AGAIN = 50, 5


def least(work: Callable[[], object]) -> float:
    """Microseconds of one call: the least mean of `TIMES` calls."""
    work()
    means = []
    for _ in range(AGAIN):
        began = time.perf_counter()
        for _ in range(TIMES):
            work()
        means.append((time.perf_counter() - began) / TIMES)
    return min(means) * 1e6


def attention(kind: torch.dtype) -> None:
    """Nine heads of 64, three of keys, over one text, in the type that the processor multiplies."""
    print("\n| tokens of a text | fused | plain products |\n|---|---|---|")
    for tokens in (50, 170, 500, 1000):
        q, k, v = (torch.randn(1, heads, tokens, 64, dtype=kind, requires_grad=True) for heads in (9, 3, 3))
        seen = torch.ones(1, 1, tokens, tokens, dtype=torch.bool).tril()

        def fused() -> None:
            keys, values = (part.repeat_interleave(3, 1) for part in (k, v))  # noqa: B023
            F.scaled_dot_product_attention(q, keys, values, is_causal=True).sum().backward()  # noqa: B023

        def plain() -> None:
            ShortAttention.apply(q, k, v, seen, 0.125).sum().backward()  # noqa: B023

        print(f"| {tokens} | {least(fused):.0f} | {least(plain):.0f} |", flush=True)


@torch.inference_mode()
def products() -> None:
    from bitsandbytes.functional import _convert_weight_packed_for_cpu, gemv_4bit, quantize_4bit

    print("| out x in | rows | packed NF4 | bfloat16 | oneDNN's order |\n|---|---|---|---|---|")
    for out, into in SHAPES:
        weight = torch.randn(out, into).bfloat16()
        codes, state = quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
        packed, how = _convert_weight_packed_for_cpu(codes.clone(), copy.deepcopy(state))
        blocked = torch.ops.mkldnn._reorder_linear_weight(weight, 16)
        for rows in ROWS:
            x = torch.randn(rows, into).bfloat16()
            ways: list[Callable[[], object]] = [
                partial(gemv_4bit, x, packed, state=how),
                partial(F.linear, x, weight),
                partial(torch.ops.mkldnn._linear_pointwise, x, blocked, None, "none", [], ""),
            ]
            print(f"| {out} x {into} | {rows} | {' | '.join(f'{least(way):.0f}' for way in ways)} |", flush=True)


@torch.inference_mode()
def in_float32() -> None:
    """All layers one after another, as a token needs them: a product alone would find its weights in the processor's cache."""
    print(
        "\n| rows | layers: torch's | turned round | oneDNN's | ours | output matrix: torch's | oneDNN's | ours |\n|---|---|---|---|---|---|---|---|"
    )
    layers, grouped = ([torch.randn(shape) for _ in range(LAYERS) for shape in shapes] for shapes in (LAYER, GROUPED))
    output = torch.randn(OUTPUT)
    turned = [dense_product(weight, None) for weight in layers]
    quick = half_product if can_halve(torch.float32) else output_product
    ours, ours_out = [(quick(weight), weight.shape[1]) for weight in grouped], quick(output)
    for rows in (1, 2, 8, 16, 32, 128, 256):
        inputs = {into: torch.randn(rows, into) for _, into in SHAPES}
        x = inputs[OUTPUT[1]]
        ways: list[Callable[[], object]] = [
            lambda: [F.linear(inputs[weight.shape[1]], weight) for weight in layers],  # noqa: B023
            lambda: [product(inputs[weight.shape[1]]) for product, weight in zip(turned, layers, strict=True)],  # noqa: B023
            lambda: [plain_product(inputs[weight.shape[1]], weight) for weight in layers],  # noqa: B023
            lambda: [product(inputs[width]) for product, width in ours],  # noqa: B023
            partial(F.linear, x, output),
            partial(plain_product, x, output),
            partial(ours_out, x),
        ]
        found: list[list[float]] = [[] for _ in ways]
        for _ in range(TURNS):
            for way, times in zip(ways, found, strict=True):
                began = time.perf_counter()
                way()
                times.append(time.perf_counter() - began)
        print(f"| {rows} | {' | '.join(f'{median(times) * 1000:.0f}' for times in found)} |", flush=True)


@torch.inference_mode()
def tokens() -> None:
    """One more token of the starter itself, with an adapter: by MKL alone, in 32 bits, and as it is."""
    made = engine(True)
    noise(made._forms.parameters())
    made._forms.sample(False, "")
    sampler, one_dnn, groups = made._sampler, core.worker.products._one_dnn, [group for group, _ in made._forms._groups]
    prompts = [encode_prompt(made._base.tokenizer, row.prompt)[0] for row in prompts_of(max(TEXTS))]
    halves, own = [group._half for group in groups], sampler.decoder.head[0]
    plain = output_product(made._base.model.get_output_embeddings().weight)
    ways = [(None, False), (one_dnn, False), (one_dnn, True)]
    print("\n| texts | a token by MKL | in 32 bits | ours |\n|---|---|---|---|")
    for count in TEXTS:
        found: list[list[float]] = [[] for _ in ways]
        for turn in range(3):
            for (product, halved), times in zip(ways, found, strict=True):
                core.worker.products._one_dnn = product
                for group, half in zip(groups, halves, strict=True):
                    group._half = half if halved else None
                sampler.decoder.head[:] = [own if halved else plain]
                made._forms.sample(True, f"{product} {halved} {turn} {count}")
                reading = sampler._read(prompts[:count])[1]
                for step in range(12):
                    began = time.perf_counter()
                    reading.step(torch.arange(count) + 100 + step)
                    times.append(time.perf_counter() - began)
        print(f"| {count} | {' | '.join(f'{median(times) * 1000:.0f}' for times in found)} |", flush=True)


def main() -> None:
    from bitsandbytes.functional import has_avx512bf16

    if has_avx512bf16():
        products()
    in_float32()
    if not has_avx512bf16():
        tokens()
    attention(torch.bfloat16 if has_avx512bf16() else torch.float32)


if __name__ == "__main__":
    main()
