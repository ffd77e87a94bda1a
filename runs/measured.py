"""`measured.json`: what took a model to find out and stays true: each row's loss under a checkpoint, and what 4 bits cost. One writer: the session."""

from __future__ import annotations

from pathlib import Path

import msgspec

from core import runfiles
from core.errors import FlavorError

FILE = "measured.json"
MOST_CHECKPOINTS = 4
"""The losses of so many checkpoints are kept, the latest measured."""


class Losses(msgspec.Struct, frozen=True):
    """Losses (nats a token) of rows under a checkpoint of a base, each beside a hash of what the row was."""

    fingerprint: str
    rows: dict[str, tuple[str, float]]
    created: str


class Bits(msgspec.Struct, frozen=True):
    """Losses (nats a token) of the bare base on `rows` rows, in 4 bits and in 16."""

    base: str
    four: float
    sixteen: float
    rows: int
    created: str


class Measured(msgspec.Struct, frozen=True):
    losses: dict[str, Losses] = {}
    """By checkpoint, the latest measured last."""
    bits: Bits | None = None


def read(workspace: Path) -> Measured:
    """What is known; nothing where the file is absent or damaged: it can be measured again."""
    try:
        return runfiles.read(workspace / FILE, Measured)
    except FlavorError:
        return Measured()


def keep_losses(workspace: Path, checkpoint: str, losses: Losses) -> None:
    """Raises FlavorError where it cannot be written."""
    known = read(workspace)
    others = [(name, old) for name, old in known.losses.items() if name != checkpoint][1 - MOST_CHECKPOINTS :]
    _write(workspace, msgspec.structs.replace(known, losses={**dict(others), checkpoint: losses}))


def keep_bits(workspace: Path, bits: Bits) -> None:
    """Raises FlavorError where it cannot be written."""
    _write(workspace, msgspec.structs.replace(read(workspace), bits=bits))


def _write(workspace: Path, measured: Measured) -> None:
    try:
        runfiles.write(workspace / FILE, measured)
    except OSError as error:
        raise FlavorError(f"{FILE} could not be written: {error.strerror}.", "Make room; everything else is kept.", "disk") from None
