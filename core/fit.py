"""What a model needs to be trained here: an estimate from its shape alone, before anything is downloaded or loaded. Pure arithmetic.

`bench.models` holds it against the true peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PROCESS = 0.9e9
"""Bytes of a worker whatever its model: what it imports, the tables of its sampler, some adapters, the texts being sampled."""
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Bytes of a weight in 4 bits, its share of the block's scale (a byte for 64) and of the scales' scale included."""
PACKED = 0.5 + 4 / 64
"""Bytes of a weight in the packed form for sampling, with plain scales."""
DENSE_SHARE = 0.15
"""Of the memory that is free when the model is loaded, the dequantised copy for training may take this share, and so may that of 16 bits for
sampling when texts are sampled for the first time."""
HALF = 2
"""Bytes of a number of 16 bits."""
HALF_BLOCK = 512
"""Inputs of a layer that such a copy is packed by: FBGEMM fills the last block up, so 576 take as much as 1,024."""
MICRO_TOKENS = 512
"""Padded tokens in one forward of training; a larger batch is accumulated from several."""
CALIBRATED = 1_000_000_000
"""Parameters of the largest base that is calibrated: larger ones lose little by rounding, and 16 bits of them may not fit beside."""
IN_USE = 1.5
"""What the processor's allocator and its kernels' scratch make of a step: 474 to 802 MB on the starter, for a sum of 316 to 635."""
ROOM = 0.8
"""Of the free memory, what a model may take without the machine becoming slow."""

Verdict = Literal["fits", "tight", "too large"]


@dataclass(frozen=True)
class Shape:
    """A model's numbers: parameters in all, words of the vocabulary, width, layers, whether the output is the embedding again."""

    parameters: int
    vocabulary: int
    width: int
    layers: int
    tied: bool = True

    @property
    def embeddings(self) -> int:
        return self.vocabulary * self.width * (1 if self.tied else 2)

    @property
    def linear(self) -> int:
        """Parameters of the layers that are held in 4 bits."""
        return max(0, self.parameters - self.embeddings)

    def adapter(self, rank: int) -> int:
        """Parameters of a LoRA on all linear layers, whose inputs and outputs together are about 18 widths a layer in llamas and qwens."""
        return 18 * rank * self.layers * self.width


@dataclass(frozen=True)
class Machine:
    """What there is to fit into: free bytes of memory, and of the GPU's where there is one; bytes of a number that is computed with."""

    free: int
    gpu: int = 0
    number: int = 2
    packed: bool = True

    @property
    def halves(self) -> bool:
        """Whether texts are sampled by a copy in 16 bits: where products are in 32, on a processor."""
        return not self.gpu and not self.packed and self.number > HALF


@dataclass(frozen=True)
class Need:
    """Bytes at the peak of training, on the GPU where there is one; and whether they are there."""

    peak: int
    first: int
    """At the first use, while the codes are chosen; 0 where they are not."""
    verdict: Verdict

    @property
    def most(self) -> int:
        return max(self.peak, self.first)


def of_halves(numbers: int, width: int) -> int:
    """Bytes of a copy in 16 bits, for sampling, of so many weights with `width` inputs each."""
    return numbers // max(1, width) * -(-width // HALF_BLOCK) * HALF_BLOCK * HALF


def of_a_step(
    layers: int, width: int, vocabulary: int, trained: int, tokens: int = MICRO_TOKENS, checkpointing: bool = False, number: int = HALF
) -> int:
    """Bytes that a step needs on top of the loaded model: 34 a token, layer and channel (Korthikanti et al. 2205.05198) and 6 a token
    and word of the vocabulary, where a `number` that is computed with has two bytes; 32 a trained number. On the processor `IN_USE`
    times as much.

    With gradient checkpointing 2 a token, layer and channel, and the 34 of one layer at a time.
    """
    kept = 2 * layers + 34 if checkpointing else 34 * layers
    return tokens * (kept * width + 6 * vocabulary) * number // HALF + 32 * trained


def need(shape: Shape, machine: Machine, rank: int = 16) -> Need:
    """What 4-bit training of a model takes on a machine."""
    step = of_a_step(shape.layers, shape.width, shape.vocabulary, shape.adapter(rank), number=machine.number)
    held = shape.linear * NF4 + shape.embeddings * machine.number
    first = 0.0
    if not machine.gpu:
        step = int(step * IN_USE)
        held += PROCESS
        dense = shape.linear * machine.number
        held += shape.linear * PACKED if machine.packed else 0
        halves = of_halves(shape.linear + shape.vocabulary * shape.width, shape.width) if machine.halves else 0
        held += sum(copy for copy in (dense, halves) if copy <= DENSE_SHARE * machine.free)
        first = held + shape.parameters * machine.number if shape.parameters <= CALIBRATED else 0.0
    peak = held + step
    free = machine.gpu or machine.free
    most = max(peak, first)
    verdict: Verdict = "fits" if most <= ROOM * free else "tight" if most <= free else "too large"
    return Need(int(peak), int(first), verdict)
