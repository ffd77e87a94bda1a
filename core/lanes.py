"""Parts of a step of training side by side, each in a thread of its own with its share of the cores.

The matrix products of a few short rows keep all cores busy, but the hundreds of small operations between them do not: of the starter, two
rows on two cores take a fifth less time one beside the other than together (`python -m bench.performance`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import Any, TypeVar

import torch
from transformers import PreTrainedModel

from core import attention

Part = TypeVar("Part")
Result = TypeVar("Result")

OWN_ROTATION = ("dynamic", "longrope")
"""Kinds of rotation that a model changes while it reads, so that two threads would be in each other's way."""


def side_by_side(model: PreTrainedModel, parts: int) -> int:
    """How many of these parts may go through this model at once: one for each core on a CPU, where the forward is known to keep nothing of its own and
    draws no random numbers, whose order threads would change; else 1."""
    config: Any = model.config
    rotation = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    draws = bool(getattr(config, "attention_dropout", 0.0)) or any(
        isinstance(part, torch.nn.Dropout) and part.p for part in model.modules()
    )
    known = model.device.type == "cpu" and config._attn_implementation == attention.NAME and rotation not in OWN_ROTATION
    return max(1, min(parts, torch.get_num_threads())) if known and not draws else 1


def _take(threads: int) -> None:
    """Keep torch to so many cores in this thread."""
    torch.set_num_threads(threads)
    torch.get_num_threads()  # at the first use a thread takes what was said last by any


class Lanes:
    """So many threads, from `open` to `close`. With one, everything is done in the caller's own."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ThreadPoolExecutor | None = None

    def open(self) -> None:
        if self.count > 1:
            threads = torch.get_num_threads()
            ready = threading.Barrier(self.count + 1)
            self._pool = ThreadPoolExecutor(self.count, "lane", _take, (max(1, threads // self.count),))
            for _ in range(self.count):
                self._pool.submit(ready.wait)
            ready.wait()
            torch.set_num_threads(threads)  # what they said of themselves is what torch would give to threads of later on

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown()
            self._pool = None

    def each(self, work: Callable[[Part], Result], parts: Sequence[Part]) -> Iterator[Result]:
        """What `work` makes of every part, in their order. When it is left, by an error too, nothing of it goes on."""
        if self._pool is None or len(parts) < 2:
            yield from map(work, parts)
            return
        futures = [self._pool.submit(partial(work, part)) for part in parts]
        try:
            while futures:
                yield futures.pop(0).result()  # not kept: a result is as large as all gradients
        finally:
            for future in futures:
                future.cancel()
            wait(futures)
