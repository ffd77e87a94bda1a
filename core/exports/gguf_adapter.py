"""The adapter as a GGUF file that llama.cpp puts on top of its base. Knows no torch, so that it takes a second."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from core import runfiles
from core.checkpoints import INFO
from core.errors import FlavorError
from core.exports import adapter
from core.exports.architecture import Architecture, Array, of_folder
from core.exports.order import GGUF_FILE, Order
from core.hub.locate import fingerprint, locate
from core.runfiles import CheckpointInfo


def base_folder(order: Order) -> Path:
    """Where the base's 16-bit weights are. Raises FlavorError where they are not those that the checkpoint was trained on."""
    folder = next(step for step in locate(order.base) if isinstance(step, Path))
    if order.checkpoint:
        info = runfiles.read(Path(order.checkpoint) / INFO, CheckpointInfo)
        if info.fingerprint != fingerprint(folder):
            raise FlavorError(f"{info.name} was trained on another base ({info.base}).", "Set that base in flavor.toml.", "foreign")
    return folder


def fill(order: Order) -> None:
    """Write the file into the staging folder.

    llama.cpp multiplies B A by alpha over the rank and knows no rank-stabilised adapters, so alpha is written as the factor that this
    adapter has, times its rank.
    """
    assert order.checkpoint is not None
    folder = Path(order.checkpoint)
    found, told = adapter.pairs(adapter.read(folder)), adapter.settings(folder)
    kind = of_folder(base_folder(order))
    writer = gguf.GGUFWriter(Path(order.staging) / GGUF_FILE, kind.name)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_name(order.name)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, adapter.scaling(told) * order.strength * float(told["r"]))
    for module, (a, b) in found.items():
        _add(writer, kind, module, a, b)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add(writer: gguf.GGUFWriter, kind: Architecture, module: str, a: Array, b: Array) -> None:
    """One pair: A (rank x in) as it is, the rows of B (out x rank) arranged as those of the matrix it is added to."""
    name = kind.tensor(f"{module}.weight")
    writer.add_tensor(f"{name}.lora_a", np.ascontiguousarray(a, np.float32))
    writer.add_tensor(f"{name}.lora_b", np.ascontiguousarray(kind.arrange(f"{module}.weight", b), np.float32))
