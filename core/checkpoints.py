"""A checkpoint's folder: published whole or not at all, and refused by name where it is not what was saved. Knows no torch.

PEFT itself loads an adapter of another base, with a flipped bit, without a tensor or with another strength, and says nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

import msgspec

from core import runfiles
from core.config import Lora
from core.errors import FlavorError
from core.files import make_folder, publish_folder, read_bytes, remove_tree
from core.runfiles import CheckpointInfo, Manifest, RunSpec

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
INFO = "checkpoint.json"
KNOWN = frozenset({WEIGHTS, CONFIG, INFO, "README.md"})
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")
STRAYS = re.compile(r"\.DS_Store|\.directory|\._.+|Thumbs\.db|desktop\.ini", re.I)
"""What file managers leave in every folder that they show; none is ever read."""
CHOOSE = "Choose another checkpoint, or retrain with T."


class Place(NamedTuple):
    """Where a checkpoint is to be used: the resident base by name and fingerprint, its tokenizer's hash, the adapter's shape."""

    base: str
    fingerprint: str
    tokenizer: str
    lora: Lora


def _refuse(message: str, kind: str = "damaged", hint: str = CHOOSE) -> NoReturn:
    raise FlavorError(message, hint, kind)


def title(folder: Path) -> str:
    """The name a checkpoint has by its place, e.g. 0007/epoch-03."""
    return f"{folder.parent.parent.name}/{folder.name}"


def file_hashes(folder: Path) -> dict[str, str]:
    """The hash of every file in a folder but the manifest's own, and but what a file manager left there."""
    return {name: runfiles.file_sha256(folder / name) for name in sorted(_saved(folder))}


def _saved(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != INFO and not STRAYS.fullmatch(path.name)}


def publish(final: Path, fill: Callable[[Path], CheckpointInfo]) -> None:
    """Have `fill` write a checkpoint's files into a staging folder, add the manifest, and rename it into place.

    Raises OSError; there is then no checkpoint of that name.
    """
    make_folder(final.parent)
    staging = final.parent / f".tmp-{os.getpid()}-{final.name}"
    remove_tree(staging)
    make_folder(staging)
    try:
        info = fill(staging)
        hashes = file_hashes(staging)
        for name in hashes:
            os.chmod(staging / name, 0o600)
        assert info.manifest is not None
        manifest = msgspec.structs.replace(info.manifest, files=hashes)
        runfiles.write(staging / INFO, msgspec.structs.replace(info, sha256=hashes[WEIGHTS], manifest=manifest))
        publish_folder(staging, final)
    except BaseException:
        with contextlib.suppress(OSError):
            remove_tree(staging)
        raise


