"""What stands in a run's folder. The session writes `run.json`, `rows.jsonl` and `pairs.jsonl` before the run, the worker all the rest.

runs/0007/run.json, rows.jsonl, pairs.jsonl (taste only), metrics.jsonl, checkpoints/epoch-03/{adapter_config.json, adapter_model.safetensors,
checkpoint.json}, result.json (last: the commit mark)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from core.config import Lora, Training
from core.errors import FlavorError
from core.files import write_json
from core.protocol import Row
from core.task import Segment, Task

T = TypeVar("T")

BASE = "base"
"""The name of no checkpoint: the base model itself."""


PairOrigin = Literal["edit", "decided", "written"]
"""An edited text over its original, an accepted one over a rejected one, a written one over a sampled one."""


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
    pairs: int = 0
    pairs_sha256: str = ""


class CheckpointInfo(msgspec.Struct, frozen=True):
    """`checkpoint.json`: what the adapter beside it is, and the hash it must have."""

    name: str
    """Run and epoch, e.g. 0007/epoch-03."""
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


def read(path: Path, kind: type[T]) -> T:
    """A file of a run, typed. Raises FlavorError naming it where it is absent or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        raise FlavorError(f"{path} is missing.", kind="missing") from None
    except (msgspec.MsgspecError, OSError) as error:
        raise FlavorError(f"{path} is damaged: {error}.", kind="damaged") from None


def write(path: Path, value: msgspec.Struct) -> None:
    """A file of a run, atomically."""
    write_json(path, msgspec.to_builtins(value))


def encode_rows(rows: Sequence[Row | Pair]) -> bytes:
    """`rows.jsonl` or `pairs.jsonl`: one a line, in order."""
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def _read_lines(path: Path, sha256: str, kind: type[T]) -> list[T]:
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise FlavorError(f"{path} was changed since the run was made.", "Start a new run.", "damaged")
    return [msgspec.json.decode(line, type=kind) for line in data.splitlines()]


def read_rows(path: Path, sha256: str) -> list[Row]:
    """The frozen rows of a run. Raises FlavorError where they are not those the run was made with."""
    return _read_lines(path, sha256, Row)


def read_pairs(path: Path, sha256: str) -> list[Pair]:
    """The frozen pairs of a run. Raises FlavorError where they are not those the run was made with."""
    return _read_lines(path, sha256, Pair)


def file_sha256(path: Path) -> str:
    """The hash of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
