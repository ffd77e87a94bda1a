"""How llama.cpp names and lays out the parts of a model: what a GGUF file needs to know of an architecture. Knows no torch.

llama.cpp rotates neighbouring pairs of a head's numbers in its `llama` architecture, transformers the two halves, so that the rows of q
and k stand in another order there; in the other architectures both do the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from core.errors import FlavorError
from core.reading import read_json

KNOWN = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}
"""By `model_type`. Each is checked against llama.cpp in tests/exports."""
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Architecture:
    """What a base's configuration says, as far as GGUF needs it."""

    kind: gguf.MODEL_ARCH
    config: dict[str, Any]

    @property
    def name(self) -> str:
        return str(gguf.MODEL_ARCH_NAMES[self.kind])

    @property
    def blocks(self) -> int:
        return int(self.config["num_hidden_layers"])

    @property
    def heads(self) -> int:
        return int(self.config["num_attention_heads"])

    @property
    def kv_heads(self) -> int:
        return int(self.config.get("num_key_value_heads") or self.heads)

    def tensor(self, name: str) -> str:
        """What llama.cpp calls the tensor that transformers calls `name`. Raises FlavorError where it has no name for it."""
        found: str | None = gguf.get_tensor_name_map(self.kind, self.blocks).get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise FlavorError(f"llama.cpp has no name for {name} in the architecture {self.name}.", "Export it as merged.", "model")
        return found

    def arrange(self, name: str, tensor: Array) -> Array:
        """The rows (first axis) of a tensor in the order that llama.cpp expects."""
        if self.kind is not gguf.MODEL_ARCH.LLAMA:
            return tensor
        for part, heads in (("q_proj", self.heads), ("k_proj", self.kv_heads)):
            if f".{part}." in name:
                split = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
                return np.ascontiguousarray(split.swapaxes(1, 2).reshape(tensor.shape))
        return tensor


def of_folder(folder: Path) -> Architecture:
    """The architecture of the base in `folder`. Raises FlavorError where no GGUF of it is written here."""
    config = read_json(folder / "config.json")
    kind = KNOWN.get(config.get("model_type"))
    if kind is None:
        raise FlavorError(
            f"No GGUF is written here for the architecture {json.dumps(config.get('model_type'))}.",
            f"Known: {', '.join(KNOWN)}. Else export it as merged; llama.cpp's convert_hf_to_gguf.py reads that.",
            "model",
        )
    return Architecture(kind, config)
