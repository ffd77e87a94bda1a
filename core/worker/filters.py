"""What is done to the logits before a token is drawn: penalties that look at what was written, and filters that cut the tail.

The definitions and their order are llama.cpp's (penalties, top-n-sigma, top-k, top-p, min-p, XTC, temperature last), so that values
found elsewhere mean the same here; two are ours: XTC never removes an end token, and the end ramp.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np
import torch

from core.config import Sampling

NEVER = float("-inf")
SLACK = 1e-3
"""By which tokens at min-p's limit are taken along, so that rounding does not decide before `probabilities` does."""
COLDEST = 1e-30
"""A lower temperature is this one: the likeliest token's logarithm, divided by it, is still a number in 32 bits."""
HARDEST = 64.0
"""The natural logarithm of what DRY's base is raised to at most, as in llama.cpp: a long repetition is unlikely, and its logit stays a number."""
LEAST_LIKELY = 1e-3
"""Guidance leaves out what is less likely than this share of the likeliest token, where min-p is off."""


def guide(wanted: torch.Tensor, without: torch.Tensor, settings: Sampling) -> torch.Tensor:
    """Log-probabilities that lean towards what the attributes ask for: away from those after a prompt with other values (both rows x
    vocabulary), by `guidance` (classifier-free guidance, Sanchez et al. 2306.17806). Only tokens that min-p would keep of the
    prompt's own can come (contrastive decoding's rule, Li et al. 2210.15097): else what is merely odd without them would win."""
    own, other = wanted.log_softmax(-1), without.log_softmax(-1)
    possible = own >= own.amax(-1, keepdim=True) + math.log(max(settings.min_p, LEAST_LIKELY))
    return (own + settings.guidance * (own - other)).masked_fill(~possible, NEVER)


def dry_penalties(written: Sequence[int], breakers: Sequence[bool], settings: Sampling) -> dict[int, float]:
    """What DRY takes off the logit of each token that would prolong a repetition (p-e-w; llama.cpp's definition).

    `multiplier * base ** (length - allowed)` for a token that once followed the last `length` >= `allowed` tokens. `breakers[i]` says
    that `written[i]` (a newline, a colon, a quote, an asterisk) ends a repetition.
    """
    if not settings.dry_multiplier or len(written) < 2:
        return {}
    last = len(written) - 1
    limit = next((last - place for place in range(last, -1, -1) if breakers[place]), len(written))
    longest: dict[int, int] = {}
    for place in range(last):
        if written[place] != written[last]:
            continue
        length = 1
        while length <= place and length < limit and written[place - length] == written[last - length]:
            length += 1
        if min(length, limit) >= settings.dry_allowed_length:
            following = written[place + 1]
            longest[following] = max(longest.get(following, 0), min(length, limit))
    most = HARDEST / math.log(settings.dry_base) if settings.dry_base > 1 else math.inf
    return {
        token: settings.dry_multiplier * settings.dry_base ** min(length - settings.dry_allowed_length, most)
        for token, length in longest.items()
    }


def end_bonus(step: int, begin: float, settings: Sampling) -> float:
    """What the logit of an end gains `step` tokens into a text, where examples rarely go beyond `begin`: of the end token where a sentence
    has just ended, else of the tokens that close one."""
    return settings.end_ramp * max(0.0, step - begin) if begin else 0.0


def top_n_sigma(logits: torch.Tensor, n: float) -> torch.Tensor:
    """Keep what is at most `n` standard deviations of the row's logits below its largest one (Tang et al. 2411.07641)."""
    possible = logits > NEVER
    count = possible.sum(-1, keepdim=True)
    mean = logits.where(possible, 0).sum(-1, keepdim=True) / count
    deviation = (((logits - mean) ** 2).where(possible, 0).sum(-1, keepdim=True) / count).sqrt()
    return logits.masked_fill(logits < logits.amax(-1, keepdim=True) - n * deviation, NEVER)


def xtc(probabilities: torch.Tensor, uniform: torch.Tensor, settings: Sampling, ends: torch.Tensor) -> torch.Tensor:
    """Exclude top choices (p-e-w): in rows whose `uniform` is below the probability, drop all tokens that reach the threshold but the
    least likely one of them. An end token, where `ends` is true, stays: without it the text would not end where it should."""
    strong = probabilities >= settings.xtc_threshold
    least = probabilities.where(strong, 2.0).amin(-1, keepdim=True)
    drop = strong & (probabilities > least) & (uniform < settings.xtc_probability).unsqueeze(-1) & ~ends
    return probabilities.masked_fill(drop, 0)