def _check_entries(folder: Path, name: str) -> None:
    """Nothing but what was saved may be in the folder: no link, no pickle, no folder. What file managers leave there is passed over."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_symlink():
            _refuse(f"{name} holds {entry.name}, a link to elsewhere.")
        if STRAYS.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
            continue
        if entry.name.lower().endswith(PICKLES):
            _refuse(f"{name} holds {entry.name}, a pickle; none is ever read here.", hint=_remove(folder / entry.name))
        if entry.name not in KNOWN:
            _refuse(f"{name} holds {entry.name}, which was not saved with it.", hint=_remove(folder / entry.name))
        if not entry.is_file(follow_symlinks=False):
            _refuse(f"{name} holds {entry.name}, which is no file.")
    for needed in (WEIGHTS, CONFIG):
        if not (folder / needed).exists():
            _refuse(f"{name} is not whole: {needed} is missing.")


def _remove(path: Path) -> str:
    return f"Remove {path}, then it can be used."


def _check_manifest(folder: Path, info: CheckpointInfo, most: int) -> bytes:
    """The files are those that the manifest names. A checkpoint of an earlier version names its weights only. Returns the weights as they were
    checked, where they have no more than `most` bytes."""
    files = info.manifest.files if info.manifest else {WEIGHTS: info.sha256}
    present = _saved(folder)
    for missing in sorted(files.keys() - present):
        _refuse(f"{info.name} is not whole: {missing} is missing.")
    for extra in sorted(present - files.keys() if info.manifest else ()):
        _refuse(f"{info.name} holds {extra}, which was not saved with it.", hint=_remove(folder / extra))
    if files[WEIGHTS] != info.sha256:
        _refuse(f"{info.name} is damaged: {INFO} names its weights in two ways.")
    weights = read_bytes(folder / WEIGHTS) if os.path.getsize(folder / WEIGHTS) <= most else b""
    for name, digest in sorted(files.items()):
        read = hashlib.sha256(weights).hexdigest() if name == WEIGHTS and weights else runfiles.file_sha256(folder / name)
        if read != digest:
            _refuse(f"{info.name} is damaged: {name} is not as it was saved.")
    return weights


def _check_run(folder: Path, info: CheckpointInfo) -> None:
    """The checkpoint belongs to the run it lies in, as far as that can be read."""
    if info.name != title(folder):
        _refuse(f"{title(folder)} holds another checkpoint, {info.name}.", "foreign")
    if info.measured_by != (runfiles.measured_by(info.name) if runfiles.is_refit(info.name) else None):
        _refuse(f"{info.name} says that it is measured by {info.measured_by}, which cannot be.", "foreign")
    try:
        rows = runfiles.read(folder.parent.parent / "run.json", RunSpec).rows_sha256
    except FlavorError:
        return
    if info.manifest and info.manifest.rows_sha256 != rows:
        _refuse(f"{info.name} was trained on other rows than its run.", "foreign")


def _verified(folder: Path, most: int = 0) -> tuple[CheckpointInfo, bytes]:
    name = title(folder)
    for part in (folder.parent.parent, folder.parent, folder):
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISLNK(os.lstat(part).st_mode):
                _refuse(f"{name} is a link to elsewhere ({part.name}).")
    if not folder.is_dir():
        _refuse(f"The checkpoint {name} is missing.", "missing")
    info = runfiles.read(folder / INFO, CheckpointInfo)
    _check_entries(folder, name)
    _check_run(folder, info)
    return info, _check_manifest(folder, info, most)


def verify_files(folder: Path) -> CheckpointInfo:
    """What the checkpoint says it is, after every file in its folder was checked. Raises FlavorError naming what is wrong."""
    return _verified(folder)[0]


def verify(folder: Path, place: Place) -> CheckpointInfo:
    """`verify_files`, and that the checkpoint fits where it is to be used."""
    return read(folder, place, 0)[0]


def read(folder: Path, place: Place, most: int) -> tuple[CheckpointInfo, bytes]:
    """`verify`, and the very bytes of its weights that were checked; none where they are more than `most`."""
    info, weights = _verified(folder, most)
    if info.fingerprint != place.fingerprint:
        _refuse(
            f"{info.name} was trained on another base ({info.base}, not these weights of {place.base}).",
            "foreign",
            "Set that base in flavor.toml, or retrain with T.",
        )
    if info.manifest and info.manifest.tokenizer != place.tokenizer:
        _refuse(f"{info.name} was trained with another tokenizer than that of {place.base}.", "foreign")
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        shape = (config["peft_type"], config["r"], config["lora_alpha"])
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        _refuse(f"{info.name} is damaged: {CONFIG} cannot be read.")
    if shape != ("LORA", place.lora.r, place.lora.alpha):
        _refuse(
            f"{info.name} has rank {shape[1]!r} and alpha {shape[2]!r}, not {place.lora.r} and {place.lora.alpha}.",
            "foreign",
            "Was [lora] changed in flavor.toml? Put it back, or retrain with T.",
        )
    return info, weights


def manifest(place: Place, spec: RunSpec) -> Manifest:
    """What a new checkpoint says of itself, its files not yet among it."""
    return Manifest(files={}, tokenizer=place.tokenizer, rows_sha256=spec.rows_sha256, versions=spec.versions)
