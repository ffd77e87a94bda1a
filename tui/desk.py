"""Which screen and which card was last looked at, so that the next start is where the last one ended, whatever way it ended."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from core.files import PRIVATE, read_bytes, write_all

LENGTH = 200
"""Bytes of the file: each note is one write over the one before. Not synced: a power cut may cost the place, never a decision."""


class Desk:
    """`desk.json` of a workspace. Never raises: a place that cannot be kept is no reason to stop."""

    def __init__(self, workspace: Path, read_only: bool) -> None:
        self._path = workspace / "desk.json"
        self._read_only = read_only
        self.mode = self.card = ""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            note = json.loads(read_bytes(self._path, 4 * LENGTH))
            self.mode, self.card = str(note["mode"])[:20], str(note["card"])[:40]

    def keep(self, mode: str | None = None, card: str | None = None) -> None:
        """Note a change of the screen or the card."""
        mode, card = self.mode if mode is None else mode, self.card if card is None else card
        if (mode, card) == (self.mode, self.card):
            return
        self.mode, self.card = mode, card
        if self._read_only:
            return
        with contextlib.suppress(OSError):
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
            try:
                write_all(handle, json.dumps({"mode": mode, "card": card}).encode().ljust(LENGTH) + b"\n")
            finally:
                os.close(handle)
