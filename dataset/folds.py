"""Which rows are held out. A row's fold depends on its id alone, so that it keeps it for ever; `held_out` says when it stays on its side."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

FOLDS = 5
LEAST = 8
"""With fewer rows none is held out: every one is needed."""
FIRST = 2
"""Held out of the first eight."""


def fold(uid: str) -> int:
    """The fold of a row, 0 to 4."""
    return int.from_bytes(_digest(uid)[:8]) % FOLDS


def held_out(uids: Iterable[str]) -> set[str]:
    """Two of the first eight rows, of the next eight those of folds 0 and 1, then those of fold 0; never more than a third. Few rows are measured
    by more of them, since one alone tells nothing, and a refit trains on all in any case.

    Give the ids of the rows that people wrote, which sort by time: whether a row is held out goes by it and by those before it alone. So with
    more rows at the end none that was held out is trained on, and none that was trained on is held out. Where an early row is deleted, an
    accepted one mended, which is a person's row from then on, or the clock was set back between two sessions, a few may change sides: a run that goes on
    from another keeps what that was trained on."""
    rows = sorted(uids)
    if len(rows) < LEAST:
        return set()
    chosen = sorted(rows[:LEAST], key=lambda uid: (fold(uid) != 0, _digest(uid)))[:FIRST]
    for count, uid in enumerate(rows[LEAST:], LEAST + 1):
        if fold(uid) <= (count <= 2 * LEAST) and len(chosen) < count // 3:
            chosen.append(uid)
    return set(chosen)


def _digest(uid: str) -> bytes:
    return hashlib.sha256(uid.encode()).digest()
