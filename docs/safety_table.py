"""The table of promises in docs/safety.md and README.md, from what the suites of tests/safety found.

FLAVOR_TUI_REPORT=docs/safety.jsonl make test       (or make soak: adds a line a suite)
python -m docs.safety_table                         (prints; --write puts both tables into their pages)
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FOUND = HERE / "safety.jsonl"
BEGIN, END = "<!-- promises -->", "<!-- /promises -->"
ROWS = (
    (
        "A decision on the screen is on the disk",
        "the store killed with kill -9 at random instants; the program killed in a terminal, its decisions read off the screen; every legal "
        "state after a power cut of a recording file system; every call of every scenario failing in turn",
        ("store killed", "program killed in a terminal", "crash states", "faults of one call"),
    ),
    (
        "Typed text that is not saved yet loses a second or 20 keys at most",
        "the app killed while somebody types",
        ("draft killed",),
    ),
    (
        "Any process may die at any time; the terminal is usable afterwards, no orphan is left",
        "the screen and its launcher killed, aborted, hung up, stopped, resized in a real terminal; a worker that dies, hangs or talks "
        "nonsense; random keys, clicks, pastes and sizes",
        ("deaths of the program", "worker faults", "random operations", "random events on the real app", "random keys in a terminal"),
    ),
    (
        "A checkpoint is whole or absent",
        "publishing killed; damaged and foreign adapters, each refused by name",
        ("checkpoints killed", "damaged and foreign checkpoints"),
    ),
    (
        "Shown is stored is trained on",
        "hostile texts on every screen and in every command, read off a terminal",
        ("hostile texts",),
    ),
    ("One writer", "three sessions at once, the writer killed now and then", ("two sessions",)),
    (
        "No one gets in",
        "malformed files of every kind: one clear error each, nothing imported, bounded in memory, its time reported; the token sought in every "
        "process and file",
        ("malformed imports", "tokens"),
    ),
    (
        "Damage is mended or named",
        "workspaces damaged at random, then `flavor-tui doctor WORKSPACE --repair`",
        ("damaged workspaces",),
    ),
)
"""Promise, how it is tested, the suites."""


Runs = dict[tuple[str, bool], dict[str, Any]]


def last_runs() -> Runs:
    """By suite, and whether it was a long run: the last one."""
    return {(run["suite"], run["share"] > 0): run for run in map(json.loads, FOUND.read_text().splitlines())}


def cell(suites: tuple[str, ...], runs: Runs, long: bool, full: bool) -> str:
    """What the suites of a promise found in their last short or long run, a line each; `full` with names, seconds and days."""
    said = []
    for suite in suites:
        if run := runs.get((suite, long)):
            found = run["found"] if full else run["found"].split("; named")[0].split("; back")[0]
            share = f", {run['share']:.0%} of the long size" if 0 < run["share"] < 1 else ""
            failed = "" if run["passed"] else " **(failed)**"
            said.append(f"*{suite}*: {found}{failed} ({run['day']}{share})" if full else f"{found}{failed}")
    return "<br>".join(said)


def long_table() -> str:
    runs = last_runs()
    lines = ["| what we promise | how it is tested | `make test` | `make soak` |", "|---|---|---|---|"]
    for promise, how, suites in ROWS:
        lines.append(f"| {promise} | {how} | {cell(suites, runs, False, True)} | {cell(suites, runs, True, True)} |")
    lines += ["", "Faults planted in the suites at the short run, which each had to catch:", ""]
    lines += [f"* {suite}: {runs[suite, False]['caught']}" for _, _, suites in ROWS for suite in suites if (suite, False) in runs]
    return "\n".join(lines)


def short_table() -> str:
    runs = last_runs()
    lines = ["| what we promise | `make test` | `make soak` |", "|---|---|---|"]
    lines += [f"| {promise} | {cell(suites, runs, False, False)} | {cell(suites, runs, True, False)} |" for promise, _, suites in ROWS]
    return "\n".join(lines)


def put(page: Path, table: str) -> None:
    """Put a table between a page's marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{page} has no {BEGIN} ... {END}")
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into their pages")
    if parser.parse_args().write:
        put(HERE / "safety.md", long_table())
        put(HERE.parent / "README.md", short_table())
    else:
        print(long_table(), short_table(), sep="\n\n")


if __name__ == "__main__":
    main()
