"""NF4 codes chosen by what they do to the model, not by rounding each weight: GPTQ (Frantar et al. 2210.17323) on texts of its own.

Rounding every weight of a small model to four bits costs it much: the starter's loss on unseen texts rises by 0.23 to 0.28 nats a token.
Here the columns of a matrix are rounded one after another, and what a rounding changes is made up for in the columns that
are not rounded yet, weighted by how the model uses them. Two thirds of the cost go, at the same memory. `bench.fourbit` measures it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from core.config import Sampling
from core.worker.codes import BLOCK, Codes, keep, packed
from core.worker.products import quick_linears
from core.worker.sampling import Sampler, Text

OPENINGS = (
    "The", "In the", "Once", "To make", "She said", "There are", "It was", "When you", "My", "Dear", "If", "A short history of", "How to",
    "We", "After", "His", "Every morning", "At the end of", "Some people", "I", "Yesterday", "They", "What is", "On the table",
)  # fmt: skip
"""How the texts begin that the model writes for its own calibration."""
TOKENS = 160
"""Length of each of them."""
TOLD = 16
"""Tokens of each after which it is said how far they are."""
DAMPING = 0.05
"""Of the mean of the Hessian's diagonal, added to it."""
SHRINKS = (1.0, 0.95, 0.9, 0.85, 0.8)
"""Scales that are tried for a block, as shares of its largest weight: a smaller one rounds the many better, and cuts the few."""
WRITING, CALIBRATING = "preparing 4 bits (once), 1 of 2", "calibrating 4 bits (once), 2 of 2"

Progress = tuple[str, float | None]


def _levels(device: torch.device) -> torch.Tensor:
    """The sixteen values of NF4, ascending."""
    from bitsandbytes.functional import get_4bit_type

    levels: torch.Tensor = get_4bit_type("nf4", device=device).float()
    return levels


