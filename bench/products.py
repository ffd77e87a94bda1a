"""One product of the starter's shapes in the forms that sampling may use, and attention in training: `python -m bench.products`.

Prints microseconds, least of five. Columns of the first table: bitsandbytes' packed NF4, torch's own bfloat16, and oneDNN's order of the same
bfloat16 weights; of the second, one layer forwards and backwards by torch's fused kernel, and by plain products (`core/attention.py`).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from core.attention import ShortAttention

SHAPES = [(576, 576), (192, 576), (1536, 576), (576, 1536)]
"""Of its linear layers, out x in."""
ROWS = [1, 8, 16, 32]
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


def attention() -> None:
    """Nine heads of 64, three of keys, over one text."""
    print("\n| tokens of a text | fused | plain products |\n|---|---|---|")
    for tokens in (50, 170, 500, 1000):
        q, k, v = (torch.randn(1, heads, tokens, 64, dtype=torch.bfloat16, requires_grad=True) for heads in (9, 3, 3))
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


def main() -> None:
    products()
    attention()


if __name__ == "__main__":
    main()
