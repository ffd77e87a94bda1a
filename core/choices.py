"""`choices.json`: what the person chose for single checkpoints, its strength and a note. One writer, the session; light enough for an export.

It is no part of a checkpoint's own files: those stay as training wrote them, and their hashes with them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import msgspec

from core.errors import FlavorError
from core.files import exists, keep_aside, read_bytes, seal, signature, unseal, write_atomic
from core.runfiles import BASE
from core.text import clean_line, short

FILE = "choices.json"
STRONGEST = 1.2
"""Beyond, the starter's texts fall apart."""
NOTE = 200
"""Characters of a note."""


class Choice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was chosen for one checkpoint."""

    strength: float = 1.0
    """What the adapter's share of every product is multiplied by in sampling: 0 is the base, 1 is as trained."""
    note: str = ""


class _File(msgspec.Struct, frozen=True):
    checkpoints: dict[str, Choice]


def check_strength(value: float) -> float:
    """The strength to two digits. Raises FlavorError outside 0 to 1.2."""
    if not math.isfinite(value) or not 0 <= value <= STRONGEST:
        raise FlavorError(f"{value:g} is no strength of an adapter.", f"From 0, the base, to {STRONGEST}; 1 is as trained.", "config")
    return round(value, 2)


def read_choices(workspace: Path) -> dict[str, Choice]:
    """The choices by checkpoint; none where the file is absent. Raises OSError, ValueError or MsgspecError where it is damaged."""
    if not exists(workspace / FILE):
        return {}
    found = msgspec.json.decode(unseal(read_bytes(workspace / FILE), must=False), type=_File).checkpoints
    for choice in found.values():
        if not 0 <= choice.strength <= STRONGEST:
            raise ValueError(f"{choice.strength} is no strength")
    return found


def problem(workspace: Path) -> str:
    """Why the choices of a workspace cannot be read; empty where they can, or there are none."""
    try:
        read_choices(workspace)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        return str(error)
    return ""


def strength_of(workspace: Path, checkpoint: str) -> float:
    """The strength that a checkpoint (0007/epoch-03) of a workspace is sampled with; 1 where none was chosen, or the file is damaged."""
    try:
        return read_choices(workspace).get(checkpoint, Choice()).strength
    except (OSError, ValueError, msgspec.MsgspecError):
        return 1.0


class Choices:
    """The file of a workspace, read again when it changes. A damaged one counts as empty, and is kept aside before it is written anew."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._seen: tuple[int, int, int] | None = None
        """The file as it was read; None: it was absent."""
        self._known: Mapping[str, Choice] = {}
        self._damaged = False

    def all(self) -> Mapping[str, Choice]:
        """Every choice by checkpoint."""
        seen = signature(self._workspace / FILE)
        if seen != self._seen:
            try:
                self._known, self._damaged = read_choices(self._workspace), False
            except (OSError, ValueError, msgspec.MsgspecError):
                self._known, self._damaged = {}, True
            self._seen = seen
        return self._known

    @property
    def damaged(self) -> bool:
        """Whether there are choices that cannot be read."""
        self.all()
        return self._damaged

    def of(self, checkpoint: str) -> Choice:
        """What was chosen for a checkpoint; the base has no strength but its own."""
        return self.all().get(checkpoint, Choice())

    def set_strength(self, checkpoint: str, value: float) -> float:
        """Sample the checkpoint with another strength from now on. Raises FlavorError."""
        if checkpoint == BASE:
            raise FlavorError("The base has no adapter whose strength could be changed.", "Choose a checkpoint first.", "order")
        value = check_strength(value)
        self._put(checkpoint, msgspec.structs.replace(self.of(checkpoint), strength=value))
        return value

    def set_note(self, checkpoint: str, text: str) -> str:
        """Keep a line about a checkpoint; an empty one removes it. Raises FlavorError."""
        note = short(clean_line(text).strip(), NOTE)
        self._put(checkpoint, msgspec.structs.replace(self.of(checkpoint), note=note))
        return note

    def _put(self, checkpoint: str, choice: Choice) -> None:
        """On the disk when this returns."""
        chosen = {name: one for name, one in {**self.all(), checkpoint: choice}.items() if one != Choice()}
        path = self._workspace / FILE
        try:
            if self._damaged:
                keep_aside(self._workspace, path)
            write_atomic(path, seal(msgspec.to_builtins(_File(chosen))))
        except OSError as error:
            raise FlavorError(f"{FILE} could not be written: {error.strerror}.", "Make room, then choose again.", "disk") from None
