"""The workspaces that were opened last, kept in the user's state folder."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from core.config import FILE
from core.errors import FlavorError
from core.files import state_folder, write_json
from core.reading import read_json

KEPT = 8


def recent() -> list[Path]:
    """Workspaces opened before that are still there, the latest first. One that cannot be reached, on a disk that is gone or behind a folder
    that may not be entered, is not there: `Path.exists` would raise."""
    with contextlib.suppress(FlavorError, OSError, TypeError):
        return [Path(str(name)) for name in read_json(state_folder() / "recent.json") if os.path.exists(Path(str(name)) / FILE)]
    return []


def remember(workspace: Path) -> None:
    """Put a workspace first. Never raises: a list that cannot be kept is no reason to stop."""
    with contextlib.suppress(FlavorError, OSError, UnicodeError):  # a path may be no text
        names = [str(workspace.resolve()), *(str(path) for path in recent() if path != workspace.resolve())]
        state_folder().mkdir(parents=True, exist_ok=True)
        write_json(state_folder() / "recent.json", names[:KEPT])
