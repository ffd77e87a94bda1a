"""The far side of a process that is asked once and answers in JSON lines (`tui/commands/processes.py` is the near one)."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from core import environment
from core.errors import FlavorError
from core.text import to_json


def own_stdout() -> TextIO:
    """The stdout that this process was given, for answers alone: whatever else is printed from now on goes to stderr."""
    wire = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    os.umask(0o077)
    return wire


def take_token() -> None:
    """For a process that speaks to the hub: the token that was handed down, where huggingface_hub looks for it."""
    if token := environment.read_token():
        os.environ["HF_TOKEN"] = token


def end_with_stdin() -> None:
    """From now on the end of stdin ends this process, so that it does not outlive who asked."""
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os._exit(1)


def answer(wire: TextIO, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write each object as it comes; a FlavorError becomes the last one."""
    try:
        for line in lines:
            wire.write(to_json(line) + "\n")
    except FlavorError as error:
        wire.write(to_json({"error": error.message, "hint": error.hint, "kind": error.kind}) + "\n")
