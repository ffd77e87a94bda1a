"""Products of a layer's frozen weight and of its low-rank pair: over packed 4-bit weights, with the pair added, and for training."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel

DENSE_ROWS = 128
"""Rows of a product from which on the dequantised copy is faster than the packed form: where prompts are read."""

_one_dnn = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch._C._has_mkldnn else None
"""The product that torch's compiler calls; torch itself calls it for bfloat16 only."""

Product = Callable[[torch.Tensor], torch.Tensor]
"""From (rows x in) to (rows x out)."""


def many(x: torch.Tensor) -> bool:
    """Whether the dequantised copy is the faster one for these rows."""
    return len(x) >= DENSE_ROWS


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """x W^T + bias over plain weights, without gradients; x is (rows x in). On a CPU in float32 by oneDNN: for the starter's output matrix MKL,
    which torch takes there, needs half as long again."""
    if _one_dnn is None or weight.device.type != "cpu" or weight.dtype != torch.float32:
        return F.linear(x, weight, bias)
    y: torch.Tensor = _one_dnn(x, weight, bias, "none", [], "")
    return y


def dense_product(weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
    """x W^T + bias over plain weights. On a CPU in float32 as (W x^T)^T, which gives the rows of the result side by side: MKL, torch's library
    for it, is slow where the first matrix has few rows: for 16 of them the starter's layers take 73 ms instead of 115, for 128 255 instead of 356."""
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return lambda x: F.linear(x, weight, bias)

    def product(x: torch.Tensor) -> torch.Tensor:
        y = torch.mm(weight, x.t())
        return (y if bias is None else y.add_(bias.unsqueeze(-1))).t()

    return product


def packed_product(weight: torch.Tensor, state: Any) -> Product:
    """x W^T over a weight in bitsandbytes' packed form, for a contiguous x in bfloat16.

    Calls its C function where it is found: its own wrapper takes 15 µs longer, which with 120 products a token is a tenth of sampling.
    """
    from bitsandbytes.cextension import lib
    from bitsandbytes.functional import gemv_4bit

    kernel = getattr(lib, "gemv_4bit_inference_cpu_nf4_bf16", None)
    if kernel is None:
        return lambda x: gemv_4bit(x, weight, state=state)
    out, width = (ctypes.c_int64(size) for size in state.shape)
    block = ctypes.c_int64(state.blocksize)
    data, scales = (ctypes.c_void_p(tensor.data_ptr()) for tensor in (weight, state.absmax))
    keep = (weight, state)  # their memory is what the pointers name

    def product(x: torch.Tensor) -> torch.Tensor:
        y = x.new_empty(len(x), keep[1].shape[0])
        kernel(
            ctypes.c_int64(len(x)), out, width, ctypes.c_void_p(x.data_ptr()), data, scales, ctypes.c_void_p(y.data_ptr()), block, width, out
        )  # fmt: skip
        return y

    return product


def with_pair(plain: Product, a: torch.Tensor, b: torch.Tensor) -> Product:
    """W x with the adapter's share added: a is (in x rank), b (rank x out), already scaled. Of many rows in their own type: there it is
    the faster one."""

    def product(x: torch.Tensor) -> torch.Tensor:
        y = plain(x)
        if many(x):
            return y.addmm_(x @ a.to(x.dtype), b.to(x.dtype))
        return y.add_(x.to(a.dtype) @ a @ b)

    return product


class LowRank(torch.autograd.Function):
    """W x + bias + scaling B A x over a frozen W, with the gradients of A, B and x: what autograd makes of the plain expression, with
    half of its products' results added where they belong instead of afterwards.

    x is (... x in), W (out x in), A (rank x in) and B (out x rank) are float32 and multiplied in x's type.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, a: torch.Tensor, b: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        down, up = a.to(x.dtype), b.to(x.dtype) * scaling
        inner = flat @ down.t()
        y = linear(flat, weight, bias).addmm_(inner, up.t())
        ctx.save_for_backward(flat, weight, down, up, inner)
        ctx.scaling = scaling
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        flat, weight, down, up, inner = ctx.saved_tensors
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        through = grad @ up
        to_x = (grad @ weight).addmm_(through, down).view(*grads[0].shape[:-1], -1) if ctx.needs_input_grad[0] else None
        return to_x, None, None, (through.t() @ flat).float(), (grad.t() @ inner).float().mul_(ctx.scaling), None


class Frozen(torch.autograd.Function):
    """x W^T + bias over a frozen W, with the gradient of x: for the output matrix."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(weight)
        return linear(x.reshape(-1, x.shape[-1]), weight, bias).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        return grads[0] @ weight, None, None


def take_over_output(model: PreTrainedModel) -> None:
    """Let the frozen output matrix of a model on a CPU be multiplied by `linear`, where it is a plain one."""
    output = model.get_output_embeddings()
    if type(output) is torch.nn.Linear and output.weight.dtype == torch.float32:
        weight, bias = output.weight, output.bias

        def forward(input: torch.Tensor) -> torch.Tensor:  # noqa: A002
            y: torch.Tensor = Frozen.apply(input, weight, bias)  # type: ignore[no-untyped-call]
            return y

        output.forward = forward  # type: ignore[method-assign]
