"""Which run grew from which, drawn beside the list of runs as a few lanes, the newest run first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

OWN, PASSES, JOINS = "●", "│", "╯"


def lanes(parents: Mapping[str, str | None], newest_first: Sequence[str]) -> dict[str, tuple[str, str]]:
    """For each run its own line of lanes and that of the rows beneath it, until the next run.

    `parents` are runs; one that is not there, or not older than its child, ends its child's lane.
    """
    place = {name: at for at, name in enumerate(newest_first)}
    waiting: list[str | None] = []
    drawn = {}
    for name in newest_first:
        if name in waiting:
            own = waiting.index(name)
        elif None in waiting:
            own = waiting.index(None)
        else:
            own = len(waiting)
            waiting.append(None)
        signs = "".join(OWN if at == own else JOINS if run == name else PASSES if run else " " for at, run in enumerate(waiting))
        parent = parents.get(name)
        below = parent if parent and place.get(parent, -1) > place[name] else None
        waiting = [below if at == own else None if run == name else run for at, run in enumerate(waiting)]
        while waiting and waiting[-1] is None:
            waiting.pop()
        drawn[name] = signs.rstrip(), "".join(PASSES if run else " " for run in waiting)
    return drawn
