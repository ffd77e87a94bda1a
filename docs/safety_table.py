"""The table of promises in docs/safety.md and README.md, from what the suites of tests/safety found.

FLAVOR_TUI_REPORT=docs/safety.jsonl make test       (or make soak: adds a line a suite)
python -m docs.safety_table                         (prints; --write puts both tables into their pages)
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

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
        "malformed files of every kind: one clear error each, nothing imported, bounded in time and memory; the token sought in every "
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


def last_runs() -> dict[str, list[dict[str, str]]]:
    """By suite: its last short run, and its last one in a soak."""
    latest: dict[tuple[str, bool], dict[str, str]] = {}
    for line in FOUND.read_text().splitlines():
        run = json.loads(line)
        latest[run["suite"], run["share"] > 0] = run
    return {suite: [latest[suite, soak] for soak in (False, True) if (suite, soak) in latest] for suite, _ in latest}


def cell(suite: str, runs: dict[str, list[dict[str, str]]]) -> str:
    """What a suite found, for the last column."""
    said = [
        f"{'soak: ' if run['share'] else ''}{run['found']}{'' if run['passed'] else ' **(failed)**'} ({run['day']})" for run in runs[suite]
    ]
    return f"*{suite}*: " + "; ".join(said)


def long_table() -> str:
    runs = last_runs()
    lines = ["| what we promise | how it is tested | the last run |", "|---|---|---|"]
    for promise, how, suites in ROWS:
        lines.append(f"| {promise} | {how} | {'<br>'.join(cell(suite, runs) for suite in suites if suite in runs)} |")
    lines += ["", "Faults planted in the suites at that run, which each had to catch:", ""]
    lines += [f"* {suite}: {runs[suite][0]['caught']}" for _, _, suites in ROWS for suite in suites if suite in runs]
    return "\n".join(lines)


def short_table() -> str:
    runs = last_runs()
    lines = ["| what we promise | the last run |", "|---|---|"]
    for promise, _, suites in ROWS:
        found = [
            f"{run['found'].split('; named')[0].split('; back')[0]}{'' if run['passed'] else ' **(failed)**'}"
            for suite in suites
            if suite in runs
            for run in runs[suite][-1:]
        ]
        lines.append(f"| {promise} | {'<br>'.join(found)} |")
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
