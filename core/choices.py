"""`choices.json`: what the person chose for single checkpoints, its strength and a note. One writer, the session; light enough for an export.

It is no part of a checkpoint's own files: those stay as training wrote them, and their hashes with them.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path

import msgspec

from core.errors import FlavorError
from core.files import exists, read_bytes, seal, signature, unseal, write_atomic
from core.runfiles import BASE
from core.text import clean_line, short

FILE = "choices.json"
STRONGEST = 1.2
"""Beyond, the starter's texts fall apart."""
NOTE = 200
"""Characters of a note."""
UNREADABLE = (OSError, ValueError, RecursionError, msgspec.MsgspecError)
"""What reading a damaged file raises."""


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
    """The choices by checkpoint; none where the file is absent. Raises one of `UNREADABLE` where it is damaged."""
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
    except UNREADABLE as error:
        return str(error)
    return ""


def mend(workspace: Path) -> str:
    """What to do about choices that cannot be read."""
    return f"To mend it, once the workspace is open nowhere: flavor-tui doctor {shlex.quote(str(workspace))} --repair"


class Choices:
    """The file of a workspace, read again when it changes. A damaged one counts as empty, and is never written over: only the doctor knows
    what of it is kept elsewhere."""

    def __init__(self, workspace: Path, had: bool = False) -> None:
        """`had`: whether there were choices, so that a file that is absent is lost."""
        self._workspace = workspace
        self._had = had
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
            except UNREADABLE:
                self._known, self._damaged = {}, True
            self._seen = seen
        return self._known

    @property
    def problem(self) -> str:
        """Why nobody knows what was chosen: the file `is damaged` or `is gone`; empty where it is known."""
        self.all()
        return "is damaged" if self._damaged else "is gone" if self._had and self._seen is None else ""

    def must_be_known(self, what: str) -> None:
        """Raises FlavorError, which says `what` follows, where nobody knows what was chosen."""
        if self.problem:
            raise FlavorError(f"{FILE} {self.problem}: {what}.", mend(self._workspace), "damaged")

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
        self.must_be_known("no strength and no note can be kept")
        chosen = {name: one for name, one in {**self.all(), checkpoint: choice}.items() if one != Choice()}
        try:
            write_atomic(self._workspace / FILE, seal(msgspec.to_builtins(_File(chosen))))
        except OSError as error:
            raise FlavorError(f"{FILE} could not be written: {error.strerror}.", "Make room, then choose again.", "disk") from None
