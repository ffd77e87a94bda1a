"""What a model can tell of a finished text, for the ranking: how likely it is under the base, and what it is about, as a few numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.encoding import encode_prompt
from core.model import Base
from core.protocol import Traits
from core.sampling import Text

PLACES = 32
"""Numbers that say what a text is about; a random projection to so many keeps the angles between a few hundred texts (Johnson and
Lindenstrauss)."""
WINDOW = 8
"""Tokens in a row whose mean is the text's weakest spot."""
LEAST = 2
"""Tokens of a text of which nothing can be told with fewer."""


class Reader:
    """Reads finished texts with the bare base. Call it in a form without the adapter."""

    def __init__(self, base: Base) -> None:
        self._model = base.model
        self._tokenizer = base.tokenizer
        width = base.model.config.get_text_config().hidden_size
        self._projection = torch.randn(width, PLACES, generator=torch.Generator().manual_seed(0)).to(base.device)

    @torch.inference_mode()
    def read(self, texts: Sequence[Text]) -> list[Traits]:
        """The traits of texts, by one forward over all of them, padded on the right. They are read without their prompt: a text's
        traits are then its own, whatever it was asked for, and a long prompt costs nothing."""
        begin = encode_prompt(self._tokenizer, [])[0]
        ids = [begin + self._tokenizer(text.text, add_special_tokens=False).input_ids for text in texts]
        long_enough = [row for row in ids if len(row) >= LEAST]
        told = iter(self._look(long_enough) if long_enough else [])
        found = []
        for text, row in zip(texts, ids, strict=True):
            base, place = next(told) if len(row) >= LEAST else (0.0, [])
            found.append(Traits(_mean(text.likelihoods), _weakest(text.likelihoods), base, place))
        return found

    def _look(self, ids: Sequence[list[int]]) -> list[tuple[float, list[float]]]:
        """Mean log-probability of the tokens from the second one on, and the place, of each text."""
        width, device = max(map(len, ids)), self._projection.device
        batch = torch.tensor([row + [0] * (width - len(row)) for row in ids], device=device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids], device=device)
        hidden = self._model.base_model(input_ids=batch, attention_mask=mask, use_cache=False).last_hidden_state
        pooled = torch.nn.functional.normalize((hidden.float() * mask.unsqueeze(-1)).sum(1), dim=-1)
        places = (pooled @ self._projection).tolist()
        head = self._model.get_output_embeddings()
        found = []
        for states, tokens, row, place in zip(hidden, batch, ids, places, strict=True):
            logits, target = head(states[: len(row) - 1]).float(), tokens[1 : len(row)]
            likelihood = (logits.gather(-1, target.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)).mean().item()
            found.append((round(likelihood, 3), [round(value, 3) for value in place]))
        return found


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 3) if values else 0.0


def _weakest(values: Sequence[float]) -> float:
    """The least mean of `WINDOW` values in a row."""
    starts = range(max(1, len(values) - WINDOW + 1))
    return min((_mean(values[start : start + WINDOW]) for start in starts), default=0.0)
