"""The base model: from a name to a resident model. Weights are safetensors or GGUF, never pickles; no code from a model's
folder is ever run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase

from core.errors import FlavorError, out_of_memory
from core.fit import CALIBRATED
from core.hub.locate import Progress, fingerprint, locate
from core.worker import calibration, codes
from core.worker.codes import Codes
from core.worker.starter import lacking

log = logging.getLogger("worker")
NOT_CHOSEN = (
    "The base's 4-bit codes could not be chosen; rounded ones are used, which costs a small model some of what it knows. logs/worker.log says why, "
    "and calibrate = false under [model] leaves the attempt out."
)
PROBE = (
    "It's 1,234 o'clock; the  keeper's lamp\tburned: “whale-fat”, naïve façades, straße, ελληνικά, Кириллица, 漢字かな, 👩‍🚀!\n\n# Heading\n"
    "Unbelievable, internationalisation; def f(x): return x**2 == 3.14159  # HTTP/2 ABCabc\n"
)
"""A text by whose tokens two tokenizers with the same pieces are told apart."""


@dataclass(frozen=True)
class Base:
    """A loaded base: `model` without adapters, its tokenizer, and how its weights are held."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    fingerprint: str
    device: str
    four_bit: bool
    compute: torch.dtype
    note: str
    tokenizer_hash: str = ""
    folder: Path = Path()
    """Where its weights are."""
    rounded: bool = False
    """Its 4-bit codes are rounded weights, and better ones are still to be chosen (`core/worker/calibration.py`)."""


def tokenizer_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """What tells two tokenizers apart: their pieces, their special ones, and how they cut a text with many kinds of characters.

    Not the hash of their files, which other versions of the same library write otherwise.
    """
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda piece: piece[1])
    told = [pieces, sorted(tokenizer.all_special_ids), tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer(PROBE).input_ids]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def hardware() -> tuple[str, torch.dtype]:
    """The device to use, and the type to compute in: bfloat16 where the hardware multiplies it (or torch does so in its place, as on
    older NVIDIA cards), else the next wider one."""
    if torch.cuda.is_available():
        return "cuda", torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if torch.backends.mps.is_available():
        return "mps", torch.bfloat16
    supported: Callable[[], bool] = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return "cpu", torch.bfloat16 if supported() else torch.float32


def four_bit_problem(device: str) -> str:
    """Why bitsandbytes cannot hold 4 bits on this device; empty where it can."""
    if device not in ("cuda", "cpu"):
        return f"bitsandbytes has no 4-bit kernels for {device}"
    try:
        import bitsandbytes  # noqa: F401
    except Exception as error:
        return f"bitsandbytes does not start ({type(error).__name__}: {str(error)[:80]})"
    return ""


def load(name: str, quantization: str, calibrate: bool = False) -> Iterator[Progress | Base]:
    """Make a base resident as it is trained on: progress, and last the `Base`. Raises FlavorError with a remedy."""
    for step in resident(name, quantization, calibrate):
        if isinstance(step, Base) and step.rounded:
            for part in chosen(step):
                if isinstance(part, dict):
                    codes.apply(step.model, part)
                    step = replace(step, rounded=False, note="" if part else NOT_CHOSEN)
                else:
                    yield part
        yield step


def chosen(base: Base) -> Iterator[Progress | Codes]:
    """The codes of a base that is `rounded`: progress, and last the codes; none where they cannot be chosen, as for an architecture whose
    layers do not go by themselves."""
    try:
        yield from calibration.chosen_codes(base.folder, base.compute, base.device, base.tokenizer, base.fingerprint)
    except Exception:
        log.exception("the 4-bit codes of %s cannot be chosen", base.name)
        yield {}


def resident(name: str, quantization: str, calibrate: bool = False, chosen_now: Codes | None = None) -> Iterator[Progress | Base]:
    """Make a base resident with the codes that were chosen for it before, or with `chosen_now` (empty: none can be): progress, and last the
    `Base`, which is `rounded` where there are none yet."""
    folder: Path | None = None
    for step in locate(name):
        if isinstance(step, Path):
            folder = step
        else:
            yield step
    assert folder is not None
    device, compute = hardware()
    note = ""
    four_bit = quantization == "nf4"
    if four_bit and (problem := four_bit_problem(device)):
        four_bit, note = False, f"4 bits cannot run here: {problem}. Using {8 * compute.itemsize} bits."
    yield f"loading {name}", None
    options: dict[str, Any] = {"dtype": compute, "trust_remote_code": False, "use_safetensors": True, "local_files_only": True}
    if four_bit:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute, bnb_4bit_use_double_quant=True
        )
    mark = fingerprint(folder)
    too_large = FlavorError(f"{name} does not fit into the memory of the {device}.", "Choose a smaller base.", "memory")
    found = None
    if four_bit and calibrate:
        found = codes.kept(mark) if chosen_now is None else chosen_now
        note = NOT_CHOSEN if found == {} else note
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        with codes.given(found) if found else contextlib.nullcontext():
            model, info = AutoModelForCausalLM.from_pretrained(folder, device_map={"": device}, output_loading_info=True, **options)
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, MemoryError) as error:
        if isinstance(error, RuntimeError | MemoryError) and out_of_memory(error):
            raise too_large from None
        reason = " ".join(str(error).split())[:200]
        raise FlavorError(f"{name} cannot be loaded: {reason}.", "Is it a whole causal language model?", "model") from error
    if what := lacking(info):
        raise FlavorError(f"{name} is not whole: {what} is missing.", "Load it again, or choose another base.", "model")
    if tokenizer.eos_token_id is None:
        raise FlavorError(f"{name} has no end token, so it could never learn to end.", "Choose another base.", "model")
    model.requires_grad_(False)
    model.eval()
    rounded = four_bit and calibrate and found is None and model.num_parameters() <= CALIBRATED
    yield Base(name, model, tokenizer, mark, device, four_bit, compute, note, tokenizer_hash(tokenizer), folder, rounded)
