"""Imports of what is large, without what is never used of it. Call `prepare` before anything imports peft or transformers' models.

As they are imported, transformers and bitsandbytes give functions to torch's compiler or keep others from it, and bring in what spreads
tensors over several machines. Nothing is compiled or spread here, and both together were half of the time that a worker's imports take.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

DYNAMO = "torch._dynamo"
HIGHER = f"{DYNAMO}._trace_wrapped_higher_order_op"
CONFIG = f"{DYNAMO}.config"


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
    torch: Any = sys.modules["torch"]
    if isinstance(getattr(torch, "_dynamo", None), _StandIn):
        del torch._dynamo
    return importlib.import_module(name)


class _Known:
    """Finds and loads a module that is there already: who imports one of the compiler's modules first has the stand-in import all of them,
    and Python would run that one again."""

    def __init__(self, spec: ModuleSpec | None) -> None:
        self._spec = spec

    @classmethod
    def find_spec(cls, name: str, *_: Any) -> ModuleSpec | None:
        known = sys.modules.get(name) if name.startswith(f"{DYNAMO}.") else None
        return None if known is None else ModuleSpec(name, cls(known.__spec__))  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class _StandIn(ModuleType):
    """Stands for a module of torch's compiler until something is asked of it that it does not have; then the module itself is imported."""

    def __init__(self, name: str, **has: Any) -> None:
        super().__init__(name)
        self.__dict__.update(has)

    def __getattr__(self, name: str) -> Any:
        if name in ("__file__", "__wrapped__") or (name == "__path__" and self.__name__ != DYNAMO):
            raise AttributeError(name)  # which inspect and the import system ask of every module
        return getattr(_real(self.__name__), name)


def _without_compiler() -> None:
    """Put stand-ins where transformers would import torch's compiler for a decorator, and training, checkpointed steps and the caches of some
    models for a word to it."""
    import torch

    if DYNAMO in sys.modules:
        return
    decorators = dict.fromkeys(("disable", "allow_in_graph", "assume_constant_result"), _as_it_is)
    settings = _StandIn(CONFIG, error_on_nested_fx_trace=True)  # as it is by default
    words = {"graph_break": _nothing, "mark_static_address": _nothing, "config": settings}
    torch._dynamo = sys.modules[DYNAMO] = _StandIn(DYNAMO, **decorators, **words)
    sys.meta_path.insert(0, _Known)
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
    `four_bit_problem` in core/worker/model.py says."""
    import torch

    torch.distributed.is_available = lambda: False  # as in a torch that was built without it
    _without_compiler()
    with _nothing_compiled(), contextlib.suppress(Exception):
        import bitsandbytes  # noqa: F401
