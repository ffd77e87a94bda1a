"""How large each suite of this folder is, its random numbers, and what it found: one table, printed when the tests are over.

`make test` runs the short sizes, `make soak` the long ones. FLAVOR_TUI_SOAK is the share of the long size (1: all of it), FLAVOR_TUI_SECONDS
how long a suite may take at most (it then reports how far it came), FLAVOR_TUI_SEED another seed than 1, FLAVOR_TUI_REPORT a file that what
was found is added to, for `docs/safety_table.py`.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

SIZES: dict[str, tuple[int, int]] = {
    "store killed": (200, 10_000),
    "crash states": (100_000, 1_000_000),
    "crash states of a mutant": (20_000, 100_000),
    "faults of one call": (1, 3),
    "damaged workspaces": (500, 20_000),
    "random operations": (100_000, 10_000_000),
    "draft killed": (8, 500),
    "two sessions": (20, 500),
    "program killed": (20, 500),
    "deaths of the program": (11, 500),
    "keys in a terminal": (200, 2_000),
    "random events": (5_000, 100_000),
    "malformed imports": (10_000, 1_000_000),
    "hostile texts": (100, 2_000),
    "worker faults": (50, 1_000),
    "checkpoints killed": (200, 2_000),
}
"""By suite: how many cases in the short run and in the long one."""

SHARE = float(os.environ.get("FLAVOR_TUI_SOAK") or 0)
SECONDS = float(os.environ.get("FLAVOR_TUI_SECONDS") or math.inf)
SEED = int(os.environ.get("FLAVOR_TUI_SEED") or 1)
figures: list[tuple[str, str, str]] = []
"""Suite, what it found, which planted faults it caught; in the order in which the suites ended."""


def size(name: str) -> int:
    """How many cases of the suite `name` this run looks at."""
    short, long = SIZES[name]
    return max(1, round(long * SHARE)) if SHARE else short


def cases(name: str) -> Iterator[int]:
    """The numbers of a suite's cases, from 0 to its size or until its time is over; one at least."""
    end = time.monotonic() + SECONDS
    for number in range(size(name)):
        if number and time.monotonic() > end:
            return
        yield number


def rng(name: str) -> random.Random:
    """The random numbers of a suite: the same ones at every run with the same seed."""
    return random.Random(f"{name} {SEED}")


def report(name: str, figure: str, caught: str = "") -> None:
    """Keep a suite's figure, and what it said of the faults planted in it, for the table at the end."""
    figures.append((name, figure, caught))


def table() -> list[str]:
    """The lines of the table, without a heading where nothing was reported."""
    if not figures:
        return []
    rows = [("suite", "found", "planted faults"), *figures]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return [f"{name:<{widths[0]}}  {figure:<{widths[1]}}  {caught}".rstrip() for name, figure, caught in rows]


def write_report(passed: bool) -> None:
    """Add what was found to the file that FLAVOR_TUI_REPORT names, a line a suite."""
    if path := os.environ.get("FLAVOR_TUI_REPORT"):
        run = {"share": SHARE, "seed": SEED, "day": f"{datetime.now(UTC):%Y-%m-%d}", "passed": passed}
        with Path(path).open("a") as file:
            file.writelines(json.dumps({"suite": name, "found": found, "caught": caught, **run}) + "\n" for name, found, caught in figures)
