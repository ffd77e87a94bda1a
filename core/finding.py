"""What a check of a workspace found, said so that nothing is lost silently."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["well", "note", "mend", "lost"]
"""All is well; harmless or unusual; damaged, but what was there can be had again; lost, and named."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was found at a place of the workspace."""

    level: Level
    where: str
    what: str
    mended: str = ""
    """What the repair did about it."""
