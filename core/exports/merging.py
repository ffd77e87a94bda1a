"""The adapter worked into the weights that it was trained on: into the dequantised 4-bit ones, calibrated codes and all, not into those
that they were made from. So the merged model is what was tasted, not something near it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import torch
from torch import nn

from core.errors import FlavorError
from core.exports import adapter
from core.exports.order import Order
from core.hub.locate import Progress
from core.worker.model import Base, load


def loaded(order: Order) -> Iterator[Progress | Base]:
    """The base as it is trained on: progress, and last the base."""
    from core import checkpoints

    for step in load(order.base, order.quantization, order.calibrate):
        if isinstance(step, Base) and order.checkpoint:
            place = checkpoints.Place(step.name, step.fingerprint, step.tokenizer_hash, order.lora)
            checkpoints.verify(Path(order.checkpoint), place)
        yield step


def pairs(order: Order) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """A and B of each module, B multiplied by the adapter's scaling and the strength asked for."""
    if not order.checkpoint or not order.strength:
        return {}
    folder = Path(order.checkpoint)
    factor = adapter.scaling(adapter.settings(folder)) * order.strength
    found = adapter.pairs(adapter.read(folder))
    return {module: (torch.from_numpy(a).float(), torch.from_numpy(b).float() * factor) for module, (a, b) in found.items()}


def merged(base: Base, added: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of the model with its name, one at a time, on the CPU; matrices in float32, the rest as they are held.

    Raises FlavorError where `added` names a module that the model does not have.
    """
    modules = dict(base.model.named_modules())
    for module in added:
        if not isinstance(modules.get(module), nn.Linear):
            raise FlavorError(f"The base has no layer {module}.", "Was the base changed? Retrain with T.", "foreign")
    for name, parameter in base.model.named_parameters():
        tensor = dequantised(parameter).detach().cpu()
        pair = added.get(name.removesuffix(".weight"))
        if pair is not None:
            tensor = tensor.float() + pair[1] @ pair[0]
        yield name, tensor


def dequantised(parameter: torch.Tensor) -> torch.Tensor:
    """A parameter's numbers (out x in), as the training form multiplies with them."""
    state = getattr(parameter, "quant_state", None)
    if state is None:
        return parameter
    from bitsandbytes.functional import dequantize_4bit

    weights: torch.Tensor = dequantize_4bit(parameter.data, state)
    return weights


def size(base: Base) -> int:
    """Numbers in the model, those of 4-bit layers counted one by one."""
    states = [(parameter, getattr(parameter, "quant_state", None)) for parameter in base.model.parameters()]
    return sum(state.shape.numel() if state is not None else parameter.numel() for parameter, state in states)


def must_fit(base: Base, bytes_each: float) -> None:
    """Raises FlavorError where the memory will not hold the whole model in 16 bits."""
    needed, free = size(base) * bytes_each, psutil.virtual_memory().available
    if needed > free:
        raise FlavorError(
            f"The merged model takes {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free.",
            "Export it as gguf, which is written piece by piece.",
            "memory",
        )
