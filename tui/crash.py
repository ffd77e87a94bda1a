"""A fault of the program itself: said in one line, and kept in logs/screen.log without the local variables, which hold texts."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
from pathlib import Path

from core.environment import mask
from core.files import make_folder, now
from core.text import clean, short

LARGEST = 1 << 20
"""Bytes of the log; what is older than that is no longer of use."""


class CrashLog:
    """`logs/screen.log` of a workspace. Never raises."""

    def __init__(self, workspace: Path) -> None:
        self._path = workspace / "logs" / "screen.log"

    def record(self, error: BaseException, where: str = "") -> str:
        """Keep a fault; one line that says what it was."""
        text = mask(clean("".join(traceback.format_exception(error))))
        with contextlib.suppress(OSError):
            make_folder(self._path.parent)
            full = self._path.exists() and self._path.stat().st_size > LARGEST
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_TRUNC if full else os.O_APPEND)
            handle = os.open(self._path, flags, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(f"{now()} {where}\n{text}\n")
        return short(mask(f"{type(error).__name__}: {error}"), 200)

    def watch_threads(self) -> None:
        """Record what goes wrong where nobody waits for it: in threads, and while something is taken down."""
        threading.excepthook = lambda args: self._lost(args.exc_value, "in a thread")
        sys.unraisablehook = lambda args: self._lost(args.exc_value, "in a clean-up")

    def _lost(self, error: BaseException | None, where: str) -> None:
        if error is not None:
            self.record(error, where)

    def lost_task(self, _: object, context: dict[str, object]) -> None:
        """For asyncio's loop: a task whose fault nobody asked for."""
        error = context.get("exception")
        self._lost(error if isinstance(error, BaseException) else RuntimeError(str(context.get("message"))), "in a task")
