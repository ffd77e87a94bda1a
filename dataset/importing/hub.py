"""A dataset from the hub: brought to this machine by a process of its own, the only one that uses the network, and only when asked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from core import environment
from core.errors import FlavorError
from core.text import clean_line, short

ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
LONGEST = 600
"""Seconds that it may take."""


def fetch(name: str) -> Path:
    """The folder that a dataset was downloaded into. Raises FlavorError with the reason where it could not be."""
    if not ID.fullmatch(name):
        raise FlavorError(f"{short(name)!r} is no id of a dataset.", "hf://datasets/OWNER/NAME, as on its page.", "import")
    command = [sys.executable, "-P", "-m", "core.hub.hubdata", name]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
        cwd=environment.empty_folder(), env=environment.of_download(), pass_fds=environment.token_descriptors(),
    )  # fmt: skip
    said: dict[str, object] = {}
    try:  # its stdin stays open while we wait: it ends with us
        out, _ = process.communicate(timeout=LONGEST)
        said = json.loads(out.splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError):
        process.kill()
        process.communicate()
    if "error" in said:
        raise FlavorError(
            clean_line(str(said["error"])), clean_line(str(said.get("hint", ""))), clean_line(str(said.get("kind", "network")))
        )
    if "folder" not in said:
        raise FlavorError(f"The download of {name} did not end.", "Try again; what came stays, and is resumed.", "network")
    return Path(str(said["folder"]))
