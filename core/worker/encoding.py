"""From rows to token ids: prompt, text and end token, tokenised apart and weighted by position; and how an epoch's rows are drawn."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.config import Training
from core.protocol import Row
from core.task import Segment, Task


@dataclass(frozen=True)
class Encoded:
    """A row as the model sees it. `weights[i]` is the loss weight of `ids[i]`; the text is `ids[start:end]`, then the end token."""

    row: str
    ids: list[int]
    weights: list[float]
    start: int
    end: int
    share: float = 1.0
    """By which its whole loss is multiplied."""


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of a person's text. What reads like a control token, an `</s>` or an `<|im_end|>`, is letters like any other: a model that met
    it as the token would learn to end there."""
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
    return ids


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Segment]) -> tuple[list[int], list[float]]:
    """Ids and loss weights of a prompt, segment by segment, after what the tokenizer puts before any text (its BOS, if any)."""
    ids = [token for token in tokenizer("").input_ids if token != tokenizer.eos_token_id or token == tokenizer.bos_token_id]
    weights = [0.0] * len(ids)
    for text, weight in prompt:
        part = encode_text(tokenizer, text)
        ids += part
        weights += [weight] * len(part)
    return ids, weights


def encode_row(tokenizer: PreTrainedTokenizerBase, row: Row, end_weight: float) -> Encoded:
    """Prompt, text (weight 1) and the end token (`end_weight`), tokenised apart and joined."""
    ids, weights = encode_prompt(tokenizer, row.prompt)
    text = encode_text(tokenizer, row.text)
    start = len(ids)
    return Encoded(row.id, [*ids, *text, tokenizer.eos_token_id], [*weights, *[1.0] * len(text), end_weight], start, start + len(text))


def longest(model: PreTrainedModel, max_tokens: int) -> int:
    """Tokens that a row may have: `max_tokens`, or the base's positions where it has fewer. Longer ones are left out of everything."""
    return min(max_tokens, getattr(model.config.get_text_config(), "max_position_embeddings", None) or max_tokens)


class Curriculum:
    """The rows of a run, drawn anew for each epoch: shuffled, repeated where they are new, some attributes dropped.

    The order and what is dropped depend on `seed` and the epoch alone.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], settings: Training, task: Task | None, seed: int) -> None:
        self._tokenizer = tokenizer
        self._rows = list(rows)
        self._settings = settings
        self._task = task
        self._seed = seed
        self._shares = {row.id: 1.0 for row in rows}
        self.size = sum(row.repeat for row in rows)
        """Rows in an epoch, repeats counted."""
        self._keep_human_share()

    def _keep_human_share(self) -> None:
        """Weigh accepted machine texts down, so that what people wrote or mended keeps its share of the loss.

        Machine text is a copy of a copy: trained on in any amount it narrows the model to its own habits. Bounded at 1 / golden ratio,
        0.618 of real data, training stays stable (He et al. 2502.18049; Ferbach et al. 2407.09499).
        """
        mass = {True: 0.0, False: 0.0}
        for row in self._rows:
            mass[row.human] += row.repeat * sum(encode_row(self._tokenizer, row, self._settings.end_weight).weights)
        share = self._settings.human_share
        most = mass[True] * (1 - share) / share if share else mass[False]
        if mass[True] and mass[False] > most:
            for row in self._rows:
                if not row.human:
                    self._shares[row.id] = most / mass[False]

    def _variant(self, row: Row, rng: random.Random) -> Row:
        """The row with some attribute lines dropped, or all: so that a prompt with any of them, or none, works."""
        names = list(row.fields)
        if self._task is None or not names:
            return row
        whole = rng.random() < self._settings.drop_attributes
        kept = {name: row.fields[name] for name in names if rng.random() >= self._settings.drop_attribute and not whole}
        return Row(row.id, self._task.segments(kept), row.text)

    def epoch(self, number: int) -> list[Encoded]:
        """The rows of epoch `number` (from 1), in the order they are trained on."""
        rng = random.Random(f"{self._seed}-{number}")
        drawn = [row for row in self._rows for _ in range(row.repeat)]
        rng.shuffle(drawn)
        found = []
        for row in drawn:
            encoded = encode_row(self._tokenizer, self._variant(row, rng), self._settings.end_weight)
            found.append(replace(encoded, share=self._shares[row.id]))
        return found
