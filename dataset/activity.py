"""How long a person was at it: when they did what, from the journal, and the time between less the pauses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from core.files import read_bytes

PAUSE = 300.0
"""Seconds: a longer gap is a pause and does not count. Before a text that was typed, so much of it does."""
SITTING = 1800.0
"""Seconds: after a longer gap a new sitting begins."""
MACHINE = frozenset({"sample", "pass", "taken"})
"""Kinds of operations that no person did: what a run makes active is taken whoever is there. (Earlier versions wrote that as `use`.)"""
TYPED = frozenset({"write", "change"})


class Stamp(msgspec.Struct, frozen=True):
    """When an operation was done, and of which kind; the rest of a journal's line is not looked at."""

    time: str
    kind: str


_decoder = msgspec.json.Decoder(Stamp)


@dataclass(frozen=True)
class Act:
    """A thing that a person did: when (seconds since 1970), and whether it was typed."""

    at: float
    typed: bool = False


@dataclass(frozen=True)
class Sitting:
    """A stretch of work: its first and last moment (seconds since 1970), and the active seconds between."""

    began: float
    ended: float
    active: float


@dataclass(frozen=True)
class Activity:
    """All sittings, oldest first."""

    sittings: tuple[Sitting, ...] = ()

    @property
    def active(self) -> float:
        """Seconds, pauses left out."""
        return sum(sitting.active for sitting in self.sittings)

    @property
    def clock(self) -> float:
        """Seconds from the first to the last moment of each sitting."""
        return sum(sitting.ended - sitting.began for sitting in self.sittings)


def seconds_of(time: str) -> float | None:
    """A time as the journal and the runs write it, in seconds since 1970; None where it is none."""
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return datetime.fromisoformat(time).timestamp()
    return None


def acts(journal: Path) -> list[Act]:
    """What a person did, from the journal's lines. One that cannot be read is passed over: others watch over the journal."""
    found = []
    with contextlib.suppress(OSError):
        for line in read_bytes(journal).splitlines():
            with contextlib.suppress(msgspec.MsgspecError):
                stamp = _decoder.decode(line[9:])
                at = seconds_of(stamp.time)
                if stamp.kind not in MACHINE and at is not None:
                    found.append(Act(at, stamp.kind in TYPED))
    return found


def activity(found: Iterable[Act]) -> Activity:
    """The sittings in some acts, in any order."""
    sittings: list[Sitting] = []
    for moment in sorted(found, key=lambda moment: moment.at):
        last = sittings[-1] if sittings else None
        gap = moment.at - last.ended if last else 0.0
        if last is None or gap > SITTING:
            sittings.append(Sitting(moment.at, moment.at, 0.0))
        else:
            counted = gap if gap <= PAUSE else PAUSE if moment.typed else 0.0
            sittings[-1] = Sitting(last.began, moment.at, last.active + counted)
    return Activity(tuple(sittings))
