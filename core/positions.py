"""What a model says at the positions that count: their hidden states or logits, and their losses.

At 49,152 words the logits are the largest tensor of a step, so they are made for these positions only, and where the output matrix is known
to be a plain one a part of them at a time: the loss goes back through it as it is made, and no whole tensor of positions x vocabulary is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel

from core.attention import spans_of, takes_spans
from core.encoding import Encoded
from core.fit import HEAD_POSITIONS

CHUNK = 64
"""Positions whose float32 probabilities are held at once."""
CACHED = 8
"""The same on a CPU, where they fit its cache."""
MOSTLY = 0.8
"""Share of a micro-batch's positions from which on the loss of all of them is computed: to leave the others out costs more."""
_NO_MASK = torch.ones(1, 1, 1, 1, dtype=torch.bool)
"""What transformers takes for a mask of the caller's own, and hands on: spans say what is seen."""


def _parts(logits: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
    """Some rows, and where their float32 numbers may be: one small place that is used again and again, as fast as the processor's cache."""
    size = CACHED if logits.device.type == "cpu" else CHUNK
    place = torch.empty(min(size, len(logits)), logits.shape[-1], device=logits.device)
    for start in range(0, len(logits), size):
        yield slice(start, start + size), place[: len(logits) - start]


class TokenLoss(torch.autograd.Function):
    """Cross-entropy of each row of `logits` (positions x vocabulary, any float type) against `target`, in float32, a few rows at a time.

    Keeps the logits and one number a row: a third of the memory of `F.cross_entropy(logits.float())`.
    """

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        wanted = target.unsqueeze(-1)
        losses = torch.empty(len(logits), 1, device=logits.device)
        for part, place in _parts(logits):
            torch.log_softmax(logits[part], -1, dtype=torch.float32, out=place)
            torch.gather(place, 1, wanted[part], out=losses[part])
        losses.neg_()
        ctx.save_for_backward(logits, wanted, logits.gather(1, wanted).float() + losses)
        return losses.squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        logits, wanted, norms = ctx.saved_tensors
        out, weight = torch.empty_like(logits), grads[0].unsqueeze(-1)
        for part, place in _parts(logits):
            torch.sub(logits[part], norms[part], out=place).exp_()
            place.scatter_add_(1, wanted[part], -torch.ones_like(wanted[part], dtype=place.dtype))
            torch.mul(place, weight[part], out=out[part])
        return out, None


class HeadLoss(torch.autograd.Function):
    """Cross-entropy of each of `states` (positions x width) behind the frozen output matrix `head` (vocabulary x width), in float32.

    The gradient of the states is made together with the loss, `HEAD_POSITIONS` positions at a time (Hsu et al. 2410.10989), and is all that is kept.
    """

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, head: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        wanted, losses = target.unsqueeze(-1), torch.empty(len(states), 1, device=states.device)
        gradients = torch.empty_like(states) if ctx.needs_input_grad[0] else None
        size = math.ceil(len(states) / max(1, math.ceil(len(states) / HEAD_POSITIONS))) or 1  # parts of one size
        for start in range(0, len(states), size):
            part = slice(start, start + size)
            logits = F.linear(states[part], head)
            for rows, place in _parts(logits):
                torch.log_softmax(logits[rows], -1, dtype=torch.float32, out=place)
                torch.gather(place, 1, wanted[part][rows], out=losses[part][rows])
                if gradients is not None:
                    place.exp_().scatter_add_(1, wanted[part][rows], -torch.ones_like(wanted[part][rows], dtype=place.dtype))
                    logits[rows] = place
            if gradients is not None:
                torch.mm(logits, head, out=gradients[part])
        ctx.save_for_backward(gradients)
        return losses.neg_().squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradients,) = ctx.saved_tensors
        return (gradients * grads[0].unsqueeze(-1)).to(gradients.dtype), None, None


@dataclass(frozen=True)
class Positions:
    """Every position of some rows whose weight is not 0 (and with `spare` some others), flat, row after row: what the model made of it, the
    token that follows, its weight."""

    states_or_logits: torch.Tensor
    """Logits (positions x vocabulary); with a `head` the states (positions x width) that it makes logits of."""
    target: torch.Tensor
    weight: torch.Tensor
    head: torch.Tensor | None = None

    def losses(self) -> torch.Tensor:
        """Cross-entropy (nats, float32)."""
        found: torch.Tensor = (
            TokenLoss.apply(self.states_or_logits, self.target)  # type: ignore[no-untyped-call]
            if self.head is None
            else HeadLoss.apply(self.states_or_logits, self.head, self.target)  # type: ignore[no-untyped-call]
        )
        return found

    def logits(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Logits and targets, `CHUNK` positions at a time."""
        for made, target in zip(torch.split(self.states_or_logits, HEAD_POSITIONS), torch.split(self.target, HEAD_POSITIONS), strict=True):
            logits = made if self.head is None else F.linear(made, self.head)
            yield from zip(torch.split(logits, CHUNK), torch.split(target, CHUNK), strict=True)


def forward_positions(
    model: PreTrainedModel, rows: Sequence[Encoded], weights: Sequence[Sequence[float]], spare: bool = False
) -> Positions:
    """One forward over all rows. With `spare` there are also positions that have no weight, where that is faster."""
    head = model.get_output_embeddings()
    if takes_spans(model) and head.weight.is_floating_point() and head.bias is None:
        return _one_after_another(model, rows, weights)
    return _padded(model, rows, weights, spare)


def _one_after_another(model: Any, rows: Sequence[Encoded], weights: Sequence[Sequence[float]]) -> Positions:
    """Without padding, for a model that takes spans; one of Llama's shape, whose logits are a plain product of its states."""
    lengths = [len(row.ids) for row in rows]
    ids = torch.tensor([token for row in rows for token in row.ids])
    places = torch.tensor([place for length in lengths for place in range(length)])
    weight = torch.tensor([part for w in weights for part in (*w[1:], 0.0)])  # of what follows each token: nothing after the last
    needed = weight.nonzero().squeeze(-1)
    states = model.model(
        input_ids=ids[None], position_ids=places[None], attention_mask=_NO_MASK, use_cache=False, spans=spans_of(lengths)
    ).last_hidden_state[0]
    return Positions(states[needed], ids[needed + 1], weight[needed], model.get_output_embeddings().weight)


def _padded(model: PreTrainedModel, rows: Sequence[Encoded], weights: Sequence[Sequence[float]], spare: bool) -> Positions:
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
        return Positions(logits.flatten(0, 1), target.flatten(), weight.flatten())
    return Positions(logits[chosen], target[chosen], weight[chosen])
