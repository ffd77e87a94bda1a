"""A dataset from the hub: brought to this machine by a process of its own that uses the network, and only when asked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
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
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", start_new_session=True,
        cwd=environment.empty_folder(), env=environment.of_download(), pass_fds=environment.token_descriptors(),
    )  # fmt: skip
    said: dict[str, object] = {}
    late = threading.Timer(LONGEST, process.kill)
    late.daemon = True
    late.start()
    with process:
        assert process.stdout is not None
        try:  # its stdin stays open while we wait, which `communicate` would close: it ends with us
            said = json.loads(process.stdout.read().splitlines()[-1])
        except (ValueError, IndexError):
            pass
        finally:
            late.cancel()
            process.kill()
    if "error" in said:
        raise FlavorError(
            clean_line(str(said["error"])), clean_line(str(said.get("hint", ""))), clean_line(str(said.get("kind", "network")))
        )
    if "folder" not in said:
        raise FlavorError(f"The download of {name} did not end.", "Try again; what came stays, and is resumed.", "network")
    return Path(str(said["folder"]))
