"""Which rows are held out. A row's fold depends on its id alone, so that it keeps it for ever and curves stay comparable."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

FOLDS = 5
LEAST = 8
"""With fewer rows none is held out: every one is needed."""


def fold(uid: str) -> int:
    """The fold of a row, 0 to 4."""
    return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8]) % FOLDS


def held_out(uids: Iterable[str]) -> set[str]:
    """The rows of fold 0: at least one and at most a third, once there are eight rows. Give the rows that people wrote."""
    rows = sorted(uids, key=lambda uid: hashlib.sha256(uid.encode()).digest())
    if len(rows) < LEAST:
        return set()
    chosen = [uid for uid in rows if fold(uid) == 0] or rows[:1]
    return set(chosen[: len(rows) // 3])
