"""The preference stage, written out: direct preference optimisation (DPO, Rafailov et al. 2305.18290) on a few pairs, plus the ordinary
loss on the chosen texts, so that they do not become less likely on the way (Pang et al. 2404.19733).

The reference is the adapter as it is when the stage begins; its log-probabilities are made once, so no second model is needed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.config import Training
from core.errors import FlavorError
from core.protocol import Row
from core.runfiles import Pair
from core.stopping import steps_of
from core.worker.encoding import Encoded, encode_row
from core.worker.memory import StepMemory
from core.worker.training import EpochDone, StepDone, rate_at, token_losses


@dataclass(frozen=True)
class EncodedPair:
    """Both texts behind the same prompt. No token of the prompt counts, and the end token of the chosen text only: where a rejected
    text ended was not what was wrong with it, and one that was cut off has no end."""

    chosen: Encoded
    rejected: Encoded

    @property
    def tokens(self) -> int:
        return len(self.chosen.ids) + len(self.rejected.ids)

    @property
    def width(self) -> int:
        """Padded tokens of its forward."""
        return 2 * max(len(self.chosen.ids), len(self.rejected.ids))


def encode_pair(tokenizer: PreTrainedTokenizerBase, pair: Pair, end_weight: float) -> EncodedPair:
    """A pair as the model sees it; `end_weight` is that of the chosen text's end token in the ordinary loss."""
    prompt = [(text, 0.0) for text, _ in pair.prompt]
    return EncodedPair(
        encode_row(tokenizer, Row(pair.example, prompt, pair.chosen), end_weight),
        encode_row(tokenizer, Row(pair.candidate, prompt, pair.rejected), 0.0),
    )


@dataclass(frozen=True)
class Looks:
    """What the model makes of a pair: log-probability of both texts (nats), and the mean loss of the chosen one. Scalars."""

    chosen: torch.Tensor
    rejected: torch.Tensor
    loss: torch.Tensor


def look(model: PreTrainedModel, pair: EncodedPair) -> Looks:
    """One forward over both texts."""
    losses, weights = token_losses(model, [pair.chosen, pair.rejected], [pair.chosen.weights, pair.rejected.weights])
    size = sum(weight != 0 for weight in pair.chosen.weights[1:])
    chosen, rejected, weight = losses[:size], losses[size:], weights[:size]
    return Looks(-chosen.sum(), -rejected.sum(), (chosen * weight).sum() / weight.sum())


def preference_loss(now: Looks, before: Looks, beta: float) -> torch.Tensor:
    """-log sigmoid of beta times what the chosen text has gained on the rejected one since the reference; log 2 at the start."""
    gain = (now.chosen - before.chosen) - (now.rejected - before.rejected)
    return -F.logsigmoid(beta * gain)


@torch.no_grad()
def reference(model: PreTrainedModel, pairs: Sequence[EncodedPair]) -> Iterator[Looks]:
    """What the model makes of every pair before the stage begins."""
    for pair in pairs:
        yield look(model, pair)


def _backward(model: PreTrainedModel, pair: EncodedPair, before: Looks, beta: float, count: int) -> float:
    """Add the gradients of one of `count` pairs; its share of the loss."""
    now = look(model, pair)
    value = (preference_loss(now, before, beta) + now.loss) / count
    value.backward()
    return value.item()


def prefer(
    model: PreTrainedModel,
    parameters: list[torch.Tensor],
    pairs: Sequence[EncodedPair],
    settings: Training,
    *,
    epochs: int,
    peak: float,
    seed: int,
    memory: StepMemory | None = None,
) -> Generator[StepDone | EpochDone | None]:
    """Train `parameters` in place on `epochs` passes over the pairs. Yields after every step and pass, and None between the parts.
    `memory` says how steps are done, of which a pair is the least part; by default it is predicted here.

    To stop early or to cancel, stop iterating. Raises FlavorError where the loss is no longer a number, or memory does not suffice.
    """
    memory = memory or StepMemory(model, parameters, max(pair.width for pair in pairs))
    memory.begin()
    model.eval()
    before: list[Looks] = []
    for looks in reference(model, pairs):
        before.append(looks)
        yield None
    torch.manual_seed(seed)
    size = min(settings.batch_size, len(pairs))
    steps = steps_of(len(pairs), size, epochs)
    optimiser = torch.optim.AdamW(parameters, lr=peak, weight_decay=0.0, betas=(0.9, 0.99), fused=True)
    step = 0
    model.train()
    try:
        for epoch in range(1, epochs + 1):
            total = 0.0
            order = random.Random(f"{seed}-{epoch}").sample(range(len(pairs)), len(pairs))
            for batch in (order[start : start + size] for start in range(0, len(order), size)):
                rate = rate_at(step, steps, peak, settings.warmup_steps)
                for group in optimiser.param_groups:
                    group["lr"] = rate
                while True:
                    loss = 0.0
                    with memory.survive():
                        for at in batch:
                            loss += _backward(model, pairs[at], before[at], settings.taste_beta, len(batch))
                            yield None
                        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                        if not (math.isfinite(loss) and torch.isfinite(norm)):
                            raise FlavorError(
                                "The loss is no longer a number.", "Lower taste_rate in flavor.toml; the checkpoint before is kept.", "nan"
                            )
                        optimiser.step()
                        break
                    memory.reduce(optimiser, step + 1)
                optimiser.zero_grad()
                step, total = step + 1, total + loss * len(batch)
                yield StepDone(step, steps, epoch, loss, rate, sum(pairs[at].tokens for at in batch))
            yield EpochDone(epoch, total / len(pairs))
    finally:
        optimiser.zero_grad()
        memory.close()
        model.eval()
