"""Attention for training short texts on a CPU: a few plain products instead of torch's fused kernel, whose backward pass is made for
long ones. Of a text of 170 tokens one of the starter's layers takes 2.2 ms instead of 5.1, forwards and backwards; of 500 tokens 15 instead
of 19; of 1,000 it would take half as long again (`python -m bench.products`).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "short-texts"
Spans = Sequence[tuple[int, int]]
"""Where each text begins and ends in a row of tokens that holds several, one after another."""
LONGEST = 640
"""Tokens of a text up to which plain products are the faster ones. Every pair of positions is held at once: for the starter 7 MB, for one
layer at a time."""

KEPT = 256
"""Tokens of a text up to which a layer keeps its probabilities for the backward pass: for the starter 3 MB a layer at most."""


def _shares(queries: torch.Tensor, keys: torch.Tensor, scale: float) -> torch.Tensor:
    """softmax(scale q k^T) of one text over what is not later, in the shape of the scores: queries (shared heads x group * tokens x size), keys
    (shared heads x tokens x size)."""
    tokens = keys.shape[1]
    scores = queries.new_empty(*queries.shape[:2], tokens)
    scores.view(len(keys), -1, tokens, tokens).copy_(_later(tokens, queries.dtype))  # what the product is added to: it costs less than
    return torch.softmax(scores.baddbmm_(queries, keys.transpose(1, 2), alpha=scale), -1)  # two passes after it


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, spans: Spans, scale: float) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """What every head sees of its own text, in q's shape, and what `attend_backward` wants: q is (tokens x heads x size), k and v (tokens x
    shared heads x size), each head of k for as many of q as there are to one.

    Scores and probabilities are rounded as transformers' eager attention does. Heads that share keys are taken as more positions, so nothing
    is repeated. Of texts of more than `KEPT` tokens the probabilities are made again, so a layer keeps nothing of tokens x tokens.
    """
    tokens, heads, size = q.shape
    shared = k.shape[1]
    out, kept = q.new_empty(tokens, heads, size), []
    for start, end in spans:
        length = end - start
        queries = q[start:end].view(length, shared, -1, size).permute(1, 2, 0, 3).reshape(shared, -1, size).contiguous()
        keys, values = (part[start:end].transpose(0, 1).contiguous() for part in (k, v))
        shares = _shares(queries, keys, scale)
        seen = torch.bmm(shares, values).view(shared, -1, length, size)
        out[start:end].view(length, shared, -1, size).copy_(seen.permute(2, 0, 1, 3))
        kept += [queries, keys, values, shares if length <= KEPT else shares.new_empty(0)]
    return out, kept


def attend_backward(grad: torch.Tensor, kept: Sequence[torch.Tensor], spans: Spans, shared: int, scale: float) -> torch.Tensor:
    """The gradients of q, k and v, side by side: tokens x (heads + 2 shared) x size."""
    tokens, heads, size = grad.shape
    out = grad.new_empty(tokens, heads + 2 * shared, size)
    for at, (start, end) in enumerate(spans):
        queries, keys, values, shares = kept[4 * at : 4 * at + 4]
        length = end - start
        if not len(shares):
            shares = _shares(queries, keys, scale)
        to_seen = grad[start:end].view(length, shared, -1, size).permute(1, 2, 0, 3).reshape(shared, -1, size)
        to_shares = torch.bmm(to_seen, values.transpose(1, 2))
        to_scores = torch._softmax_backward_data(to_shares, shares, -1, shares.dtype).mul_(scale)
        part = out[start:end]
        to_queries = torch.bmm(to_scores, keys).view(shared, -1, length, size)
        part[:, :heads].view(length, shared, -1, size).copy_(to_queries.permute(2, 0, 1, 3))
        part[:, heads : heads + shared] = torch.bmm(to_scores.transpose(1, 2), queries).transpose(0, 1)
        part[:, heads + shared :] = torch.bmm(shares.transpose(1, 2), to_seen).transpose(0, 1)
    return out


class ShortAttention(torch.autograd.Function):
    """`attend` in transformers' order: q is (1 x heads x tokens x size), k and v (1 x shared heads x tokens x size)."""

    @staticmethod
    def forward(ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, spans: Spans, scale: float) -> torch.Tensor:
        seen, kept = attend(q[0].transpose(0, 1), k[0].transpose(0, 1), v[0].transpose(0, 1), spans, scale)
        ctx.save_for_backward(*kept)
        ctx.about = spans, q.shape[1], k.shape[1], scale
        return seen.transpose(0, 1)[None]

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        spans, heads, shared, scale = ctx.about
        found = attend_backward(grads[0][0].transpose(0, 1), ctx.saved_tensors, spans, shared, scale)
        return *(part.transpose(0, 1)[None] for part in torch.split(found, [heads, shared, shared], 1)), None, None


@functools.lru_cache(maxsize=2)
def _all_later(tokens: int, kind: torch.dtype) -> torch.Tensor:
    return torch.full((tokens, tokens), torch.finfo(kind).min, dtype=kind).triu_(1)


def _later(tokens: int, kind: torch.dtype) -> torch.Tensor:
    """What is added to the scores of a text: a number so low that nothing later is seen. A part of that of the longest text."""
    return _all_later(max(tokens, LONGEST), kind)[:tokens, :tokens]


def _forward(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    spans: Spans | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers calls it: heads before tokens in, tokens before heads out. With `spans` one row holds several texts, and the mask says
    nothing."""

    def fused(mask: torch.Tensor | None, *parts: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = sdpa_attention_forward(module, *parts, mask, dropout=dropout, scaling=scaling, **others)[0]
        return out

    if spans is None:
        return fused(attention_mask, query, key, value), None
    if dropout or value.shape[-1] != query.shape[-1] or not fit(spans):
        return torch.cat([fused(None, *(part[:, :, start:end] for part in (query, key, value))) for start, end in spans], 1), None
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    out: torch.Tensor = ShortAttention.apply(query, key, value, spans, scale)  # type: ignore[no-untyped-call]
    return out.transpose(1, 2).contiguous(), None


def fit(spans: Spans) -> bool:
    """Whether plain products are the faster ones for all of these texts."""
    return max(end - start for start, end in spans) <= LONGEST


def spans_of(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Where texts of these lengths begin and end."""
    ends = list(itertools.accumulate(lengths))
    return [(end - length, end) for length, end in zip(lengths, ends, strict=True)]


def takes_spans(model: PreTrainedModel) -> bool:
    """Whether a forward of this model may be told `spans`."""
    return bool(model.config._attn_implementation == NAME)


def install(model: PreTrainedModel) -> None:
    """Let a model on the CPU, of a shape that attends to all earlier positions alike (`core/decoding.py` says which), train so."""
    AttentionInterface.register(NAME, _forward)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
