"""The adapter's layers, each in two forms: one that trains exactly, one that samples fast; and groups of them that share an input.

bitsandbytes 0.50 repacks a 4-bit weight in place at the first forward in eval mode on a CPU with AVX512-BF16, and that form has
no backward: gradients silently vanish from every 4-bit layer. So its switch is turned off on every layer, and the packed form
is made once, by its own function, from copies. For training on the CPU a third copy holds the dequantised NF4 weights in
the computing type, where memory allows: the same numbers that bitsandbytes makes anew at every product, so the same result.
Where the computing type has 32 bits, there is no packed form, and a copy in 16 bits takes its place.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer

from core.config import Lora
from core.fit import DENSE_SHARE, of_halves
from core.worker.model import Base
from core.worker.products import LowRank, Product, can_halve, dense_product, half_product, many, output_product, packed_product, with_pair

ADAPTER = "default"

Forward = Callable[..., torch.Tensor]


class Layer:
    """One linear layer with its LoRA pair. Installs itself as the layer's forward."""

    def __init__(self, wrapped: LoraLayer, compute: torch.dtype) -> None:
        self.wrapped: Any = wrapped
        self.base = wrapped.get_base_layer()
        self.compute = compute
        self.a: torch.Tensor = wrapped.lora_A[ADAPTER].weight
        self.b: torch.Tensor = wrapped.lora_B[ADAPTER].weight
        self.scaling = float(wrapped.scaling[ADAPTER])
        self.dropout = float(getattr(wrapped.lora_dropout[ADAPTER], "p", 0.0))
        self.dense: torch.Tensor | None = None
        self.packed: tuple[torch.Tensor, Any] | None = None

    def renew(self, lora: Lora) -> None:
        """Another pair in the place of PEFT's own, of another rank: A random, B zero, as PEFT begins."""
        self.a, self.b = (
            torch.zeros(shape, dtype=old.dtype, device=old.device)
            for old, shape in (
                (self.a, (lora.r, self.a.shape[1])),
                (self.b, (self.b.shape[0], lora.r)),
            )
        )
        torch.nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))
        self.a.requires_grad_()
        self.b.requires_grad_()
        self.scaling = lora.alpha / lora.r

    def dequantised(self) -> torch.Tensor:
        """The weights (out x in) in the computing type."""
        from bitsandbytes.functional import dequantize_4bit

        return dequantize_4bit(self.base.weight.data, self.base.weight.quant_state).to(self.compute) if self.dense is None else self.dense

    def make_dense(self) -> None:
        """Keep the dequantised weights."""
        self.dense = self.dequantised()

    def make_packed(self) -> None:
        """Keep the weights in the layout of the fast kernel, which reads bfloat16 and needs `out` in blocks of 32."""
        from bitsandbytes.functional import _convert_weight_packed_for_cpu

        state = copy.deepcopy(self.base.weight.quant_state)
        if state.shape[0] % 32 == 0 and state.shape[1] % state.blocksize == 0:
            self.packed = _convert_weight_packed_for_cpu(self.base.weight.data.clone(), state)

    def training_forward(self, with_adapter: bool) -> Forward:
        """y = W x + scaling B A dropout(x), differentiable in A, B and x; or y = W x alone."""
        dense, base, scaling = self.dense, self.base, self.scaling
        if not with_adapter:
            return lambda x, *_, **__: base(x) if dense is None else F.linear(x, dense, base.bias)

        if dense is not None and not self.dropout:
            return lambda x, *_, **__: LowRank.apply(x, dense, base.bias, self.a, self.b, scaling)

        def forward(x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
            y = base(x) if dense is None else F.linear(x, dense, base.bias)
            h = F.dropout(x, self.dropout, self.wrapped.training) if self.dropout else x
            return y + F.linear(F.linear(h, self.a.to(x.dtype)), self.b.to(x.dtype) * scaling)

        return forward

    def plain(self) -> Product:
        """W x without gradients, in the fastest form there is."""
        base, dense, packed = self.base, self.dense, self.packed
        if packed is None:
            weight = base.weight if type(base) is torch.nn.Linear else dense
            return base if weight is None else dense_product(weight, base.bias)
        few = packed_product(*packed)

        def product(x: torch.Tensor) -> torch.Tensor:
            if dense is not None and many(x):
                return F.linear(x, dense, base.bias)
            y = few(x.contiguous())
            return y if base.bias is None else y.add_(base.bias)

        return product

    def pair(self, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
        """The adapter's A (in x rank) and B (rank x out), B scaled, and cast to what samples fastest: on a CPU such small products
        are three to seven times faster in float32 than in bfloat16, and more exact."""
        kind = torch.float32 if self.a.device.type == "cpu" else self.compute
        scaled = self.b.detach() * (self.scaling * strength)
        return self.a.detach().to(kind).t(), scaled.to(kind).t()

    def sampling_forward(self, pair: tuple[torch.Tensor, torch.Tensor] | None) -> Forward:
        """The same as `training_forward` without gradients, over the packed weights; `pair` as `pair()` makes it, or no adapter."""
        product = with_pair(self.plain(), *pair) if pair else self.plain()

        def forward(x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
            y = product(x.reshape(-1, x.shape[-1])).contiguous()  # else attention leaves torch's fused kernel
            return y.view(*x.shape[:-1], -1)

        return forward


class Group:
    """Layers that multiply the same input, as one product and one pair of small ones: for a handful of rows, what a product costs
    beside its arithmetic counts."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = list(layers)
        self._packed: tuple[torch.Tensor, Any] | None = None
        self._half: Product | None = None
        if all(layer.packed for layer in layers):
            self._pack()

    def halve(self) -> None:
        """Keep a copy of the weights in 16 bits, where they are multiplied in 32."""
        if not self._packed:
            self._half = half_product(torch.cat([layer.dequantised() for layer in self.layers]))

    def _pack(self) -> None:
        """One packed weight under another; the layers go on with views of it, so that it is held once."""
        parts = [layer.packed for layer in self.layers if layer.packed]
        weight = torch.cat([part for part, _ in parts])
        state = copy.copy(parts[0][1])
        state.absmax = torch.cat([own.absmax for _, own in parts], 1).contiguous()
        state.shape = torch.Size((len(weight), state.shape[1]))
        for layer, (_, own), view in zip(self.layers, parts, weight.split([len(part) for part, _ in parts]), strict=True):
            layer.packed = (view, own)
        self._packed = (weight, state)

    def _plain(self) -> Product:
        """The layers' plain products, side by side."""
        few = packed_product(*self._packed) if self._packed else self._half
        if few is None:
            each = [layer.plain() for layer in self.layers]
            return each[0] if len(each) == 1 else lambda x: torch.cat([product(x) for product in each], -1)
        biases = [layer.base.bias for layer in self.layers]
        if all(bias is None for bias in biases):
            return few
        parts = [layer.b.new_zeros(len(layer.b)) if bias is None else bias for layer, bias in zip(self.layers, biases, strict=True)]
        bias = torch.cat([part.to(self.layers[0].compute) for part in parts])
        return lambda x: few(x).add_(bias)

    def product(self, strength: float | None) -> tuple[Product, list[tuple[torch.Tensor, torch.Tensor] | None]]:
        """From (rows x in) to (rows x the sum of the layers' out), in their order; and each layer's own pair, a view of the group's.
        Without a `strength` without the adapter."""
        if strength is None:
            return self._plain(), [None] * len(self.layers)
        pairs = [layer.pair(strength) for layer in self.layers]
        a, b = torch.cat([a for a, _ in pairs], 1), torch.block_diag(*[b for _, b in pairs])
        views: list[tuple[torch.Tensor, torch.Tensor] | None] = []
        rank = out = 0
        for part, other in pairs:
            views.append((a[:, rank : rank + part.shape[1]], b[rank : rank + len(other), out : out + other.shape[1]]))
            rank, out = rank + len(other), out + other.shape[1]
        return with_pair(self._plain(), a, b), views


class Forms:
    """A base with one LoRA adapter on all its linear layers; `train` and `sample` switch its form in milliseconds."""

    def __init__(self, base: Base, lora: Lora) -> None:
        """Raises ValueError where the model has no linear layers that PEFT knows."""
        config = LoraConfig(
            r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules="all-linear", task_type="CAUSAL_LM", bias="none"
        )
        for module in base.model.modules():
            if hasattr(module, "support_avx512bf16_for_cpu"):
                module.support_avx512bf16_for_cpu = False  # see the head of this file
        self.peft: PeftModel = get_peft_model(base.model, config, adapter_name=ADAPTER)
        self.layers = [Layer(module, base.compute) for module in self.peft.modules() if isinstance(module, LoraLayer)]
        self._by_module = {layer.wrapped: layer for layer in self.layers}
        self._groups: list[tuple[Group, list[Product]]] = []
        self._output: tuple[torch.Tensor, list[Product]] | None = None
        self._halve = base.four_bit and base.device == "cpu" and can_halve(base.compute)
        """Whether groups and output matrix may still get copies in 16 bits, which they do when texts are sampled for the first time."""
        self.form = f"{8 * base.compute.itemsize} bits"
        if base.four_bit:
            self.form = "NF4"
            if base.device == "cpu":
                self._make_cpu_forms()
        self._state = ""

    def _make_cpu_forms(self) -> None:
        from bitsandbytes.functional import has_avx512bf16

        size = sum(layer.base.weight.quant_state.shape.numel() for layer in self.layers) * self.layers[0].compute.itemsize
        dense = size <= DENSE_SHARE * psutil.virtual_memory().available
        for layer in self.layers:
            if has_avx512bf16() and layer.compute == torch.bfloat16:
                layer.make_packed()
            if dense:
                layer.make_dense()
        packed = sum(layer.packed is not None for layer in self.layers)
        self.form = f"NF4, {'packed' if packed else 'plain'} for sampling, {'dequantised copy' if dense else 'plain'} for training"

    @property
    def to_come(self) -> int:
        """Bytes that the copies in 16 bits will take once texts are sampled; 0 where there are none to come, or not the memory for them."""
        if not self._halve:
            return 0
        shapes = [layer.base.weight.quant_state.shape for group, _ in self._groups for layer in group.layers]
        shapes += [self._output[0].shape] if self._output else []
        size = sum(of_halves(shape.numel(), shape[-1]) for shape in shapes)
        return size if size <= DENSE_SHARE * psutil.virtual_memory().available else 0

    def _make_halves(self) -> None:
        """Copies in 16 bits, where memory allows. Several at a time: for the starter a second and a half of one core. The threads end with it:
        as long as others than the main one have multiplied, torch's own give up waiting for the next product sooner."""
        size, self._halve = self.to_come, False
        if not size:
            return
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            output = pool.submit(half_product, self._output[0]) if self._output else None
            list(pool.map(Group.halve, [group for group, _ in self._groups]))
        if self._output and output:
            self._output[1][:] = [output.result()]

    def group(self, modules: Sequence[torch.nn.Module]) -> list[Product]:
        """Take layers that multiply the same input together. The list holds their product as long as the form is the one for sampling."""
        self._groups.append((Group([self._by_module[module] for module in modules]), []))
        self._state = ""
        return self._groups[-1][1]

    def output(self, weight: torch.Tensor) -> list[Product]:
        """Take the output matrix (vocabulary x width). The list holds its product."""
        self._output = (weight.detach(), [output_product(weight)])
        return self._output[1]

    def train(self, with_adapter: bool = True) -> None:
        """Switch to the exact form; call before any forward with gradients, and before measuring a loss."""
        wanted = f"train {with_adapter}"
        if self._state != wanted:
            for layer in self.layers:
                layer.wrapped.forward = layer.training_forward(with_adapter)
            for _, product in self._groups:
                product.clear()
            self._state = wanted

    def sample(self, with_adapter: bool, version: str, strength: float = 1.0) -> None:
        """Switch to the fast form. `version` names the adapter's content: the cast pairs are made anew when it or the strength changes."""
        wanted = f"sample {strength:g} {version}" if with_adapter else "sample"
        if self._halve:
            self._make_halves()
        if self._state != wanted:
            made: dict[Layer, tuple[torch.Tensor, torch.Tensor] | None] = {}
            for group, product in self._groups:
                whole, views = group.product(strength if with_adapter else None)
                product[:] = [whole]
                made.update(zip(group.layers, views, strict=True))
            for layer in self.layers:
                pair = made[layer] if layer in made else layer.pair(strength) if with_adapter else None
                layer.wrapped.forward = layer.sampling_forward(pair)
            self._state = wanted

    def silence_adapter(self) -> None:
        """Make the pair of every layer a no-op: the exact form of the base, for measuring its loss."""
        with torch.no_grad():
            for layer in self.layers:
                layer.b.zero_()
        self._state = ""

    def shrink_adapter(self, factor: float) -> None:
        """Move the adapter back towards the base: scale B of every layer."""
        with torch.no_grad():
            for layer in self.layers:
                layer.b.mul_(factor)
        self._state = ""

    def copied(self) -> list[torch.Tensor]:
        """The adapter's tensors as they are now, for `put_back`."""
        return [tensor.detach().clone() for tensor in self.parameters()]

    def put_back(self, tensors: Sequence[torch.Tensor]) -> None:
        """Make the adapter what it was when `copied` was called."""
        with torch.no_grad():
            for own, kept in zip(self.parameters(), tensors, strict=True):
                own.copy_(kept)
        self._state = ""

    @contextlib.contextmanager
    def set_aside(self) -> Iterator[None]:
        """The adapter and the form of its layers may be others within the block; after it both are what they were."""
        kept, state = self.copied(), self._state
        try:
            yield
        finally:
            self.put_back(kept)
            if state.startswith("train"):
                self.train(with_adapter=state == "train True")

    def fresh_adapter(self, seed: int) -> None:
        """A new adapter: A random from `seed`, B zero."""
        torch.manual_seed(seed)
        for layer in self.layers:
            layer.wrapped.reset_lora_parameters(ADAPTER, True)
        self._state = ""

    @contextlib.contextmanager
    def of_rank(self, lora: Lora, seed: int) -> Iterator[None]:
        """A fresh adapter of another rank, from `seed`, as long as the block lasts; then ours is there again as it was."""
        own = [(layer.a, layer.b, layer.scaling) for layer in self.layers]
        torch.manual_seed(seed)
        try:
            for layer in self.layers:
                layer.renew(lora)
            self._state = ""
            yield
        finally:
            for layer, (a, b, scaling) in zip(self.layers, own, strict=True):
                layer.a, layer.b, layer.scaling = a, b, scaling
            self._state = ""

    def parameters(self) -> list[torch.Tensor]:
        """The trainable tensors, in a fixed order."""
        return [tensor for layer in self.layers for tensor in (layer.a, layer.b)]
