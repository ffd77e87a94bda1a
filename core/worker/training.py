"""The training loop, written out: rows in, optimiser steps out, as a generator of what happened. No files, no screen.

Made for 1 to 100 rows: every row is seen in every epoch, the last batch is stepped whatever its size, warm-up is counted in steps,
and losses are weighted by position, never by token id (the end token may also be the padding).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from core.config import Training
from core.errors import FlavorError
from core.fit import MICRO_TOKENS
from core.stopping import steps_of
from core.worker.encoding import Curriculum, Encoded
from core.worker.memory import StepMemory

CHUNK = 64
"""Positions whose float32 probabilities are held at once."""
CACHED = 8
"""The same on a CPU in training, where they fit its cache."""
MOSTLY = 0.8
"""Share of a micro-batch's positions from which on the loss of all of them is computed: to leave the others out costs more."""
MOST_LOST = 3
"""Steps in a row whose gradient is no number, after which training ends: one may be passed over, but not all."""
SLOW_END = 0.2
"""The last share of the steps, over which the rate falls linearly to a tenth, where nothing else is said."""


@dataclass(frozen=True)
class StepDone:
    step: int
    steps: int
    epoch: int
    loss: float
    rate: float
    tokens: int


@dataclass(frozen=True)
class EpochDone:
    epoch: int
    loss: float


