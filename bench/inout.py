"""What it takes to bring rows in and to take them out: the commands as they are typed, from their start to their end.

`python -m bench.inout` prints a table. Every row has 55 words and two attributes; the files are written by `datasets` or by us.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.common import spread
from core import config
from core.task import Task
from dataset.exporting import table, write_file
from dataset.rows import Example

WORDS = [
    "lamp",
    "keeper",
    "sea",
    "gull",
    "tower",
    "stair",
    "oil",
    "fog",
    "bell",
    "coast",
    "reef",
    "tide",
    "rope",
    "salt",
    "night",
    "ship",
    "light",
    "wind",
    "rock",
    "cliff",
    "letter",
    "cat",
    "kettle",
    "boot",
    "door",
    "key",
    "window",
    "log",
    "storm",
    "gale",
    "ladder",
    "brass",
    "lens",
    "wick",
    "harbour",
    "pilot",
    "chart",
    "anchor",
    "mast",
    "sail",
    "net",
    "crab",
    "heron",
    "seal",
    "island",
    "causeway",
    "lantern",
    "signal",
]
SECONDS = {"import": 3.0, "export": 2.0}
"""What is to be reached, for ten thousand rows."""


def rows(count: int, task: Task) -> list[Example]:
    """Texts with no runs of words in common, as many as are wanted."""
    rng = random.Random(1)
    made = []
    for number in range(count):
        text = " ".join(rng.choice(WORDS) for _ in range(55)).capitalize() + "."
        fields = {"Danger Level": str(rng.randint(1, 5)), "Societal Structure": f"{rng.choice(WORDS)} of {rng.choice(WORDS)}s"}
        made.append(Example(f"row{number:05}", text, task.check(fields), "written", "2026-01-01T00:00:00Z"))
    return made


def timed(*words: str) -> float:
    """Seconds that a command takes. Ends the bench where it fails."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "tui", *words, "--json"], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    json.loads(done.stdout.splitlines()[-1])
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    task = config.template("alien-empires")
    made = rows(args.rows, task)
    print("| what | to reach | measured | |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        full = ""
        for ending, form in (("jsonl", "rows"), ("jsonl", "chat"), ("csv", "rows"), ("md", "raw"), ("parquet", "rows")):
            source = folder / f"{form}.{ending}"
            write_file(table(made, task, form), source)  # type: ignore[arg-type]
            seconds = []
            for number in range(args.rounds):
                full = str(folder / f"{form}-{ending}-{number}")
                config.create(Path(full), task)
                seconds.append(timed("import", full, str(source)))
            said(f"import {args.rows:,} rows, .{ending}{', chat' if form == 'chat' else ''}", "import", seconds)
        for what, words in {
            ".jsonl": ["rows.jsonl"],
            ".jsonl, chat": ["chat.jsonl", "--form", "chat"],
            ".csv": ["rows.csv"],
            ".parquet": ["rows.parquet"],
            "a folder with a card": ["folder", "--license", "mit"],
            "datasets' save_to_disk": ["disk", "--as", "disk"],
        }.items():
            seconds = [
                timed("export", full, "dataset", str(folder / f"out-{number}-{words[0]}"), *words[1:]) for number in range(args.rounds)
            ]
            said(f"export {args.rows:,} rows, {what}", "export", seconds)


def said(what: str, kind: str, seconds: list[float]) -> None:
    reached = "reached" if median(seconds) <= SECONDS[kind] else "missed"
    print(f"| {what} | {SECONDS[kind]:g} s | {spread(seconds)} s | {reached} |", flush=True)


if __name__ == "__main__":
    main()
