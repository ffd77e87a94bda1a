"""Steps of training that fit into the memory there is: predicted before a run, made smaller when it runs out in the middle of one.

Every way has the gradients of the plain one but for rounding: smaller micro-batches, down to a row at a time, then gradient checkpointing
(Chen et al. 1604.06174), which keeps each layer's input alone and computes the layer again in the backward pass. After that it is refused.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import psutil
import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from core.errors import FlavorError, out_of_memory
from core.fit import IN_USE, MICRO_TOKENS, of_a_step

log = logging.getLogger(__name__)
REMEDY = "Close other programs, lower max_tokens or r in flavor.toml, or choose a smaller base; every whole checkpoint is kept."


@dataclass(frozen=True)
class Way:
    """How the rows of a step go through the model: at most `tokens` padded ones (or one row) at a time, with checkpointing or without."""

    tokens: int
    checkpointing: bool = False

    @property
    def words(self) -> str:
        if self.checkpointing:
            return "with gradient checkpointing, which is slower"
        return f"at most {self.tokens} tokens at a time" if self.tokens > 1 else "one row at a time"


WAYS = (Way(MICRO_TOKENS), Way(MICRO_TOKENS // 2), Way(1), Way(1, checkpointing=True))
"""From the fastest to the smallest."""
CARD = Way(2 * MICRO_TOKENS)
"""Before them on a card, where the kernels of a forward over few tokens take less time than their launches do."""


def free_memory(device: torch.device) -> int:
    """Bytes that this process can still have, on the GPU where the model is on one; its own cache there counts as free."""
    if device.type != "cuda":
        return int(psutil.virtual_memory().available)
    free, total = torch.cuda.mem_get_info(device)
    used = torch.cuda.memory_allocated(device)
    allowed = int(total * torch.cuda.memory.get_per_process_memory_fraction(device))
    return min(free + torch.cuda.memory_reserved(device) - used, allowed - used)


def give_back_memory() -> None:
    """Return what was freed to the system: glibc keeps it else, and the peaks of loading, sampling and training add up."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def set_checkpointing(model: PreTrainedModel, on: bool) -> None:
    """Gradient checkpointing in training mode, for every layer of a model that has it.

    By transformers' inner function: the public one also makes the embeddings' output require a gradient, which the checkpoints of today
    (not reentrant) do not need, and which would stay in sampling.
    """
    if model.supports_gradient_checkpointing:
        model._set_gradient_checkpointing(on, functools.partial(checkpoint, use_reentrant=False))


class Survival:
    """See `StepMemory.survive`."""

    def __init__(self, way: Way) -> None:
        self._way = way

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        found = isinstance(error, (RuntimeError, MemoryError)) and out_of_memory(error)
        if found:
            log.warning("memory ran out, training %s: %s", self._way.words, error)
        return found


class StepMemory:
    """The way that the steps of one run are done, and what is to be said of it. A loop of steps is between `begin` and `close`."""

    def __init__(
        self, model: PreTrainedModel, parameters: Sequence[torch.Tensor], longest: int, rows: int = 1, free: int | None = None
    ) -> None:
        """`longest` tokens has the longest row, `rows` a step. `free` bytes are there; None: as many as are. Raises FlavorError where a
        step does not fit in any way."""
        self._model = model
        self._longest, self._rows = longest, rows
        self._trained = sum(tensor.numel() for tensor in parameters)
        self._device = model.device
        ways = [
            way
            for way in (*([CARD] if model.device.type == "cuda" else []), *WAYS)
            if model.supports_gradient_checkpointing or not way.checkpointing
        ]
        self._ways = [way for at, way in enumerate(ways) if not at or way.checkpointing or self._tokens(way) < self._tokens(ways[at - 1])]
        """Those that differ on these rows, from the one in force on."""
        self.foreseen = ""
        """What is said before the run, where it cannot be done in the plain way."""
        self.note = ""
        """What is said after it, where memory ran out."""
        self._foresee(free_memory(self._device) if free is None else free)

    @property
    def way(self) -> Way:
        return self._ways[0]

    def _tokens(self, way: Way) -> int:
        """Most padded tokens of a forward."""
        return max(self._longest, min(way.tokens, self._longest * self._rows))

    def need(self, way: Way) -> int:
        """Bytes of a step, by estimate. On a card the bare sum: a step that was judged too small there is done again in a smaller way,
        but a process that takes too much of the machine's memory is killed."""
        config = self._model.config.get_text_config()
        shape = config.num_hidden_layers, config.hidden_size, config.vocab_size
        found = of_a_step(*shape, self._trained, self._tokens(way), way.checkpointing, self._model.dtype.itemsize)
        return int(found * IN_USE) if self._device.type == "cpu" else found

    def _foresee(self, free: int) -> None:
        plain = self.need(self.way)
        while self.need(self.way) > free:
            if len(self._ways) == 1:
                raise FlavorError(
                    f"A step of training takes about {_gb(self.need(self.way))} of memory at least, and {_gb(free)} are free.",
                    REMEDY,
                    "memory",
                )
            self._ways.pop(0)
        if plain > free:
            self.foreseen = f"Memory is short ({_gb(free)} free, {_gb(plain)} wanted): training {self.way.words}."

    def begin(self) -> None:
        """Before the steps of a loop, of which a run may have several: the model in the way that is in force."""
        set_checkpointing(self._model, self.way.checkpointing)

    def survive(self) -> Survival:
        """A block that is left where memory runs out in it; any other error goes through."""
        return Survival(self.way)

    def reduce(self, optimiser: torch.optim.Optimizer, step: int) -> None:
        """After memory ran out in step number `step`: forget what was done of it, and go on in the next way. Raises FlavorError where there
        is none."""
        optimiser.zero_grad()
        for tensor in [tensor for tensor, state in optimiser.state.items() if len(state) < 3]:
            del optimiser.state[tensor]  # step and two moments: it ran out while they were made
        give_back_memory()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if len(self._ways) == 1:
            raise FlavorError(f"The memory ran out, even {self.way.words.partition(',')[0]}.", REMEDY, "memory")
        self._ways.pop(0)
        set_checkpointing(self._model, self.way.checkpointing)
        self.note = f"The memory ran out in step {step}, which was done again: from there on {self.way.words}."

    def close(self) -> None:
        """The model as it was."""
        set_checkpointing(self._model, False)


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