def rate_at(step: int, steps: int, peak: float, warmup: int, slow_end: float = SLOW_END) -> float:
    """The learning rate of step 0 to `steps` - 1: linear warm-up in steps, constant, and a slow end."""
    warmup = min(warmup, steps // 4)
    slow = max(1, round(steps * slow_end)) if steps > 4 else 0
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    if step >= steps - slow:
        return peak * (1 - 0.9 * (step - (steps - slow) + 1) / slow)
    return peak


def micro_batches(rows: Sequence[Encoded], limit: int = MICRO_TOKENS) -> Iterator[list[Encoded]]:
    """Rows of like length together, at most `limit` padded tokens (or one row) at a time."""
    group: list[Encoded] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if group and len(row.ids) * (len(group) + 1) > limit:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


class TokenLoss(torch.autograd.Function):
    """Cross-entropy of each row of `logits` (positions x vocabulary, any float type) against `target`, in float32, a few rows at a time.

    Keeps the logits and one number a row, and makes float32 probabilities in one small place that is used again and again: a third of the
    memory of `F.cross_entropy(logits.float())`, and as fast as the processor's cache.
    """

    @staticmethod
    def _parts(logits: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
        """Some rows, and where their float32 numbers may be."""
        size = CACHED if logits.device.type == "cpu" else CHUNK
        place = torch.empty(min(size, len(logits)), logits.shape[-1], device=logits.device)
        for start in range(0, len(logits), size):
            yield slice(start, start + size), place[: len(logits) - start]

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        wanted = target.unsqueeze(-1)
        losses = torch.empty(len(logits), 1, device=logits.device)
        for part, place in TokenLoss._parts(logits):
            torch.log_softmax(logits[part], -1, dtype=torch.float32, out=place)
            torch.gather(place, 1, wanted[part], out=losses[part])
        losses.neg_()
        ctx.save_for_backward(logits, wanted, logits.gather(1, wanted).float() + losses)
        return losses.squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        logits, wanted, norms = ctx.saved_tensors
        out, weight = torch.empty_like(logits), grads[0].unsqueeze(-1)
        for part, place in TokenLoss._parts(logits):
            torch.sub(logits[part], norms[part], out=place).exp_()
            place.scatter_add_(1, wanted[part], -torch.ones_like(wanted[part], dtype=place.dtype))
            torch.mul(place, weight[part], out=out[part])
        return out, None


def position_logits(
    model: PreTrainedModel, rows: Sequence[Encoded], weights: Sequence[Sequence[float]], spare: bool = False
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits (positions x vocabulary), target and weight of every position whose weight is not 0, over all rows, flat; with `spare` also of
    some that have none, where that is faster.

    Logits are made only for positions that some row needs: at 49,152 words they are the largest tensor.
    """
    device = model.device
    width = max(len(row.ids) for row in rows)
    ids = torch.tensor([row.ids + [0] * (width - len(row.ids)) for row in rows], device=device)
    mask = torch.tensor([[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in rows], device=device)
    weight = torch.tensor([[*w, *[0.0] * (width - len(w))] for w in weights], device=device)[:, 1:]
    needed = weight.any(0).nonzero().squeeze(-1)
    whole = None if len(rows) == 1 else mask
    logits = model(input_ids=ids, attention_mask=whole, use_cache=False, logits_to_keep=needed).logits
    weight, target = weight[:, needed], ids[:, 1:][:, needed]
    chosen = weight != 0
    if int(chosen.sum()) >= (MOSTLY if spare else 1) * chosen.numel():
        return logits.flatten(0, 1), target.flatten(), weight.flatten()
    return logits[chosen], target[chosen], weight[chosen]


def token_losses(
    model: PreTrainedModel, rows: Sequence[Encoded], weights: Sequence[Sequence[float]], spare: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy (nats, float32) and weight of the same positions as `position_logits`, flat."""
    logits, target, weight = position_logits(model, rows, weights, spare)
    losses: torch.Tensor = TokenLoss.apply(logits, target)
    return losses, weight


def no_number() -> FlavorError:
    """The rate was too high."""
    return FlavorError("The loss is no longer a number.", "Lower the learning rate in flavor.toml; every whole checkpoint is kept.", "nan")


def _backward(model: PreTrainedModel, part: Sequence[Encoded], mass: float) -> float:
    """Add the gradients of a micro-batch, its weights summing to a part of `mass`; its share of the loss. A function of its own, so that
    nothing of it is held when memory runs out in it."""
    losses, weights = token_losses(model, part, [[weight * row.share for weight in row.weights] for row in part], spare=True)
    value = (losses * weights).sum() / mass
    value.backward()
    return value.item()


def train(
    model: PreTrainedModel,
    parameters: list[torch.Tensor],
    curriculum: Curriculum,
    settings: Training,
    *,
    epochs: int,
    peak: float,
    seed: int,
    planned: int | None = None,
    slow_end: float = SLOW_END,
    memory: StepMemory | None = None,
) -> Generator[StepDone | EpochDone | None]:
    """Train `parameters` in place. Yields after every step and epoch, and None between the parts of a long step. `planned` are the
    steps that the rates are laid out for, those of `epochs` by default; `slow_end` the share of them in which they fall. `memory` says how
    steps are done; by default it is predicted here.

    To stop early or to cancel, stop iterating. Raises FlavorError where the loss is no longer a number, or memory does not suffice.
    """
    torch.manual_seed(seed)
    size = min(settings.batch_size, curriculum.size)
    steps = planned or steps_of(curriculum.size, size, epochs)
    memory = memory or StepMemory(model, parameters, max(len(row.ids) for row in curriculum.epoch(1)), size)
    optimiser = torch.optim.AdamW(parameters, lr=peak, weight_decay=0.0, betas=(0.9, 0.99), fused=True)
    step = lost = 0
    memory.begin()
    model.train()
    try:
        for epoch in range(1, epochs + 1):
            total = share = 0.0
            rows = curriculum.epoch(epoch)
            for batch in (rows[start : start + size] for start in range(0, len(rows), size)):
                # One step: the weighted mean over the whole batch, whatever parts it is computed in.
                mass = sum(sum(row.weights[1:]) for row in batch)
                counted = sum(sum(row.weights[1:]) * row.share for row in batch)
                rate = rate_at(step, steps, peak, settings.warmup_steps, slow_end)
                for group in optimiser.param_groups:
                    group["lr"] = rate
                while True:
                    loss = 0.0
                    with memory.survive():
                        for part in micro_batches([row for row in batch if row.share], memory.way.tokens):
                            loss += _backward(model, part, mass)
                            yield None
                        if not math.isfinite(loss):
                            raise no_number()
                        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                        lost = 0 if torch.isfinite(norm) else lost + 1
                        if lost == MOST_LOST:
                            raise no_number()
                        if not lost:
                            optimiser.step()
                        break
                    memory.reduce(optimiser, step + 1)
                optimiser.zero_grad()
                step += 1
                total, share = total + loss * mass, share + counted
                told = loss * mass / counted if counted else 0.0  # a mean: machine texts weigh less in the gradient, and no less in this
                yield StepDone(step, steps, epoch, told, rate, sum(len(row.ids) for row in batch))
            yield EpochDone(epoch, total / share if share else 0.0)
    finally:
        optimiser.zero_grad()
        memory.close()
        model.eval()
