"""Chosen 4-bit codes (`core/worker/calibration.py`) in bitsandbytes' layers, and in the cache between two starts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from transformers import PreTrainedModel

from core.files import cache_folder, write_atomic

BLOCK = 64
"""Weights that share a scale."""
VERSION = 1
"""Of the way in which codes are chosen: those of another one are chosen anew."""

Codes = dict[str, torch.Tensor]
"""`NAME.codes` (uint8, two codes a byte as bitsandbytes packs them, flat) and `NAME.scales` (float32, out x in / 64) of every layer."""


def packed(codes: torch.Tensor) -> torch.Tensor:
    """Two codes a byte, the first one in the upper half, flat."""
    flat = codes.flatten()
    return (flat[0::2] << 4) | flat[1::2]


def _quant_state(scales: torch.Tensor, shape: torch.Size, dtype: torch.dtype, nested: bool) -> Any:
    """bitsandbytes' state of a matrix of this shape that has these scales (out x in / 64); `nested`: double quantisation, the scales
    themselves in eight bits, as bitsandbytes does it."""
    from bitsandbytes.functional import QuantState, get_4bit_type, quantize_blockwise

    flat = scales.flatten()
    rest = {"shape": shape, "dtype": dtype, "blocksize": BLOCK, "code": get_4bit_type("nf4", device=flat.device), "quant_type": "nf4"}
    if not nested:
        return QuantState(flat.clone(), **rest)
    offset = flat.mean()
    absmax, second = quantize_blockwise(flat - offset, blocksize=256)
    return QuantState(absmax, offset=offset, state2=second, **rest)


def apply(model: PreTrainedModel, found: Codes) -> int:
    """Put the codes into a model that bitsandbytes has quantised to NF4; how many layers were changed."""
    from bitsandbytes.nn import Linear4bit

    changed = 0
    for name, module in model.named_modules():
        codes = found.get(f"{name}.codes")
        if codes is None or not isinstance(module, Linear4bit):
            continue
        weight, state = module.weight, module.weight.quant_state
        weight.data = codes.clone().to(weight.device).view(weight.data.dtype).reshape(weight.data.shape)  # no map of the file
        scales = found[f"{name}.scales"].to(weight.device)
        weight.quant_state = module.quant_state = _quant_state(scales, state.shape, state.dtype, state.nested)
        changed += 1
    return changed


@contextlib.contextmanager
def given(found: Codes) -> Iterator[None]:
    """Within it, what bitsandbytes would round as a model is loaded gets these codes instead: rounding takes most of a small model's loading.

    transformers has no argument for the weights of a layer that is quantised on the way; this stands in for the one method of its
    integration that rounds. A layer that has no codes, or codes of another shape, is rounded as ever.
    """
    from bitsandbytes.nn import Params4bit
    from transformers.integrations.bitsandbytes import Bnb4bitQuantize

    rounds = Bnb4bitQuantize.convert

    def take(self: Any, weights: dict[str, Any], *args: Any, model: Any = None, **more: Any) -> dict[str, torch.Tensor]:
        held: dict[str, torch.Tensor] = {}
        for name, value in weights.items():
            layer = name.removesuffix(".weight")
            codes, scales = found.get(f"{layer}.codes"), found.get(f"{layer}.scales")
            weight = value[0] if isinstance(value, list) else value
            if codes is None or scales is None or not codes.numel() * 2 == scales.numel() * BLOCK == weight.numel():
                held |= rounds(self, {name: value}, *args, model=model, **more)
                continue
            module, empty = model.get_submodule(layer), model.get_parameter(name)
            module.quant_state = _quant_state(scales.to(weight.device), weight.shape, weight.dtype, empty.compress_statistics)
            data = codes.clone().to(weight.device).view(empty.quant_storage).reshape(-1, 1)  # no map of the file
            module._is_hf_initialized = True
            held[name] = Params4bit(data, False, **{**empty.__dict__, "quant_state": module.quant_state, "bnb_quantized": True})
        return held

    Bnb4bitQuantize.convert = take
    try:
        yield
    finally:
        Bnb4bitQuantize.convert = rounds


def kept(mark: str) -> Codes | None:
    """The codes that were chosen for the base with this fingerprint at its first use; None where there are none, or they cannot be read."""
    with contextlib.suppress(OSError, SafetensorError):
        found: Codes = load_file(_place(mark))
        return found
    return None


def keep(mark: str, found: Codes) -> None:
    """Keep codes for the next start. A full cache costs that its time, nothing else."""
    with contextlib.suppress(OSError):
        _place(mark).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(_place(mark), save(found))


def _place(mark: str) -> Path:
    return cache_folder() / "nf4" / f"{mark}-{VERSION}.safetensors"
