"""The models on this machine: run as a process of its own (`python -m core.hub.models FOLDER...`), prints one JSON object a line.

The starter, the cache of Hugging Face, and the folders and GGUF files below the folders that are named. Looks at headers only: no weight
is read, no torch imported, no network used.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from core import answering
from core.config import STARTER
from core.errors import FlavorError
from core.fit import Machine, Shape
from core.hub.basefolder import check_folder
from core.reading import read_json
from core.worker import starter

MOST = 4000
"""Entries that are looked at below one folder."""
DEPTH = 4
MAX_HEADER = 1 << 27
KINDS = ("causallm", "lmheadmodel")
"""How the architectures of models end that continue texts, in lower case."""


class Found(msgspec.Struct, frozen=True):
    """A model: what to write as `base`, where it was found, its size on the disk and its shape; `problem`: why it is no base, else empty."""

    name: str
    where: Literal["starter", "hub", "folder", "gguf"]
    bytes: int
    shape: Shape | None = None
    problem: str = ""


def tensors(path: Path) -> dict[str, list[int]]:
    """The shape of every tensor in a safetensors file, from its header. Raises ValueError, OSError."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > MAX_HEADER:
            raise ValueError("no safetensors header")
        header = json.loads(file.read(length))
    return {name: told["shape"] for name, told in header.items() if name != "__metadata__"}


def shape_of_folder(folder: Path) -> Shape:
    """The shape of a model in a folder of safetensors. Raises FlavorError, ValueError, KeyError, OSError where it is none."""
    config = read_json(folder / "config.json")
    config = config.get("text_config", config)
    parameters = sum(_product(shape) for path in _weights(folder) for shape in tensors(path).values())
    tied = bool(config.get("tie_word_embeddings", True))
    return Shape(parameters, int(config["vocab_size"]), int(config["hidden_size"]), int(config["num_hidden_layers"]), tied)


def _weights(folder: Path) -> list[Path]:
    """The files that are loaded: the one, or those that the index names. The same weights may lie there in a second form."""
    index, whole = folder / "model.safetensors.index.json", folder / "model.safetensors"
    if whole.exists():
        return [whole]
    if index.exists():
        return [folder / part for part in sorted(set(read_json(index)["weight_map"].values()))]
    return sorted(folder.glob("*.safetensors"))


def _product(shape: list[int]) -> int:
    number = 1
    for side in shape:
        number *= side
    return number


def shape_of_gguf(path: Path) -> Shape:
    """The same of a GGUF file. Raises ValueError, KeyError where it is no model, FlavorError where it is only a part of one."""
    import gguf

    reader = gguf.GGUFReader(path)
    if (parts := reader.fields.get("split.count")) and int(parts.contents()) > 1:
        raise FlavorError(f"it is one of {parts.contents()} parts; join them first with llama.cpp's gguf-split --merge")
    if (kind := reader.fields.get("general.type")) and kind.contents() != "model":
        raise ValueError(f"a GGUF {kind.contents()}, not a model")
    architecture = reader.fields["general.architecture"].contents()
    width, layers = (int(reader.fields[f"{architecture}.{name}"].contents()) for name in ("embedding_length", "block_count"))
    sizes = {tensor.name: int(tensor.n_elements) for tensor in reader.tensors}
    vocabulary = sizes["token_embd.weight"] // width
    return Shape(sum(sizes.values()), vocabulary, width, layers, "output.weight" not in sizes)


def in_folder(folder: Path, name: str, where: Literal["hub", "folder"]) -> Found | None:
    """What a folder with a `config.json` is; None where it is no language model at all."""
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    try:
        kinds = read_json(folder / "config.json").get("architectures") or []
        if not any(str(kind).lower().endswith(KINDS) for kind in kinds):
            return None
        return Found(name, where, size, shape_of_folder(check_folder(folder, name)))
    except FlavorError as error:
        return Found(name, where, size, problem=error.message)
    except (ValueError, KeyError, TypeError, AttributeError, OSError, struct.error) as error:
        return Found(name, where, size, problem=f"it cannot be read ({type(error).__name__})")


def in_gguf(path: Path, name: str, where: Literal["starter", "gguf"]) -> Found:
    try:
        return Found(name, where, path.stat().st_size, shape_of_gguf(path))
    except FlavorError as error:
        return Found(name, where, path.stat().st_size, problem=error.message)
    except Exception as error:  # the reader raises whatever a broken file makes it raise
        return Found(name, where, path.stat().st_size if path.exists() else 0, problem=f"it cannot be read ({type(error).__name__})")


def in_cache() -> Iterator[Found]:
    """Models of the hub that are here, whole."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    with contextlib.suppress(CacheNotFound, OSError):
        for repo in sorted(scan_cache_dir().repos, key=lambda repo: repo.repo_id):
            newest = max(repo.revisions, key=lambda one: one.last_modified, default=None)
            if repo.repo_type != "model" or newest is None or not (newest.snapshot_path / "config.json").exists():
                continue
            if found := in_folder(newest.snapshot_path, repo.repo_id, "hub"):
                yield found


def below(folder: Path) -> Iterator[Found]:
    """Models in a folder and below it, not through links."""
    seen = 0
    for at, inner, files in os.walk(folder):
        here = Path(at)
        seen += 1 + len(files)
        if seen > MOST:
            return
        if len(here.relative_to(folder).parts) >= DEPTH:
            inner.clear()
        inner[:] = sorted(name for name in inner if not name.startswith((".", "models--")))
        if "config.json" in files and (found := in_folder(here, str(here), "folder")):
            inner.clear()
            yield found
        for name in sorted(files):
            if name.lower().endswith(".gguf"):
                yield in_gguf(here / name, str(here / name), "gguf")


def machine() -> Machine:
    """What there is to fit into. Asks the driver for GPUs, not torch, which takes seconds to start."""
    import psutil

    free = psutil.virtual_memory().available
    if said := [int(one) for one in _driver("memory.free") if one.strip().isdigit()]:  # [N/A] where GPU and processor share theirs
        return Machine(free, gpu=max(said) << 20)
    flags = ""
    with contextlib.suppress(OSError):
        flags = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), "")
    bfloat16 = "avx512_bf16" in flags
    return Machine(free, number=2 if bfloat16 else 4, packed=bfloat16)


def _driver(what: str) -> list[str]:
    """What the NVIDIA driver says of its GPUs, a line each; nothing where there is none."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        asked = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader,nounits"]
        done = subprocess.run(asked, capture_output=True, encoding="utf-8", errors="replace", timeout=10, check=True)
        return done.stdout.split("\n")[:-1]
    return []


def gpu_name() -> str:
    """The first GPU that the driver knows; empty where there is none."""
    return next(iter(_driver("name")), "")


def found(folders: list[Path]) -> Iterator[Found]:
    """Everything, each once."""
    names = set()
    with contextlib.suppress(FlavorError):
        yield in_gguf(starter.find(), STARTER, "starter")
    for model in in_cache():
        yield model
    for folder in folders:
        for model in below(folder):
            if model.name not in names:
                names.add(model.name)
                yield model


def _answers(folders: list[Path]) -> Iterator[dict[str, object]]:
    yield {"machine": msgspec.to_builtins(machine())}
    for model in found(folders):
        yield {"model": msgspec.to_builtins(model)}
    yield {"done": True}


def main() -> None:
    answering.answer(answering.own_stdout(), _answers([Path(folder) for folder in sys.argv[1:]]))


if __name__ == "__main__":
    main()
