"""How often a person finds the next card ready: `python -m bench.ready [--minutes 5] [--pace 6]`.

The real app and worker, on the starter, with 30 written rows. Every `pace` seconds a key decides the card on the screen, accepting and
rejecting by turns; after every eighth accepted text `t` retrains, once something of the last checkpoint was seen, and deciding goes on beside
it. A decision whose card was not there yet is one that had to wait. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.common import workspace
from tui.app import FlavorApp

ROUND = 8
"""Accepted texts after which the person retrains."""


async def _evening(there: Path, minutes: float, pace: float) -> dict[str, float]:
    app = FlavorApp(there)
    ready, waited, accepted, beside, retrains = 0, 0, 0, 0, 0
    first: list[float] = []
    async with app.run_test(size=(80, 24)) as pilot:
        while app.session.loaded is None:
            await pilot.pause(0.2)
        await pilot.press("t")
        while app.session.registry.current() == "base" or not app.session.newest():
            await pilot.pause(0.2)  # the evening begins with a first checkpoint and its candidates
        asked, known = 0.0, ""
        for tick in range(int(minutes * 60 / pace)):
            until = time.perf_counter() + pace
            while time.perf_counter() < until:
                await pilot.pause(0.1)
                current = app.session.registry.current()
                if asked and current != known and any(c.checkpoint == current for c in app.session.newest()):
                    first.append(time.perf_counter() - asked)
                    asked = 0.0
            if not app.screen.shown:  # type: ignore[attr-defined]
                waited += 1
                continue
            ready += 1
            beside += app.jobs.doing == "training"
            app.simulate_key("x" if tick % 2 else "a")
            accepted += not tick % 2
            if accepted >= ROUND and not asked and app.jobs.doing != "training":
                await pilot.pause(0.2)
                accepted, asked, retrains, known = 0, time.perf_counter(), retrains + 1, app.session.registry.current()
                app.simulate_key("t")
        app.jobs.cancel()
        await pilot.pause(1)
    share = ready / max(1, ready + waited)
    found = {"ready": share, "decisions": ready + waited, "beside_training": beside, "retrains": retrains}
    return {**found, "seconds_to_the_first_new_candidate": median(first)} if first else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--pace", type=float, default=6, help="seconds that the person reads a card")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["FLAVOR_TUI_STATE"] = scratch
        there = workspace(Path(scratch) / "evening", 30)
        print(json.dumps(asyncio.run(_evening(there, args.minutes, args.pace))))


if __name__ == "__main__":
    main()
