"""A checkpoint's adapter, checked and read without torch; and the PEFT folder that is made of it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from core import checkpoints
from core.errors import FlavorError
from core.exports.order import Order
from core.files import read_bytes, write_new
from core.text import short

PREFIX = "base_model.model."
"""Before a module's own name in PEFT's tensors."""
Tensors = dict[str, np.ndarray[Any, Any]]


def read(folder: Path) -> Tensors:
    """A checkpoint's tensors (float32, `MODULE.lora_A.weight` rank x in, `MODULE.lora_B.weight` out x rank, as PEFT names them).

    Raises FlavorError where any file of it is not what was saved.
    """
    info = checkpoints.verify_files(folder)
    try:
        data = read_bytes(folder / checkpoints.WEIGHTS)
        tensors: Tensors = load(data)
    except (SafetensorError, OSError, ValueError) as error:
        raise FlavorError(f"{info.name} is damaged: {short(str(error), 80)}.", checkpoints.CHOOSE, "damaged") from None
    if hashlib.sha256(data).hexdigest() != info.sha256:
        raise FlavorError(f"{info.name} was changed while it was read.", checkpoints.CHOOSE, "damaged")
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise FlavorError(f"{info.name} holds numbers that are not finite.", checkpoints.CHOOSE, "damaged")
    return tensors


def settings(folder: Path) -> dict[str, Any]:
    """Its `adapter_config.json`. Raises FlavorError where it cannot be read."""
    try:
        told: dict[str, Any] = json.loads(read_bytes(folder / checkpoints.CONFIG))
    except (OSError, ValueError):
        raise FlavorError(f"{folder}: {checkpoints.CONFIG} cannot be read.", checkpoints.CHOOSE, "damaged") from None
    return told


def scaling(told: dict[str, Any]) -> float:
    """What B A is multiplied by: alpha over the rank, or over its root where the adapter is rank-stabilised (Kalajdzievski 2312.03732)."""
    rank, alpha = float(told["r"]), float(told["lora_alpha"])
    return alpha / rank**0.5 if told.get("use_rslora") else alpha / rank


def pairs(tensors: Tensors) -> dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """A and B of each module, by the module's name in the base."""
    found = {}
    for key in tensors:
        if key.endswith(".lora_A.weight"):
            module = key.removeprefix(PREFIX).removesuffix(".lora_A.weight")
            found[module] = (tensors[key], tensors[key.replace(".lora_A.", ".lora_B.")])
    return found


def scaled(tensors: Tensors, strength: float) -> Tensors:
    """The same adapter at another strength: B of every module multiplied by it."""
    if strength == 1.0:
        return tensors
    return {key: tensor * np.float32(strength) if ".lora_B." in key else tensor for key, tensor in tensors.items()}


def fill(order: Order) -> None:
    """Write the PEFT folder into the staging folder. At strength 1 the tensors are the checkpoint's own bytes."""
    assert order.checkpoint is not None
    folder, staging = Path(order.checkpoint), Path(order.staging)
    tensors, told = read(folder), settings(folder)
    if order.base_name:
        told["base_model_name_or_path"] = order.base_name
    data = read_bytes(folder / checkpoints.WEIGHTS) if order.strength == 1.0 else save(scaled(tensors, order.strength), {"format": "pt"})
    write_new(staging / checkpoints.WEIGHTS, data)
    write_new(staging / checkpoints.CONFIG, json.dumps(told, indent=2, sort_keys=True).encode() + b"\n")
    for name, text in order.files.items():
        write_new(staging / os.path.basename(name), text.encode())
