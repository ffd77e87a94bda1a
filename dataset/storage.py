"""A TinyDB storage that loses nothing: TinyDB's own truncates the file in place, ours replaces it atomically."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from tinydb import Storage

from core.errors import FlavorError
from core.files import write_atomic


class AtomicStorage(Storage):
    """`TinyDB(path, storage=AtomicStorage)`. Raises FlavorError on a damaged file; never takes one for empty."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self) -> dict[str, dict[str, Any]] | None:
        if not self.path.exists() or not self.path.stat().st_size:
            return None
        try:
            data: dict[str, dict[str, Any]] = msgspec.json.decode(self.path.read_bytes(), type=dict[str, dict[str, Any]])
            return data
        except msgspec.MsgspecError as error:
            raise FlavorError(f"{self.path} is damaged: {error}.", "The journal beside it is whole; delete this file.", "damaged") from None

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        write_atomic(self.path, msgspec.json.encode(data))
