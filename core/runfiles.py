"""What stands in a run's folder. The session writes `run.json`, `rows.jsonl` and `pairs.jsonl` before the run, the worker all the rest.

runs/0007/run.json, rows.jsonl, pairs.jsonl (taste only), metrics.jsonl, checkpoints/epoch-03/{adapter_config.json, adapter_model.safetensors,
checkpoint.json}, checkpoints/refit-03 (the same, trained on all rows), result.json (last: the commit mark)
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from core.config import Lora, Training
from core.errors import FlavorError
from core.files import read_bytes, seal, unseal, write_atomic
from core.protocol import Row
from core.task import Segment, Task
from core.text import short

T = TypeVar("T")

CHECKPOINT = re.compile(r"\d{4,18}/(?:epoch|refit)-\d{2,9}")
BASE = "base"
"""The name of no checkpoint: the base model itself."""


def is_refit(name: str) -> bool:
    """Whether a checkpoint was trained on all rows of its run, the held-out ones among them."""
    return "/refit-" in name


def measured_by(name: str) -> str:
    """The checkpoint whose held-out loss stands for that of `name`: of a refit the epoch that it repeats on all rows, else itself.

    The name alone says it, so that no file can make a refit its own measure.
    """
    return name.replace("/refit-", "/epoch-")


def check_parent(name: str | None) -> None:
    """Raises FlavorError where a run may not start from this checkpoint: the loss on rows that it learned would pass for a held-out one."""
    if name and is_refit(name):
        raise FlavorError(
            f"{name} was trained on the held-out rows: no loss on them would tell anything.", f"Start from {measured_by(name)}.", "order"
        )


FORMAT = 1
"""Of a run's files, as this version writes them; a higher number is a newer version's."""

PairOrigin = Literal["edit", "decided", "vote", "written"]
"""An edited text over its original, an accepted one over a rejected one, one preferred blindly, a written one over a sampled one."""


class Pair(msgspec.Struct, frozen=True):
    """A line of `pairs.jsonl`: of two texts for one prompt the one that the person would rather have."""

    prompt: list[Segment]
    chosen: str
    rejected: str
    origin: PairOrigin
    example: str
    """The id of the chosen text."""
    candidate: str
    """The id of the rejected one."""


class RunSpec(msgspec.Struct, frozen=True):
    """`run.json`: everything a run is made from, besides its rows."""

    name: str
    created: str
    base: str
    fingerprint: str
    quantization: str
    lora: Lora
    training: Training
    seed: int
    epochs: int
    learning_rate: float
    parent: str | None
    """The checkpoint it is warm-started from, e.g. 0006/epoch-01."""
    rows: int
    new_rows: int
    rows_sha256: str
    versions: dict[str, str] = {}
    task: Task | None = None
    """By which attributes are dropped in training; None: they never are."""
    shrink: float = 1.0
    """What the parent's B matrices are multiplied by at the start."""
    kind: Literal["train", "taste"] = "train"
    """`taste`: a preference stage after training, on pairs; `epochs` are passes over them."""
    expected: int = 0
    """Steps that are likely to be best, by the run before: with as many a run afresh is trained on all its rows first. 0: nobody knows."""
    pairs: int = 0
    pairs_sha256: str = ""
    format: int = FORMAT


class Manifest(msgspec.Struct, frozen=True):
    """What a checkpoint must be, to be used: every file beside `checkpoint.json` by its hash, and what it was made with."""

    files: dict[str, str]
    tokenizer: str
    rows_sha256: str
    versions: dict[str, str] = {}


