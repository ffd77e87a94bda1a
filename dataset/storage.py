"""A TinyDB storage that loses nothing: TinyDB's own truncates the file in place, ours replaces it atomically and checks what it reads."""

from __future__ import annotations

from pathlib import Path

import msgspec
from tinydb import Storage

from core.errors import FlavorError
from core.files import exists, read_bytes, write_atomic
from dataset.rows import Mark
from dataset.view import META, Raw, pack, unpack


class AtomicStorage(Storage):
    """`TinyDB(path, storage=AtomicStorage)`. Raises FlavorError on a damaged file; never takes one for empty."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self) -> Raw | None:
        try:
            data = read_bytes(self.path) if exists(self.path) else b""
            return unpack(data)[1] if data else None
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            hint = "journal.log beside it has everything; delete this file."
            raise FlavorError(f"{self.path} is damaged: {error}.", hint, "damaged") from None

    def write(self, data: Raw) -> None:
        tables = dict(data)
        meta = tables.pop(META, {}).get("1", {})
        write_atomic(self.path, pack(Mark(meta.get("seq", 0), meta.get("line", ""), meta.get("first", "")), tables))
