"""Which screen and which card was last looked at, what is fixed for the next candidates, and whether dark or light, so that the next start is where
the last one ended, whatever way it ended."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from core.files import PRIVATE, read_bytes, write_all

LENGTH = 4000
"""Bytes of the file: each note is one write over the one before. Not synced: a power cut may cost the place, never a decision."""


class Desk:
    """`desk.json` of a workspace. Never raises: a place that cannot be kept is no reason to stop."""

    def __init__(self, workspace: Path, read_only: bool) -> None:
        self._path = workspace / "desk.json"
        self._read_only = read_only
        self.mode = self.card = self.theme = ""
        self.fixed: dict[str, str] = {}
        self.since: int | None = None
        """After which line of the journal that was fixed."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            note = json.loads(read_bytes(self._path, 4 * LENGTH))
            self.mode, self.card = str(note["mode"])[:20], str(note["card"])[:40]
            self.theme = str(note.get("theme", ""))[:20]
            self.since = since if isinstance(since := note.get("since"), int) else None
            self.fixed = {name: value for name, value in note.get("fixed", {}).items() if isinstance(value, str)}

    def keep(
        self,
        mode: str | None = None,
        card: str | None = None,
        theme: str | None = None,
        fixed: Mapping[str, str] | None = None,
        since: int | None = None,
    ) -> None:
        """Note a change of the screen, the card, the theme or what is fixed, and since which line of the journal that is; values that are too
        long for the file are not kept."""
        before = self._note()
        self.mode = self.mode if mode is None else mode
        self.card = self.card if card is None else card
        self.theme = self.theme if theme is None else theme
        if fixed is not None and fixed != self.fixed:
            self.fixed, self.since = dict(fixed), since
        if self._note() == before or self._read_only:
            return
        note = self._note()
        if len(note) > LENGTH:
            note = self._note({})
        with contextlib.suppress(OSError):
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
            try:
                write_all(handle, note.ljust(LENGTH) + b"\n")
            finally:
                os.close(handle)

    def _note(self, fixed: Mapping[str, str] | None = None) -> bytes:
        said = self.fixed if fixed is None else fixed
        return json.dumps({"mode": self.mode, "card": self.card, "theme": self.theme, "fixed": said, "since": self.since}).encode()
