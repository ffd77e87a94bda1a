"""What is asked of the hub, as it travels to the process that asks it. Light: imports nothing that could."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
"""OWNER/NAME."""


class Push(msgspec.Struct, frozen=True):
    """What is to be pushed: the files `names` of `folder`, to the repository `repo`."""

    repo: str
    kind: Literal["model", "dataset"]
    folder: str
    names: list[str]
    public: bool = False
    message: str = "From flavor-tui"