class CheckpointInfo(msgspec.Struct, frozen=True):
    """`checkpoint.json`: what the adapter beside it is, and the hash it must have."""

    name: str
    """Run and epoch, e.g. 0007/epoch-03; 0007/refit-03 for the same on all rows."""
    epoch: int
    base: str
    fingerprint: str
    sha256: str
    held_out_loss: float | None
    loss: float
    created: str
    p_end: float | None = None
    p_end_early: float | None = None
    recall: float | None = None
    recall_held_out: float | None = None
    drift: float | None = None
    """These as in `protocol.Gauges`."""
    seen: float | None = None
    """Median epochs that its rows were seen, over its whole lineage."""
    manifest: Manifest | None = None
    """None: saved by an earlier version, which kept the hash of the weights only."""
    measured_by: str | None = None
    """Of a refit: the checkpoint of the epoch that it repeats on all rows. Held-out measures are that one's; a refit has none."""


class Result(msgspec.Struct, frozen=True):
    """`result.json`: how the run ended."""

    status: Literal["done", "cancelled", "failed"]
    reason: str = ""
    checkpoint: str | None = None
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    train_seconds: float = 0.0
    skipped: list[str] = []
    peak_memory: int = 0
    why: str = ""
    stopped: str = ""
    base_loss: float | None = None
    """Held-out loss of the base."""
    parent_loss: float | None = None
    """Held-out loss of the parent, where there is one."""
    best_steps: int = 0
    """The steps up to the epoch that was best by its held-out loss; 0 where none was measured."""


def checkpoint_folder(runs: Path, name: str) -> Path:
    """Where in the folder `runs` a checkpoint's files are. Raises FlavorError where `name` is no name of one."""
    if not CHECKPOINT.fullmatch(name):
        raise FlavorError(f"{short(name)!r} is no name of a checkpoint.", "For instance 0007/epoch-02.", "missing")
    return runs / name.replace("/", "/checkpoints/", 1)


def going_on(run: Path) -> bool:
    """Whether some process is carrying the run out: it holds its metrics locked, and a killed one holds nothing."""
    try:
        handle = os.open(run / "metrics.jsonl", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


class _Format(msgspec.Struct):
    format: int = FORMAT


def _must_be_known(path: Path, data: bytes) -> None:
    with contextlib.suppress(msgspec.MsgspecError):
        if msgspec.json.decode(data, type=_Format).format > FORMAT:
            raise FlavorError(f"{path} was written by a newer version of flavor-tui.", "Install that version to use it.", "newer")


def read(path: Path, kind: type[T]) -> T:
    """A file of a run, typed. Raises FlavorError naming it where it is absent, damaged or a newer version's."""
    try:
        data = unseal(read_bytes(path), must=False)
        _must_be_known(path, data)
        return msgspec.json.decode(data, type=kind)
    except FileNotFoundError:
        raise FlavorError(f"{path} is missing.", kind="missing") from None
    except (msgspec.MsgspecError, OSError, ValueError) as error:
        raise FlavorError(f"{path} is damaged: {error}.", kind="damaged") from None


def write(path: Path, value: msgspec.Struct) -> None:
    """A file of a run, atomically, with a checksum."""
    write_atomic(path, seal(msgspec.to_builtins(value)))


def encode_rows(rows: Sequence[Row | Pair]) -> bytes:
    """`rows.jsonl` or `pairs.jsonl`: one a line, in order."""
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def _read_lines(path: Path, sha256: str, kind: type[T]) -> list[T]:
    try:
        data = read_bytes(path)
    except FileNotFoundError:
        raise FlavorError(f"{path} is missing.", "Start a new run.", "missing") from None
    except OSError as error:
        raise FlavorError(f"{path} cannot be read: {error.strerror}.", "Start a new run.", "damaged") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise FlavorError(f"{path} was changed since the run was made.", "Start a new run.", "damaged")
    return [msgspec.json.decode(line, type=kind) for line in data.splitlines()]


def read_rows(path: Path, sha256: str) -> list[Row]:
    """The frozen rows of a run. Raises FlavorError where they are not there, or not those the run was made with."""
    return _read_lines(path, sha256, Row)


def read_pairs(path: Path, sha256: str) -> list[Pair]:
    """The frozen pairs of a run. Raises FlavorError where they are not there, or not those the run was made with."""
    return _read_lines(path, sha256, Pair)


def file_sha256(path: Path) -> str:
    """The hash of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
