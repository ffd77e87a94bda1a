"""`curve.jsonl` and `sweep.jsonl`: measured points of the learning curve and of sweeps, one a line. A point stays true for its rows and
settings for ever."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from core.errors import FlavorError
from core.files import append_line, now, read_jsonl
from core.protocol import Point

FILE = "curve.jsonl"
SWEEP = "sweep.jsonl"


class Kept(msgspec.Struct, frozen=True):
    """A point as it is kept: `settings` is a hash of what it was trained with, `fingerprint` that of the base's weights."""

    point: Point
    settings: str
    fingerprint: str
    created: str


class Points:
    """A file of a workspace. One writer: the session."""

    def __init__(self, workspace: Path, name: str = FILE) -> None:
        self.path = workspace / name
        self._known: tuple[int, list[Kept]] = (-1, [])

    @property
    def version(self) -> int:
        """Changes when points are added."""
        with contextlib.suppress(OSError):
            return self.path.stat().st_size
        return 0

    def all(self) -> list[Kept]:
        """Every point, oldest first; a line that cannot be read is passed over, and its point is measured again."""
        if self._known[0] != (version := self.version):
            found = []
            for value in read_jsonl(self.path):
                with contextlib.suppress(msgspec.ValidationError):
                    found.append(msgspec.convert(value, Kept))
            self._known = (version, found)
        return self._known[1]

    def add(self, point: Point, settings: str, fingerprint: str) -> None:
        """Append a point; it is on the disk when this returns. Raises FlavorError where it cannot be written."""
        line = msgspec.json.encode(Kept(point, settings, fingerprint, now())) + b"\n"
        try:
            append_line(self.path, line)
        except OSError as error:
            raise FlavorError(
                f"{self.path.name} could not be written: {error.strerror}.", "Make room; the points before are kept.", "disk"
            ) from None