def own_texts(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Iterator[float | list[list[int]]]:
    """Texts that the model writes itself: what it will be used on, in whatever language it was made for. The share that is written, and last
    their token ids."""
    sampler = Sampler(model, tokenizer)
    settings = Sampling(max_tokens=TOKENS, dry_multiplier=0, max_copied_tokens=0)
    prompts = [[(opening, 0.0)] for opening in OPENINGS]
    texts: list[Text] = []
    ticks = 0
    for event in sampler.sample(prompts, list(range(len(OPENINGS))), settings):
        if isinstance(event, Text):
            texts.append(event)
        else:
            ticks += 1
            if ticks % TOLD == 0:
                yield min(1.0, ticks / TOKENS)
    yield [tokenizer(f"{OPENINGS[text.index]} {text.text.strip()}").input_ids for text in texts]


class _Stop(Exception):
    pass


def _first_inputs(model: PreTrainedModel, layers: nn.ModuleList, texts: list[list[int]]) -> list[tuple[torch.Tensor, list[dict[str, Any]]]]:
    """What the first decoder layer is called with, for each text: hidden states (1 x length x width); and what each layer is called with
    besides, by name. Layers of several kinds, with a window and without one, get positions and masks of their own."""
    kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or [])
    watched = list(layers) if len(kinds) > 1 else [layers[0]]
    found: list[tuple[torch.Tensor, list[dict[str, Any]]]] = []

    def catch(layer: nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        hidden = args[0] if args else given["hidden_states"]
        if layer is watched[0]:
            found.append((hidden, []))
        besides = {name: value for name, value in given.items() if name != "hidden_states"}
        found[-1][1].append({**besides, "past_key_values": None, "use_cache": False})
        if layer is watched[-1]:
            raise _Stop

    handles = [layer.register_forward_pre_hook(catch, with_kwargs=True) for layer in watched]
    try:
        for ids in texts:
            try:
                model(input_ids=torch.tensor([ids], device=model.device), use_cache=False)
            except _Stop:
                continue
    finally:
        for handle in handles:
            handle.remove()
    return [(hidden, given if len(watched) > 1 else given * len(layers)) for hidden, given in found]


def _sharing(layer: nn.Module, hidden: torch.Tensor, given: dict[str, Any]) -> list[list[nn.Linear]]:
    """The linear layers in `layer` that can be calibrated, those that are given the very same input together."""
    linears = [module for module in layer.modules() if isinstance(module, nn.Linear) and module.in_features % BLOCK == 0]
    seen: list[tuple[torch.Tensor, list[nn.Linear]]] = []

    def note(module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(module, nn.Linear)
        if any(module in group for _, group in seen):  # called twice in one layer
            return
        for known, group in seen:
            if known is args[0]:
                group.append(module)
                return
        seen.append((args[0], [module]))

    handles = [linear.register_forward_pre_hook(note) for linear in linears]
    try:
        layer(hidden, **given)
    finally:
        for handle in handles:
            handle.remove()
    met = {linear for _, group in seen for linear in group}
    return [*(group for _, group in seen), *([linear] for linear in linears if linear not in met)]


def _hessian(linear: nn.Linear, device: torch.device) -> tuple[torch.Tensor, Any]:
    """X^T X over all inputs that `linear` will see (in x in), summed by a hook; and the hook's handle."""
    total = torch.zeros(linear.in_features, linear.in_features, device=device)

    def add(_: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        x = args[0].detach().flatten(0, -2).float()
        total.addmm_(x.t(), x)

    return total, linear.register_forward_pre_hook(add)


class _Levels:
    """The sixteen values of NF4, ascending, and which of them is nearest to a number."""

    CELLS = 256
    """Of the numbers from -1 to 1; none holds two of the middles between levels."""

    def __init__(self, device: torch.device) -> None:
        self.values = _levels(device)
        self.middles = (self.values[1:] + self.values[:-1]) / 2
        cells = self._cell(self.middles)
        self._below = torch.searchsorted(cells, torch.arange(self.CELLS + 1, device=device, dtype=cells.dtype)).to(torch.uint8)
        self._middle = torch.full((self.CELLS + 1,), torch.inf, device=device).scatter_(0, cells.long(), self.middles)

    def _cell(self, numbers: torch.Tensor) -> torch.Tensor:
        return ((numbers.nan_to_num(0.0).clamp(-1, 1) + 1) * (self.CELLS // 2)).to(torch.int32)

    def nearest(self, numbers: torch.Tensor) -> torch.Tensor:
        """The index of the nearest level (in the shape of `numbers`); of two as near the lower one."""
        return torch.bucketize(numbers, self.middles)

    def nearest_of_many(self, numbers: torch.Tensor) -> torch.Tensor:
        """The same from a table (uint8), which costs more calls and a quarter of the time of so many searches."""
        flat = numbers.flatten()
        cells = self._cell(flat)
        return (self._below.index_select(0, cells) + (flat > self._middle.index_select(0, cells))).view(numbers.shape)

    def value(self, codes: torch.Tensor) -> torch.Tensor:
        """What codes stand for, in their shape."""
        flat = codes.flatten()
        return self.values.index_select(0, flat.int() if flat.dtype == torch.uint8 else flat).view(codes.shape)


def _scales(weights: torch.Tensor, importance: torch.Tensor, levels: _Levels) -> torch.Tensor:
    """The scale of each column of a block (64 x out): of those tried, the one with the least error, weighted by `importance` (64 x 1)."""
    largest = weights.abs().amax(0).clamp(min=1e-8)
    best = torch.full_like(largest, float("inf"))
    scales = largest
    for shrink in SHRINKS:
        scale = largest * shrink
        error = ((levels.value(levels.nearest_of_many(weights / scale)) * scale - weights) ** 2 * importance).sum(0)
        scales = torch.where(error < best, scale, scales)
        best = torch.minimum(error, best)
    return scales


def _upper_root_of_inverse(hessian: torch.Tensor) -> torch.Tensor:
    """The upper triangular U with U^T U = H^-1: of H with its rows and columns turned round, the inverse of the Cholesky factor, turned back."""
    lower = torch.linalg.cholesky(hessian.flip(0, 1))
    unit = torch.eye(len(hessian), device=hessian.device)
    root: torch.Tensor = torch.linalg.solve_triangular(lower, unit, upper=False)
    return root.flip(0, 1)


def choose_codes(weight: torch.Tensor, hessian: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes (uint8, out x in) and scales (float32, out x in / 64) of one matrix, given X^T X of its inputs (in x in).

    Works on the transposed matrix, where a column lies in one piece. What the roundings of a block change in its next column is added up
    when its turn comes.
    """
    levels = _Levels(weight.device)
    left = weight.float().t().contiguous()
    width, out = left.shape
    hessian = hessian + torch.eye(width, device=hessian.device) * (hessian.diagonal().mean() * DAMPING + 1e-6)
    inverse = _upper_root_of_inverse(hessian)
    importance = hessian.diagonal().unsqueeze(1)
    codes = torch.empty(width, out, dtype=torch.uint8, device=left.device)
    scales = torch.empty(width // BLOCK, out, device=left.device)
    for start in range(0, width, BLOCK):
        inside = slice(start, start + BLOCK)
        block, scale = left[inside], _scales(left[inside], importance[inside], levels)
        spread = inverse[inside] / inverse[inside, inside].diagonal().unsqueeze(1)  # of a column's error, over the columns behind it
        within = spread[:, inside].t().contiguous()
        errors = torch.empty_like(block)
        for place in range(BLOCK):
            column = torch.addmv(block[place], errors[:place].t(), within[place, :place], alpha=-1)
            code = levels.nearest(column / scale)
            torch.addcmul(column, levels.value(code), scale, value=-1, out=errors[place])
            codes[start + place] = code
        left[start + BLOCK :].addmm_(spread[:, start + BLOCK :].t(), errors, alpha=-1)
        scales[start // BLOCK] = scale
    return codes.t().contiguous(), scales.t().contiguous()


def dequantised(codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """The weights (float32, out x in) that codes and scales stand for."""
    return _levels(codes.device)[codes.int()] * scales.repeat_interleave(BLOCK, 1)


@torch.no_grad()
def calibrate(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Iterator[Progress | Codes]:
    """Codes for all linear layers of a 16-bit model: progress, and last the codes. Its weights are rounded in place on the way, layer
    after layer, so that each one is fitted to what the ones before it became."""
    with quick_linears(model):
        texts: list[list[int]] = []
        yield WRITING, None
        for part in own_texts(model, tokenizer):
            if isinstance(part, float):
                yield WRITING, part
            else:
                texts = part
        layers = model.get_decoder().layers
        names = {module: name for name, module in model.named_modules()}
        inputs = _first_inputs(model, layers, texts)
        found: Codes = {}
        for number, layer in enumerate(layers):
            yield CALIBRATING, number / len(layers)
            first, besides = inputs[0]
            watched = [(group, *_hessian(group[0], model.device)) for group in _sharing(layer, first, besides[number])]
            for hidden, given in inputs:
                layer(hidden, **given[number])
            for group, hessian, handle in watched:
                handle.remove()
                chosen = choose_codes(torch.cat([linear.weight for linear in group]), hessian)
                heights = [linear.out_features for linear in group]
                for linear, codes, scales in zip(group, *(torch.split(part, heights) for part in chosen), strict=True):
                    linear.weight.copy_(dequantised(codes, scales))
                    found[f"{names[linear]}.codes"], found[f"{names[linear]}.scales"] = packed(codes).cpu(), scales.cpu().clone()
            inputs = [(_hidden(layer(hidden, **given[number])), given) for hidden, given in inputs]
        yield found


def _hidden(out: Any) -> torch.Tensor:
    hidden: torch.Tensor = out[0] if isinstance(out, tuple) else out
    return hidden


def chosen_codes(
    folder: Path, dtype: torch.dtype, device: torch.device | str, tokenizer: PreTrainedTokenizerBase, mark: str
) -> Iterator[Progress | Codes]:
    """Choose codes from the 16-bit weights in `folder`: progress, and last the codes, which are kept in the cache for the next start."""
    plain = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, trust_remote_code=False, use_safetensors=True, local_files_only=True, device_map={"": device}
    )
    plain.requires_grad_(False).eval()
    for step in calibrate(plain, tokenizer):
        if isinstance(step, dict):
            keep(mark, step)
        yield step
