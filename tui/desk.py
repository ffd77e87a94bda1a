"""Which screen and which card was last looked at, and whether dark or light, so that the next start is where the last one ended, whatever way it ended."""

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
        self.mode = self.card = self.theme = ""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            note = json.loads(read_bytes(self._path, 4 * LENGTH))
            self.mode, self.card = str(note["mode"])[:20], str(note["card"])[:40]
            self.theme = str(note.get("theme", ""))[:20]

    def keep(self, mode: str | None = None, card: str | None = None, theme: str | None = None) -> None:
        """Note a change of the screen, the card or the theme."""
        mode, card, theme = (old if new is None else new for old, new in ((self.mode, mode), (self.card, card), (self.theme, theme)))
        if (mode, card, theme) == (self.mode, self.card, self.theme):
            return
        self.mode, self.card, self.theme = mode, card, theme
        if self._read_only:
            return
        with contextlib.suppress(OSError):
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
            try:
                write_all(handle, json.dumps({"mode": mode, "card": card, "theme": theme}).encode().ljust(LENGTH) + b"\n")
            finally:
                os.close(handle)
