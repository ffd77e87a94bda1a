"""One product of the starter's shapes in the forms that sampling may use: `python -m bench.products` prints microseconds, least of five.

Columns: bitsandbytes' packed NF4, torch's own bfloat16, and oneDNN's order of the same bfloat16 weights.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

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


@torch.inference_mode()
def main() -> None:
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


if __name__ == "__main__":
    main()
