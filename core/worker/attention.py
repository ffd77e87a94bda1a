"""Attention for training short texts on a CPU: a few plain products instead of torch's fused kernel, whose backward pass is made for
long ones. Of a text of 170 tokens one of the starter's layers takes 2.2 ms instead of 5.1, forwards and backwards; of 500 tokens 15 instead
of 19; of 1,000 it would take half as long again. In 32 bits both are alike at 170 tokens, and 500 would take 43 ms instead of 26
(`python -m bench.products`).
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "short-texts"
LONGEST, LONGEST_WIDE = 640, 200
"""Tokens of a text up to which plain products are the faster ones, in 16 and in 32 bits. Every pair of positions is held at once: for the
starter 7 MB in 16 bits, for one layer at a time."""
KEPT = 256
"""Tokens of a text up to which a layer keeps its probabilities for the backward pass: for the starter 3 MB a layer at most."""


class ShortAttention(torch.autograd.Function):
    """softmax(scale q k^T) v over the positions that are seen, its scores and probabilities rounded as transformers' eager attention does.

    q is (rows x heads x tokens x size), k and v (rows x shared heads x tokens x size), `seen` bools (rows or 1 x 1 x tokens x tokens), one
    tensor for all layers. Heads that share keys are taken as more positions, so nothing is repeated. Of texts of more than `KEPT` tokens
    the probabilities are made again for the backward pass, so a layer keeps nothing of tokens x tokens.
    """

    @staticmethod
    def _probabilities(q: torch.Tensor, k: torch.Tensor, seen: torch.Tensor, scale: float) -> torch.Tensor:
        """(rows x shared heads, group x tokens, tokens)."""
        rows, heads, tokens, size = q.shape
        shared = k.shape[1]
        queries = q.reshape(rows * shared, heads // shared * tokens, size)
        scores = q.new_empty(rows * shared, heads // shared * tokens, tokens)
        hidden = torch.zeros(seen.shape, dtype=q.dtype).masked_fill_(~seen, torch.finfo(q.dtype).min)
        scores.view(rows, heads, tokens, tokens).copy_(hidden)  # what the product is added to: it costs less than two passes after it
        return torch.softmax(scores.baddbmm_(queries, k.reshape(rows * shared, tokens, size).transpose(1, 2), alpha=scale), -1)

    @staticmethod
    def forward(ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, seen: torch.Tensor, scale: float) -> torch.Tensor:
        shares = ShortAttention._probabilities(q, k, seen, scale)
        ctx.save_for_backward(q, k, v, seen, *([shares] if len(q[0, 0]) <= KEPT else []))
        ctx.scale = scale
        return torch.bmm(shares, v.reshape(-1, *v.shape[2:])).view(q.shape)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q, k, v, seen, *kept = ctx.saved_tensors
        rows, heads, tokens, size = q.shape
        groups = (rows * k.shape[1], heads // k.shape[1] * tokens, size)
        keys, values = k.reshape(-1, tokens, size), v.reshape(-1, tokens, size)
        grad, queries = grads[0].reshape(groups), q.reshape(groups)
        shares = kept[0] if kept else ShortAttention._probabilities(q, k, seen, ctx.scale)
        to_values = torch.bmm(shares.transpose(1, 2), grad)
        to_shares = torch.bmm(grad, values.transpose(1, 2))
        to_scores = torch._softmax_backward_data(to_shares, shares, -1, shares.dtype).mul_(ctx.scale)
        to_keys = torch.bmm(to_scores.transpose(1, 2), queries)
        return torch.bmm(to_scores, keys).view(q.shape), to_keys.view(k.shape), to_values.view(v.shape), None, None


@functools.lru_cache(maxsize=8)
def _earlier(tokens: int) -> torch.Tensor:
    """What transformers says by no mask at all: everything up to the position itself is seen."""
    return torch.ones(1, 1, tokens, tokens, dtype=torch.bool).tril_()


def _forward(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers calls it: heads before tokens in, tokens before heads out."""
    tokens = query.shape[2]
    training = torch.is_grad_enabled() and query.requires_grad and not dropout
    told = attention_mask is None or attention_mask.dtype == torch.bool
    longest = LONGEST if query.element_size() == 2 else LONGEST_WIDE
    if not training or not told or key.shape[2] != tokens or tokens > longest or value.shape[-1] != query.shape[-1]:
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
        return found
    seen = _earlier(tokens) if attention_mask is None else attention_mask
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    out: torch.Tensor = ShortAttention.apply(query, key, value, seen, scale)  # type: ignore[no-untyped-call]
    return out.transpose(1, 2).contiguous(), None


def install(model: PreTrainedModel) -> None:
    """Let a model on the CPU, of a shape that attends to all earlier positions alike (`core/worker/decoding.py` says which), train so."""
    AttentionInterface.register(NAME, _forward)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
