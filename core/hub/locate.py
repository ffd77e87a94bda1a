"""From a base's name to the folder its weights are in, on this machine. Knows no torch, and never uses the network."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from core.config import HUB_ID, STARTER
from core.errors import FlavorError
from core.files import typed_path
from core.hub.basefolder import ALLOWED, TWICE, check_folder
from core.worker import starter

Progress = tuple[str, float | None]
"""What is being done, and the share of it that is over."""


def fingerprint(folder: Path) -> str:
    """What tells two bases of the same shape apart: a hash of the configuration and of samples of every weight file that is read."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        if any(path.match(pattern) for pattern in TWICE):
            continue
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with open(path, "rb") as file:
            for part in range(17):
                file.seek(max(0, size - 65536) * part // 16)
                digest.update(file.read(65536))
    return digest.hexdigest()[:32]


def cached(name: str) -> Path:
    """Where a hub model is on this machine. Raises FlavorError where it is not: no network is ever used to load one."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True, allow_patterns=ALLOWED, ignore_patterns=TWICE))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        raise FlavorError(
            f"{name} is not on this machine.", "D downloads it from the hub (or: flavor-tui download WORKSPACE).", "absent"
        ) from None


def locate(name: str) -> Iterator[Progress | Path]:
    """From a base's name to a folder that `from_pretrained` reads: progress, and last the folder. Raises FlavorError."""
    path = typed_path(name)
    if name == STARTER or path.suffix.lower() == ".gguf":
        gguf = starter.find() if name == STARTER else path
        if not os.path.isfile(gguf):
            raise FlavorError(f"{name} is not there.", "Check the path of the GGUF file.", "missing")
        if not starter.converted_folder(gguf).is_dir():
            yield "converting the GGUF file (once)", None
        yield starter.convert(gguf)
    elif os.path.isdir(path):
        yield check_folder(path.resolve(), name)
    elif HUB_ID.fullmatch(name) and not name.startswith("."):
        yield check_folder(cached(name), name)
    else:
        raise FlavorError(f"{name!r} is no model.", "Give `starter`, a hub id like org/name, a folder, or a .gguf file.", "missing")
