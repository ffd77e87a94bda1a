"""What a checkpoint makes of texts, teacher-forced: their loss, whether it recites them, whether it knows where they end; and how far
it has drifted from the base. Given heading and fields, on the text alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.worker.encoding import Encoded
from core.worker.training import CHUNK, micro_batches, no_number, position_logits

RUN = 5
"""Right guesses in a row that count as reciting; fewer are grammar and luck."""
NEUTRAL = (
    "The bus to the harbour leaves every twenty minutes from the stop opposite the post office. On Sundays it runs once an hour.",
    "To make the dough, mix the flour with a pinch of salt, add the water little by little, and let it rest under a cloth.",
    "The library closes at six. Books can be returned at any time through the slot beside the main door.",
)
"""Plain prose of no task: what an adapter does to it is drift."""


@dataclass(frozen=True)
class RowMeasure:
    """One row's text: its summed loss (nats) over `tokens`, the share of them that is recited, and the probability of the end token at
    its true end and, at most, anywhere before."""

    row: str
    total: float
    tokens: int
    recited: float
    end: float
    early_end: float


def recited_share(right: Sequence[bool]) -> float:
    """Share of places that lie in runs of at least `RUN` right greedy guesses.

    The n-gram measure of memorisation (Slack & Al Moubayed 2510.11372), teacher-forced: it needs no sampling, and sees what the
    anti-copy filter would keep out of the samples.
    """
    runs = [len(list(places)) for guessed, places in groupby(right) if guessed]
    return sum(run for run in runs if run >= RUN) / len(right) if right else 0.0


@torch.no_grad()
def measure_rows(model: PreTrainedModel, rows: Sequence[Encoded], end: int) -> Iterator[list[RowMeasure]]:
    """Every row that has a text, some rows at a time. `end` is the end token's id; prompts do not count."""
    for part in micro_batches([row for row in rows if row.end > row.start]):
        inside = [[1.0 if row.start <= place <= row.end else 0.0 for place in range(len(row.ids))] for row in part]
        logits, target, _ = position_logits(model, part, inside)
        found = [
            torch.cat(values) for values in zip(*map(_looks, logits.split(CHUNK), target.split(CHUNK), [end] * len(target)), strict=False)
        ]
        sizes = [row.end - row.start + 1 for row in part]
        yield [_row(row, *values) for row, values in zip(part, zip(*(values.split(sizes) for values in found), strict=True), strict=True)]


def _looks(logits: torch.Tensor, target: torch.Tensor, end: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Loss, whether the greedy guess is right, and the end token's probability, at every position."""
    scores = logits.float().log_softmax(-1)
    loss = -scores.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    return loss, scores.argmax(-1) == target, scores[:, end].exp()


def _row(row: Encoded, loss: torch.Tensor, right: torch.Tensor, ends: torch.Tensor) -> RowMeasure:
    """A row's measure from its text's positions and, last, that of the end token."""
    early = ends[:-1].max().item() if len(ends) > 1 else 0.0
    return RowMeasure(row.row, loss[:-1].sum().item(), len(loss) - 1, recited_share(right[:-1].tolist()), ends[-1].item(), early)


def mean(measures: Sequence[RowMeasure]) -> float:
    """Nats per token over all texts. Raises FlavorError where that is no number: no message could carry it."""
    found = sum(row.total for row in measures) / max(1, sum(row.tokens for row in measures))
    if not math.isfinite(found):
        raise no_number()
    return found


@torch.no_grad()
def neutral_scores(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[torch.Tensor]:
    """Log-probabilities (positions x vocabulary, float16) of each neutral text: what drift is measured between."""
    found = []
    for text in NEUTRAL:
        ids = torch.tensor([tokenizer(text, add_special_tokens=False).input_ids], device=model.device)
        found.append(model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(-1).half())
    return found


def drift(now: Sequence[torch.Tensor], base: Sequence[torch.Tensor]) -> float:
    """KL divergence of the base from what the adapter made of it, nats a token, over all neutral texts."""
    total = sum((one.float().exp() * (one.float() - two.float())).sum().item() for one, two in zip(now, base, strict=True))
    return total / sum(len(one) for one in now)
