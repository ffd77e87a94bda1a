"""Texts from prompts, many at once: our own decode loop over the model's cache.

Each text draws from a generator of its own, so a batch's candidates differ by seed alone; finished rows leave the batch at once.
A batch sampled again with the same prompts, seeds, settings and adapter gives the same texts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from core.config import Sampling
from core.task import Segment
from core.text import clean
from core.training import encode_prompt


@dataclass(frozen=True)
class Text:
    """A finished text: the prompt's `index` in the batch, and whether it ended by itself (stop) or was cut off (length)."""

    index: int
    text: str
    finish: str
    tokens: int
    cut_at_heading: bool


@dataclass(frozen=True)
class Tick:
    """One more token for every row that is still going; `first` seconds after the start came the first one."""

    first: float


def filter_logits(logits: torch.Tensor, settings: Sampling) -> torch.Tensor:
    """Probabilities (rows x vocabulary, float32) after temperature, top-k, min-p and top-p, in this order. Rows sum to 1."""
    if settings.temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    probabilities = torch.softmax(logits.float() / settings.temperature, -1)
    if settings.top_k and settings.top_k < probabilities.shape[-1]:
        least = probabilities.topk(settings.top_k).values[:, -1:]
        probabilities = probabilities.where(probabilities >= least, 0)
    if settings.min_p:
        probabilities = probabilities.where(probabilities >= settings.min_p * probabilities.max(-1, keepdim=True).values, 0)
    if settings.top_p < 1:
        ordered, order = probabilities.sort(-1, descending=True)
        ordered = ordered.where(ordered.cumsum(-1) - ordered < settings.top_p * ordered.sum(-1, keepdim=True), 0)
        probabilities = torch.zeros_like(probabilities).scatter(-1, order, ordered)
    return probabilities / probabilities.sum(-1, keepdim=True)


def draw(probabilities: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """One token a row by inversion: the first whose cumulative probability exceeds the row's uniform number in [0, 1)."""
    cumulative = probabilities.cumsum(-1)
    picked = torch.searchsorted(cumulative, (uniform * cumulative[:, -1]).unsqueeze(-1), right=True).squeeze(-1)
    return picked.where(picked < probabilities.shape[-1], probabilities.argmax(-1))  # rounding may point past the last one


class Sampler:
    """Samples from one model. Made once for a loaded base; holds what is known of its tokenizer."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.end = tokenizer.eos_token_id
        size = model.get_input_embeddings().weight.shape[0]
        pieces = tokenizer.convert_ids_to_tokens(list(range(min(size, len(tokenizer)))))
        self._hash = torch.tensor([piece is not None and "#" in str(piece) for piece in pieces] + [False] * (size - len(pieces)))

    @torch.inference_mode()
    def sample(self, prompts: list[list[Segment]], seeds: list[int], settings: Sampling) -> Iterator[Text | Tick]:
        """A `Tick` for every step of the batch and a `Text` for every prompt as it ends. To cancel, stop iterating."""
        began = time.perf_counter()
        device = self.model.device
        encoded = [encode_prompt(self.tokenizer, prompt)[0] for prompt in prompts]
        width = max(map(len, encoded))
        ids = torch.tensor([[self.end] * (width - len(row)) + row for row in encoded], device=device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in encoded], device=device)
        uniform = torch.stack([torch.rand(settings.max_tokens, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        cache = DynamicCache(config=self.model.config)
        rows = list(range(len(prompts)))
        written: list[list[int]] = [[] for _ in prompts]
        # The last place by its index: a slice leaves a view, for which torch copies the output matrix once a row.
        last = torch.tensor([width - 1], device=device)
        logits = self.model(input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, logits_to_keep=last).logits[
            :, -1
        ]
        next_position = positions[:, -1:] + 1
        for step in range(settings.max_tokens):
            picked = draw(filter_logits(logits.cpu(), settings), uniform[rows, step])
            done = []
            hashes = self._hash[picked].tolist()
            for place, (row, token) in enumerate(zip(rows, picked.tolist(), strict=True)):
                if token == self.end:
                    done.append(place)
                    yield self._text(row, written[row], "stop")
                    continue
                written[row].append(token)
                if hashes[place] and (cut := self._cut(written[row])) is not None:
                    done.append(place)
                    yield Text(row, cut, "stop", len(written[row]), True)
                elif len(written[row]) == settings.max_tokens:
                    done.append(place)
                    yield self._text(row, written[row], "length")
            yield Tick(time.perf_counter() - began)
            if len(done) == len(rows):
                return
            if done:
                keep = torch.tensor([place for place in range(len(rows)) if place not in done], device=device)
                rows = [rows[place] for place in keep.tolist()]
                cache.batch_select_indices(keep)
                mask, next_position, picked = mask[keep], next_position[keep], picked[keep.cpu()]
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], -1)
            logits = self.model(
                input_ids=picked.to(device).unsqueeze(-1), attention_mask=mask, position_ids=next_position, past_key_values=cache
            ).logits[:, -1]
            next_position = next_position + 1

    def _decode(self, tokens: list[int]) -> str:
        return clean(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def _text(self, row: int, tokens: list[int], finish: str) -> Text:
        return Text(row, self._decode(tokens).strip(), finish, len(tokens), False)

    def _cut(self, tokens: list[int]) -> str | None:
        """The text before a new heading, if one has begun: the task's next heading is an end as good as the end token."""
        text = self._decode(tokens)
        place = text.find("\n#")
        return text[:place].strip() if place >= 0 else None
