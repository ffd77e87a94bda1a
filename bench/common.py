"""What the benches share: rows, workspaces, subprocesses that print one JSON line, medians."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from statistics import median
from typing import Any

from core.config import template
from core.environment import of_worker
from core.protocol import Row
from core.task import Field, Task
from dataset.importing import read_rows
from dataset.rows import Parsed
from tui.session.session import Session


def demo_rows() -> list[Parsed]:
    """The demo's texts with their attributes."""
    with resources.as_file(resources.files("dataset").joinpath("demo/alien-empires.jsonl")) as path:
        return read_rows(path, template("alien-empires"))


HERE = Path(__file__).parent
OPEN_TEXTS = HERE.parent.parent / "shared" / "data" / "spells.jsonl"
"""Ninety texts by others, not part of the project: a bench that wants them says so where they are absent."""
TASKS: dict[str, Callable[[], Task]] = {
    "checks": lambda: template("skill-checks"),
    "empires": lambda: template("alien-empires"),
    "paintings": lambda: template("image-prompts"),
    "spells": lambda: Task("Spell", fields=tuple(Field(name) for name in ("Name", "School", "Level", "Range"))),
}
"""The kinds of text that are measured on."""


def rows_of(task: str) -> list[Parsed]:
    """The rows of one of `TASKS`, in an order that is the same every time."""
    if task == "empires":
        return demo_rows()
    path = {"checks": HERE / "tasks/skill-checks.jsonl", "paintings": HERE / "tasks/paintings.jsonl"}.get(task, OPEN_TEXTS)
    if not path.exists():
        raise SystemExit(f"{path.name} is not there: it is no part of the project")
    rows = read_rows(path, TASKS[task]())
    if task == "spells":
        random.Random(5).shuffle(rows)
        rows = [row for row in rows if len(row[0]) < 700][:52]
    return rows


def wire_rows(count: int) -> list[Row]:
    """Training rows of the demo."""
    task = template("alien-empires")
    return [Row(str(number), task.segments(fields), text) for number, (text, fields) in enumerate(demo_rows()[:count])]


def measure(module: str, *words: str) -> dict[str, Any]:
    """Run a measurement in a process of its own, one of ours in the worker's environment; the JSON object in its last line."""
    environment = of_worker() if any(word.startswith("ours") for word in words) else None
    done = subprocess.run([sys.executable, "-m", module, *words], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{module} {' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def spread(values: list[float], form: str = "{:.2f}") -> str:
    """Median, and the least and greatest where there are several."""
    middle = form.format(median(values))
    return middle if len(values) == 1 else f"{middle} ({form.format(min(values))} to {form.format(max(values))})"


def fill(session: Session, count: int) -> None:
    """The demo's first rows, with ids that are the same every time."""
    session.import_rows(demo_rows()[:count], "bench", [f"demo{number:03}" for number in range(1, count + 1)])


def workspace(folder: Path, rows: int) -> Path:
    """A demo workspace with some rows."""
    from core import config

    config.create(folder, template("alien-empires"))
    with Session(folder) as session:
        fill(session, rows)
    return folder