def probabilities(
    logits: torch.Tensor, settings: Sampling, uniform: torch.Tensor | None = None, ends: torch.Tensor | None = None
) -> torch.Tensor:
    """From logits (rows x tokens) to the probabilities that are drawn from, float32; rows sum to 1. `uniform` (rows) and `ends` are for
    XTC."""
    logits = logits.float()
    if settings.temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    if settings.top_n_sigma:
        logits = top_n_sigma(logits, settings.top_n_sigma)
    found = torch.softmax(logits, -1)
    if settings.top_k and settings.top_k < found.shape[-1]:
        found = found.where(found >= found.topk(settings.top_k).values[:, -1:], 0)
    if settings.top_p < 1:
        ordered, order = found.sort(-1, descending=True)
        ordered = ordered.where(ordered.cumsum(-1) - ordered < settings.top_p * ordered.sum(-1, keepdim=True), 0)
        found = torch.zeros_like(found).scatter(-1, order, ordered)
    if settings.min_p:
        found = found.where(found >= settings.min_p * found.amax(-1, keepdim=True), 0)
    found = found / found.sum(-1, keepdim=True)
    if settings.xtc_probability and uniform is not None and ends is not None:
        found = xtc(found, uniform, settings, ends)
    if settings.temperature != 1:
        found = torch.softmax(found.log() / max(settings.temperature, COLDEST), -1)
    return found / found.sum(-1, keepdim=True)


def draw(found: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """One token a row by inversion: the first whose cumulative probability exceeds the row's uniform number in [0, 1)."""
    cumulative = found.cumsum(-1)
    picked = torch.searchsorted(cumulative, (uniform * cumulative[:, -1]).unsqueeze(-1), right=True).squeeze(-1)
    return picked.where(picked < found.shape[-1], found.argmax(-1))  # rounding may point past the last one


def likely(logits: torch.Tensor, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The tokens that min-p may keep: their ids, in order, and their logits (both rows x the most that a row has); what fills a row up has
    a logit of minus infinity. Of 49,152 tokens these are some dozens, and everything after costs nothing."""
    rows, width = logits.shape
    least = logits.amax(-1, keepdim=True) + (math.log(share) - SLACK)
    places = torch.from_numpy(np.flatnonzero((logits >= least).numpy()))  # ten times faster than torch's own
    row = places // width
    counts = torch.bincount(row, minlength=rows)
    column = torch.arange(len(places)) - torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    tokens = torch.zeros(rows, max(1, int(counts.max())), dtype=torch.long)
    few = torch.full(tokens.shape, NEVER)
    tokens[row, column], few[row, column] = places % width, logits.flatten()[places]
    return tokens, few


def pick(logits: torch.Tensor, settings: Sampling, uniform: torch.Tensor, exclude: torch.Tensor, ends: Sequence[int]) -> torch.Tensor:
    """One token a row, from logits (rows x vocabulary, float32, on the CPU). `uniform` and `exclude` (rows) are numbers in [0, 1): for the
    draw, and for XTC. No filter takes the last token of a row; one to which nothing is possible from the first ends, with the first of
    `ends`."""
    return _drawn(logits, settings, uniform, exclude, ends).where(can_go_on(logits), ends[0])


def can_go_on(logits: torch.Tensor) -> torch.Tensor:
    """Whether each row (of rows x vocabulary) has a token that can come."""
    return logits.amax(-1) > NEVER


def _drawn(logits: torch.Tensor, settings: Sampling, uniform: torch.Tensor, exclude: torch.Tensor, ends: Sequence[int]) -> torch.Tensor:
    if settings.min_p and settings.temperature and not (settings.top_k or settings.top_p < 1 or settings.top_n_sigma):
        tokens, few = likely(logits, settings.min_p)
        return tokens.gather(-1, draw(probabilities(few, settings, exclude, _among(tokens, ends)), uniform).unsqueeze(-1)).squeeze(-1)
    return draw(probabilities(logits, settings, exclude, _among(torch.arange(logits.shape[-1]), ends)), uniform)


def _among(tokens: torch.Tensor, ends: Sequence[int]) -> torch.Tensor:
    """Which of the tokens end a text: one comparison where one does, as with most bases."""
    return reduce(torch.logical_or, [tokens == end for end in ends])
