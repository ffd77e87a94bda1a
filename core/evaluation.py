"""Loss on rows the model was not trained on: on the text alone, given its heading and fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from core.training import Encoded, micro_batches, token_losses


@dataclass(frozen=True)
class RowLoss:
    """Summed loss (nats) over the `tokens` of one row's text."""

    row: str
    total: float
    tokens: int


def text_losses(model: PreTrainedModel, rows: Sequence[Encoded]) -> Iterator[list[RowLoss]]:
    """The loss of every row's text, some rows at a time. Prompt and end token do not count."""
    with torch.no_grad():
        for part in micro_batches([row for row in rows if row.end > row.start]):
            inside = [[1.0 if row.start <= place < row.end else 0.0 for place in range(len(row.ids))] for row in part]
            losses, _ = token_losses(model, part, inside)
            sizes = [row.end - row.start for row in part]
            yield [RowLoss(row.row, chunk.sum().item(), size) for row, chunk, size in zip(part, losses.split(sizes), sizes, strict=True)]


def mean(losses: Sequence[RowLoss]) -> float:
    """Nats per token over all texts."""
    return sum(row.total for row in losses) / max(1, sum(row.tokens for row in losses))
