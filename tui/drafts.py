"""Text that is being typed, on the disk within a second, offered again at the next start."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from core.errors import FlavorError
from core.files import read_json, write_json


class Typed(NamedTuple):
    """An unsaved text and its attribute values."""

    text: str
    fields: dict[str, str]


class Draft:
    """One draft of a workspace, by name. Never raises: a draft that cannot be written must not stop the typing."""

    def __init__(self, workspace: Path, name: str) -> None:
        self.path = workspace / "drafts" / f"{name}.json"
        self._last: Typed | None = None

    def read(self) -> Typed | None:
        """What was typed and not saved, if anything."""
        with contextlib.suppress(FlavorError, KeyError, TypeError):
            data = read_json(self.path)
            return Typed(str(data["text"]), {str(k): str(v) for k, v in data["fields"].items()})
        return None

    def keep(self, text: str, fields: dict[str, str]) -> None:
        """Write the draft, if it changed."""
        typed = Typed(text, fields)
        if typed == self._last:
            return
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(exist_ok=True)
            write_json(self.path, {"text": text, "fields": fields})
            self._last = typed

    def drop(self) -> None:
        """It was saved elsewhere, or thrown away."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        self._last = None
