"""What this machine has for the model's part: run as a process of its own (`python -m core.doctor`), prints one JSON object."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import sys
from typing import Any


def report() -> dict[str, Any]:
    """Hardware, the 4-bit path, versions and models; problems in words, each with its remedy."""
    import psutil

    problems: list[str] = []
    found: dict[str, Any] = {"python": sys.version.split()[0], "cores": os.cpu_count(), "memory": psutil.virtual_memory().total}
    versions = {}
    for name in ("torch", "transformers", "peft", "bitsandbytes", "datasets", "textual", "tinydb", "gguf"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            problems.append(f"{name} is not installed: pip install {name}")
    found["versions"] = versions
    try:
        import torch

        from core.model import four_bit_problem, hardware

        device, compute = hardware()
        found["device"] = torch.cuda.get_device_name() if device == "cuda" else device
        found["compute"] = str(compute).removeprefix("torch.")
        problem = four_bit_problem(device)
        if problem:
            found["four_bit"] = f"no: {problem}; 16 bits are used"
            problems.append(f"4 bits cannot run here: {problem}")
        else:
            found["four_bit"] = _four_bit(device)
        if device == "cpu" and compute is torch.float32:
            problems.append("this processor does not multiply bfloat16: everything runs in 32 bits, at about half the speed")
    except Exception as error:
        found["device"] = "unknown"
        problems.append(f"torch does not start ({type(error).__name__}: {str(error)[:100]}): reinstall it")
    found["models"] = _models(problems)
    found["problems"] = problems
    return found


def _four_bit(device: str) -> str:
    from bitsandbytes.functional import has_avx512bf16

    if device == "cuda":
        return "NF4 on CUDA"
    return "NF4 on the CPU, " + ("packed kernel (AVX512-BF16)" if has_avx512bf16() else "no packed kernel (needs AVX512-BF16)")


def _models(problems: list[str]) -> list[str]:
    from core import starter
    from core.errors import FlavorError

    models = []
    try:
        gguf = starter.find()
        ready = starter.converted_folder(gguf).is_dir()
        models.append(f"starter: SmolLM2-135M-Instruct, {'converted' if ready else 'to be converted at its first use'}")
    except FlavorError as error:
        problems.append(str(error))
    from huggingface_hub import CacheNotFound, scan_cache_dir

    with contextlib.suppress(CacheNotFound, OSError):
        models += sorted(repo.repo_id for repo in scan_cache_dir().repos if repo.repo_type == "model")
    return models


def main() -> None:
    wire = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    wire.write(json.dumps(report()) + "\n")
    wire.flush()


if __name__ == "__main__":
    main()
