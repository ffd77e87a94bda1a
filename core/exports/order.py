"""What an export is asked for, as it travels to its process. Light."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from core.choices import STRONGEST
from core.config import Lora

What = Literal["adapter", "merged", "gguf", "gguf-adapter"]
Kind = Literal["f16", "q8_0"]
Dtype = Literal["bfloat16", "float16"]


class Order(msgspec.Struct, frozen=True):
    """One export. Paths are absolute; `staging` is a new folder beside the destination, and is filled, not published, by the process."""

    what: What
    staging: str
    base: str
    quantization: str
    calibrate: bool
    lora: Lora
    checkpoint: str | None
    """Its folder; None: the base alone."""
    strength: Annotated[float, Meta(ge=0, le=STRONGEST)] = 1.0
    """What the adapter's effect is multiplied by."""
    kind: Kind = "f16"
    """How a GGUF model holds its matrices."""
    dtype: Dtype = "bfloat16"
    """How a merged model holds its weights."""
    name: str = ""
    """What a GGUF file says it is called."""
    base_name: str = ""
    """What the adapter's settings say it belongs to; empty: what they say already."""
    files: dict[str, str] = {}
    """Text files that go into the folder, by name."""


GGUF_FILE = "model.gguf"
"""The name of a GGUF file in the staging folder."""
