"""Imports of what is large, without what is never used of it. Call before anything imports peft or transformers' models."""

from __future__ import annotations

import contextlib
from typing import Any


def import_bitsandbytes() -> None:
    """Import bitsandbytes without torch's compiler, a quarter of what a worker imports.

    As it is imported it gives four functions to `torch.compile`, two of them 8-bit optimisers' and two for processors without a library of
    its own; where that raises, it goes on with the functions as they are. Why it cannot be imported, `four_bit_problem` in core/model.py says.
    """
    import torch

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("nothing is compiled here")

    compiler = torch.compile
    torch.compile = refuse  # type: ignore[assignment]
    try:
        with contextlib.suppress(Exception):
            import bitsandbytes  # noqa: F401
    finally:
        torch.compile = compiler
