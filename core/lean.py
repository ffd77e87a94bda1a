"""Imports of what is large, without what is never used of it. Call before anything imports peft or transformers' models."""

from __future__ import annotations

import contextlib
from typing import Any


def import_bitsandbytes() -> None:
    """Import bitsandbytes without torch's compiler, a quarter of what a worker imports.

    As it is imported it gives four functions to `torch.compile`: two of its optimisers, which are not used here, and two for processors that it
    has no library for, which then run as they are. Why it cannot be imported, `four_bit_problem` in core/model.py says.
    """
    import torch

    def as_it_is(function: Any = None, **_: Any) -> Any:
        return function or (lambda decorated: decorated)

    compiler = torch.compile
    torch.compile = as_it_is  # type: ignore[assignment]
    try:
        with contextlib.suppress(Exception):
            import bitsandbytes  # noqa: F401
    finally:
        torch.compile = compiler
