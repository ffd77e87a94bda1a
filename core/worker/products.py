"""Products of a layer's frozen weight and of its low-rank pair, and of the output matrix: over packed 4-bit weights and over plain ones, with
the pair added, and for training."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel

DENSE_ROWS = 128
"""Rows of a product from which on the dequantised copy is faster than the packed form: where prompts are read."""

HEAD_ROWS = 16
"""Rows that the output matrix is put in order for; it serves any number."""

FEW_ROWS = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 2
"""Rows of a product in float32 below which MKL is fast the usual way round: with AVX512 it has a good form for a few, else for one only."""

Product = Callable[[torch.Tensor], torch.Tensor]
"""From (rows x in) to (rows x out)."""


def many(x: torch.Tensor) -> bool:
    """Whether the dequantised copy is the faster one for these rows."""
    return len(x) >= DENSE_ROWS


def _find_one_dnn() -> Callable[..., torch.Tensor] | None:
    """oneDNN's product as torch's compiler calls it, where torch itself would take MKL for float32; None where it takes anything else."""
    if not (torch._C.has_mkl and torch._C._has_mkldnn):
        return None
    try:
        found: Callable[..., torch.Tensor] = torch.ops.mkldnn._linear_pointwise
        found(torch.ones(2, 8), torch.ones(4, 8), None, "none", [], "")
    except (AttributeError, RuntimeError):
        return None
    return found


_one_dnn = _find_one_dnn()


def _find_half() -> tuple[Callable[..., Any], Callable[..., torch.Tensor]] | None:
    """FBGEMM's packing of a weight in 16 bits, and its product with rows in 32; None where torch was built without, or the processor is no x86."""
    ops = torch.ops.quantized
    try:
        ops.linear_dynamic_fp16(torch.ones(2, 8), ops.linear_prepack_fp16(torch.ones(4, 8), None))
    except (AttributeError, RuntimeError):
        return None
    return ops.linear_prepack_fp16, ops.linear_dynamic_fp16


_half = _find_half()


def _by_mkl(weight: torch.Tensor) -> bool:
    """Whether torch would take MKL to multiply it."""
    return _one_dnn is not None and weight.device.type == "cpu" and weight.dtype == torch.float32


def plain_product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """x W^T + bias over plain weights, without a trace for gradients; x is (rows x in). In float32 by oneDNN: there the starter's output matrix
    takes half to three quarters of MKL's time (`python -m bench.products`)."""
    return _one_dnn(x, weight, bias, "none", [], "") if _one_dnn and _by_mkl(weight) else F.linear(x, weight, bias)


def dense_product(weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
    """The product for sampling. Fewer than `FEW_ROWS` are multiplied by MKL, more of them by MKL as (W x^T)^T, which gives the rows of the
    result side by side: the usual way it is slow where the first matrix has few rows (for 16 of them, the starter's layers take 67 ms instead
    of 109 with AVX2); and many by `plain_product`."""
    if not _by_mkl(weight):
        return lambda x: F.linear(x, weight, bias)

    def product(x: torch.Tensor) -> torch.Tensor:
        if many(x):
            return plain_product(x, weight, bias)
        if len(x) < FEW_ROWS:
            return F.linear(x, weight, bias)
        y = torch.mm(weight, x.t())
        return (y if bias is None else y.add_(bias.unsqueeze(-1))).t()

    return product


@contextlib.contextmanager
def quick_linears(model: torch.nn.Module) -> Iterator[None]:
    """Within the block the plain linear layers of a model are multiplied by `dense_product`, where that makes a difference."""
    taken = [module for module in model.modules() if type(module) is torch.nn.Linear and _by_mkl(module.weight)]

    def install(module: torch.nn.Linear) -> None:
        product = dense_product(module.weight, module.bias)

        def forward(input: torch.Tensor) -> torch.Tensor:  # noqa: A002
            return product(input.flatten(0, -2)).contiguous().view(*input.shape[:-1], -1)

        module.forward = forward  # type: ignore[method-assign]

    for module in taken:
        install(module)
    try:
        yield
    finally:
        for module in taken:
            del module.forward  # its class's own is there again


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


def can_halve(compute: torch.dtype) -> bool:
    """Whether `half_product` is there, and the faster one: where products are in 32 bits, on a CPU."""
    return _half is not None and compute == torch.float32


def half_product(weight: torch.Tensor) -> Product:
    """x W^T over a copy of W (out x in) in 16 bits, for x in 32, added up in 32: half of the memory that is read, and a form for a handful of
    rows. W is rounded by a two-thousandth at most (but what is smaller than 6e-5), where a processor with bfloat16 rounds it by a 256th."""
    assert _half
    pack, multiply = _half
    if max(map(abs, map(float, weight.aminmax()))) > torch.finfo(torch.float16).max:
        weight = weight.clone()  # it is cut down to that in place, and others go on with it
    packed = pack(weight, None)
    return lambda x: multiply(x, packed)


def output_product(weight: torch.Tensor) -> Product:
    """x W^T over the output matrix. On a CPU in bfloat16 over a copy in the order that oneDNN multiplies (torch's compiler calls the same two
    functions): else it is put in order anew for every token. In float32 such a copy would hold more than it saves; there `half_product` may take its place."""
    if weight.device.type == "cpu" and weight.dtype == torch.bfloat16:
        try:
            ordered = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), HEAD_ROWS)
            product = torch.ops.mkldnn._linear_pointwise
            product(weight.new_ones(1, weight.shape[1]), ordered, None, "none", [], "")
        except (AttributeError, RuntimeError):
            pass
        else:
            return lambda x: product(x, ordered, None, "none", [], "")
    frozen = weight.detach()
    return lambda x: plain_product(x, frozen)


def with_pair(plain: Product, a: torch.Tensor, b: torch.Tensor) -> Product:
    """W x with the adapter's share added: a is (in x rank), b (rank x out), already scaled. Of many rows in their own type: there it is
    the faster one."""

    def product(x: torch.Tensor) -> torch.Tensor:
        y, kind = plain(x), x.dtype if many(x) else a.dtype
        inner = x.to(kind) @ a.to(kind)
        return y.addmm_(inner, b.to(kind)) if y.dtype == kind else y.add_(inner @ b)

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
        y = plain_product(flat, weight, bias).addmm_(inner, up.t())
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


class FrozenLinear(torch.autograd.Function):
    """x W^T + bias over a frozen W, with the gradient of x, which is (rows x in): for the output matrix."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(weight)
        return plain_product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        return grads[0] @ weight, None, None


def take_over_output(model: PreTrainedModel) -> None:
    """Let the frozen output matrix of a model be multiplied by `plain_product`, where that makes a difference."""
    output = model.get_output_embeddings()
    if type(output) is not torch.nn.Linear or not _by_mkl(output.weight) or output.weight.requires_grad:
        return

    def forward(input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        flat: torch.Tensor = FrozenLinear.apply(input.flatten(0, -2), output.weight, output.bias)  # type: ignore[no-untyped-call]
        return flat.view(*input.shape[:-1], -1)

    output.forward = forward  # type: ignore[method-assign]
