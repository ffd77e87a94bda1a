"""One layer of a model of Llama's shape, written out for training on a CPU: forwards and backwards as one autograd function.

Of short texts the products of the frozen weights are half of a step, and the other half some hundred small operations a layer: casts,
norms, rotations, the adapter's pairs, autograd's own sums. Written out, layers that share an input are one product and one pair, texts stand
one after another without padding, sums go where they belong, and what is cheap to make again is not kept. The numbers are those of the
plain path but for rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from core.attention import Spans, attend, attend_backward, fit
from core.decoding import LayerParts, LlamaDecoder
from core.forms import Forms, Group


@dataclass(frozen=True)
class Shape:
    """What a layer needs to know beside its weights."""

    heads: int
    shared: int
    """Heads of keys and of values, each for several heads of queries."""
    scaling: float
    """Of the scores."""


@dataclass(frozen=True)
class Weights:
    """Frozen layers that share an input: their weights under one another (out x in), biases or None, and what their pairs are scaled by."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    scaling: float


Pairs = Sequence[torch.Tensor]
"""A (rank x in) and B (out x rank) of each layer of a group, by turns, in float32."""


class _Product:
    """The product of a group with its pairs, and its gradients. `down` (rank x in) and `up` (out x rank, scaled) are the pairs of all its layers
    in the type that is computed in."""

    def __init__(self, weights: Weights, pairs: Pairs, casts: Sequence[torch.Tensor] | None, kind: torch.dtype) -> None:
        """`casts`: `down` and `up`, where they are made already."""
        self.weights = weights
        downs, ups = pairs[::2], pairs[1::2]
        self.ranks, self.outs = [len(a) for a in downs], [len(b) for b in ups]
        self.down, self.up = casts or self._cast(downs, ups, kind)

    def _cast(self, downs: Pairs, ups: Pairs, kind: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        down = (downs[0] if len(downs) == 1 else torch.cat(list(downs))).to(kind)
        up = down.new_zeros(sum(self.outs), len(down))
        for b, part in zip(ups, self._blocks(up), strict=True):
            part.copy_(b)
        return down, up.mul_(self.weights.scaling)

    def _blocks(self, up: torch.Tensor) -> list[torch.Tensor]:
        """Each layer's own part of a matrix (out x rank) of the whole group."""
        found, row, column = [], 0, 0
        for out, rank in zip(self.outs, self.ranks, strict=True):
            found.append(up[row : row + out, column : column + rank])
            row, column = row + out, column + rank
        return found

    def forward(self, x: torch.Tensor, onto: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """W x + bias + scaling B A x, added to `onto`; and A x."""
        inner = x @ self.down.t()
        weight, bias = self.weights.weight, self.weights.bias
        if onto is None:
            y = F.linear(x, weight, bias)
        else:
            y = torch.addmm(onto, x, weight.t())
            if bias is not None:
                y.add_(bias)
        return y.addmm_(inner, self.up.t()), inner

    def backward(
        self, grad: torch.Tensor, x: torch.Tensor, inner: torch.Tensor, wanted: bool = True
    ) -> tuple[torch.Tensor | None, list[torch.Tensor]]:
        """The gradients of x, where it is `wanted`, and of the pairs."""
        through = grad @ self.up
        to_x = (grad @ self.weights.weight).addmm_(through, self.down) if wanted else None
        to_down = torch.split((through.t() @ x).float(), self.ranks)
        to_up = (inner.t() @ grad).float().mul_(self.weights.scaling).t()  # this way round it is read in order, and takes two thirds
        return to_x, [tensor for pair in zip(to_down, self._blocks(to_up), strict=True) for tensor in pair]


def _norm(x: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """x over the root of its mean square, in x's type, and one over that root (float32)."""
    wide = x.to(torch.float32, copy=True)
    scale = wide.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
    return wide.mul_(scale).to(x.dtype), scale


def _norm_backward(grad: torch.Tensor, unit: torch.Tensor, scale: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    wide, unit = (grad * weight).float(), unit.float()
    mean = (wide * unit).mean(-1, keepdim=True)
    return torch.addcmul(wide, unit, mean, value=-1).mul_(scale).to(grad.dtype)


def _turn(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Heads (tokens x heads x size) rotated by their positions; the first half of the sines is negated already."""
    return torch.addcmul(x * cos, torch.roll(x, x.shape[-1] // 2, -1), sin)


def _turn_back(grad: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    return torch.addcmul(grad * cos, torch.roll(grad, grad.shape[-1] // 2, -1), torch.roll(sin, sin.shape[-1] // 2, -1))


class LlamaLayer(torch.autograd.Function):
    """x (tokens x width) of texts that stand one after another, through: norm, attention over rotated heads, norm, a gated feed-forward part.

    cos and sin (tokens x 1 x size of a head) are the rotation's, the first half of the sines negated; `norms` the two norms; `groups` the
    weights of queries, keys and values, of the heads' output, of gate and up, and of down; then the pairs of those seven layers.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        spans: Spans,
        shape: Shape,
        norms: Sequence[Any],
        groups: Sequence[Weights],
        *pairs: torch.Tensor,
    ) -> torch.Tensor:
        products = heads_in, heads_out, gate_up, down = LlamaLayer._products(groups, pairs, (), x.dtype)
        unit1, scale1 = _norm(x, norms[0].variance_epsilon)
        states, inner1 = heads_in.forward(unit1 * norms[0].weight)
        states = states.view(len(x), shape.heads + 2 * shape.shared, -1)
        both = shape.heads + shape.shared
        turned = _turn(states[:, :both], cos, sin)
        seen, kept = attend(turned[:, : shape.heads], turned[:, shape.heads :], states[:, both:], spans, shape.scaling)
        seen = seen.view(len(x), -1)
        middle, inner2 = heads_out.forward(seen, x)
        unit2, scale2 = _norm(middle, norms[1].variance_epsilon)
        both_gates, inner3 = gate_up.forward(unit2 * norms[1].weight)
        gate, up = both_gates.chunk(2, -1)
        y, inner4 = down.forward(F.silu(gate).mul_(up), middle)
        casts = [cast for product in products for cast in (product.down, product.up)]
        ctx.save_for_backward(
            unit1, scale1, inner1, seen, inner2, unit2, scale2, inner3, both_gates, inner4, cos, sin, *pairs, *casts, *kept
        )
        ctx.about = spans, shape, norms, groups, len(pairs), len(casts)
        return y

    @staticmethod
    def _products(groups: Sequence[Weights], pairs: Pairs, casts: Sequence[torch.Tensor], kind: torch.dtype) -> list[_Product]:
        cuts = (pairs[:6], pairs[6:8], pairs[8:12], pairs[12:])
        return [
            _Product(weights, cut, casts[2 * at : 2 * at + 2], kind) for at, (weights, cut) in enumerate(zip(groups, cuts, strict=True))
        ]

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        spans, shape, norms, groups, paired, cast = ctx.about
        unit1, scale1, inner1, seen, inner2, unit2, scale2, inner3, both_gates, inner4, cos, sin, *rest = ctx.saved_tensors
        pairs, casts, kept = rest[:paired], rest[paired : paired + cast], rest[paired + cast :]
        heads_in, heads_out, gate_up, down = LlamaLayer._products(groups, pairs, casts, unit1.dtype)
        grad = grads[0]
        gate, up = both_gates.chunk(2, -1)
        opened = F.silu(gate)
        to_open, pairs4 = down.backward(grad, opened * up, inner4)
        assert to_open is not None
        to_gates = torch.empty_like(both_gates)
        to_gate, to_up = to_gates.chunk(2, -1)
        torch.mul(to_open, opened, out=to_up)
        torch.ops.aten.silu_backward.grad_input(to_open.mul_(up), gate, grad_input=to_gate)
        to_unit, pairs3 = gate_up.backward(to_gates, unit2 * norms[1].weight, inner3)
        assert to_unit is not None
        grad = _norm_backward(to_unit, unit2, scale2, norms[1].weight).add_(grad)
        to_seen, pairs2 = heads_out.backward(grad, seen, inner2)
        assert to_seen is not None
        both = shape.heads + shape.shared
        to_states = attend_backward(to_seen.view(len(seen), shape.heads, -1), kept, spans, shape.shared, shape.scaling)
        to_states[:, :both] = _turn_back(to_states[:, :both], cos, sin)
        to_unit, pairs1 = heads_in.backward(to_states.flatten(1), unit1 * norms[0].weight, inner1, ctx.needs_input_grad[0])
        to_x = None if to_unit is None else _norm_backward(to_unit, unit1, scale1, norms[0].weight).add_(grad)
        return to_x, None, None, None, None, None, None, *pairs1, *pairs2, *pairs3, *pairs4


class WrittenLayer:
    """A decoder layer's forward: the written-out one where it is told spans, while the form is the one for training; else the layer's own."""

    def __init__(self, layer: Any, parts: LayerParts, forms: Forms, heads: int, shared: int) -> None:
        self._layer, self._own = layer, layer.forward
        self._forms = forms
        self._norms = (parts.before, parts.between)
        self._groups: tuple[Group, ...] = (parts.heads_in, parts.heads_out, parts.gate_up, parts.down)
        self._shape = Shape(heads, shared, parts.scaling)
        self._biases = [group.bias() for group in self._groups]
        layer.forward = self

    @property
    def _ready(self) -> bool:
        layers = [layer for group in self._groups for layer in group.layers]
        return self._forms.trains and all(group.dense is not None for group in self._groups) and not any(layer.dropout for layer in layers)

    def __call__(
        self,
        hidden_states: torch.Tensor,
        *others: Any,
        spans: Spans | None = None,
        position_embeddings: tuple[torch.Tensor, torch.Tensor] | None = None,
        **more: Any,
    ) -> torch.Tensor:
        if spans is None or position_embeddings is None or not fit(spans) or not self._ready:
            if spans is not None:
                more["spans"] = spans
            own: torch.Tensor = self._own(hidden_states, *others, position_embeddings=position_embeddings, **more)
            return own
        cos, sin = position_embeddings
        half = cos.shape[-1] // 2
        sin = torch.cat((-sin[..., :half], sin[..., half:]), -1)
        pairs = [tensor for group in self._groups for layer in group.layers for tensor in (layer.a, layer.b)]
        weights = [
            Weights(group.dense, bias, group.layers[0].scaling)
            for group, bias in zip(self._groups, self._biases, strict=True)
            if group.dense is not None
        ]
        written: Any = LlamaLayer.apply
        if self._layer.gradient_checkpointing and self._layer.training:  # which transformers does in the forward that this one replaces
            written = functools.partial(self._layer._gradient_checkpointing_func, written)
        x: torch.Tensor = written(hidden_states[0], cos[0, :, None], sin[0, :, None], spans, self._shape, self._norms, weights, *pairs)
        return x[None]


def install(decoder: LlamaDecoder, forms: Forms) -> None:
    """Give every layer of the decoder's model its written-out forward."""
    for layer, parts in zip(decoder.model.layers, decoder.layers, strict=True):
        WrittenLayer(layer, parts, forms, decoder.heads, decoder.shared)
