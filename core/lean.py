"""Imports of what is large, without what is never used of it. Call `prepare` before anything imports peft or transformers' models.

As they are imported, transformers and bitsandbytes give functions to torch's compiler or keep others from it, and bring in what spreads
tensors over several machines. Nothing is compiled or spread here, and both together were four tenths of what a worker imports, and 100 MB.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

DYNAMO = "torch._dynamo"
HIGHER = f"{DYNAMO}._trace_wrapped_higher_order_op"


def _as_it_is(function: Any = None, *_: Any, **__: Any) -> Any:
    """A decorator, with or without arguments, that does nothing."""
    return function or (lambda decorated: decorated)


def _nothing(*_: Any, **__: Any) -> None:
    pass


def _real(name: str) -> ModuleType:
    """The module itself, in the place of its stand-in."""
    for stands in (HIGHER, DYNAMO):
        if isinstance(sys.modules.get(stands), _StandIn):
            del sys.modules[stands]
            torch = sys.modules["torch"]
            if isinstance(getattr(torch, "_dynamo", None), _StandIn):
                del torch._dynamo
    return importlib.import_module(name)


class _StandIn(ModuleType):
    """Stands for a module of torch's compiler until something is asked of it that it does not have; then the module itself is imported."""

    def __init__(self, name: str, **has: Callable[..., Any]) -> None:
        super().__init__(name)
        self.__dict__.update(has)

    def __getattr__(self, name: str) -> Any:
        if name in ("__file__", "__wrapped__") or (
            name == "__path__" and self.__name__ != DYNAMO
        ):  # it has none, or nothing is wanted of it
            raise AttributeError(name)
        return getattr(_real(self.__name__), name)


def _without_compiler() -> None:
    """Put stand-ins where transformers would import torch's compiler for a decorator, and training for a word to it."""
    import torch

    if DYNAMO in sys.modules:
        return
    decorators = dict.fromkeys(("disable", "allow_in_graph", "assume_constant_result"), _as_it_is)
    torch._dynamo = sys.modules[DYNAMO] = _StandIn(DYNAMO, **decorators, graph_break=_nothing)
    sys.modules[HIGHER] = _StandIn(HIGHER, TransformGetItemToIndex=lambda: _real(HIGHER).TransformGetItemToIndex())


@contextlib.contextmanager
def _nothing_compiled() -> Iterator[None]:
    """Within it, what is given to `torch.compile` stays as it is: of bitsandbytes two optimisers, which are not used here, and two functions
    for processors that it has no library for."""
    import torch

    compiler = torch.compile
    torch.compile = _as_it_is  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.compile = compiler


def prepare() -> None:
    """Import torch and bitsandbytes, and see to it that what is imported after them stays small. Why bitsandbytes cannot be imported,
    `four_bit_problem` in core/model.py says."""
    import torch

    torch.distributed.is_available = lambda: False  # as in a torch that was built without it
    _without_compiler()
    with _nothing_compiled(), contextlib.suppress(Exception):
        import bitsandbytes  # noqa: F401
