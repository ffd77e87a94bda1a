"""`flavor-tui new` and the demo: workspaces are made."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import msgspec

from core import config
from core.errors import FlavorError
from core.task import Task, parse_fields
from core.text import clean_line
from dataset.importing import read_rows
from tui.commands.output import Line, Output
from tui.session.session import Session

DEMO = "alien-empires"


@dataclass(frozen=True)
class Made:
    """A demo workspace that was made: where, and how many rows it has."""

    workspace: Path
    rows: int


def make_demo(at: Path | None) -> Made:
    """A fresh copy of the demo workspace, in `at` or in the first free folder here."""
    if at is None:
        at = next(path for n in range(1, 10_000) if not (path := Path(f"demo-workspace{'' if n == 1 else f'-{n}'}")).exists())
    config.create(at, config.template(DEMO))
    with Session(at) as session:
        with resources.as_file(resources.files("dataset").joinpath("demo", f"{DEMO}.jsonl")) as path:
            rows = read_rows(path, session.task)
        names = [f"demo{number:03}" for number in range(1, len(rows) + 1)]  # the same ids in every copy: the same folds
        session.import_rows(rows, "the demo's examples", names, kind="demo")  # what it begins with is nothing that one key takes back
    return Made(at, len(rows))


async def new(workspace: Path, heading: str | None, fields: list[str], template: str | None, base: str) -> Output:
    if heading is None and template is None:
        raise FlavorError("A workspace needs a heading.", "--heading TEXT, or --template NAME.")
    task = config.template(template) if template else Task(clean_line(heading or ""))
    if heading:
        task = msgspec.structs.replace(task, heading=clean_line(heading))
    if fields:
        task = msgspec.structs.replace(task, fields=tuple(field for spec in fields for field in parse_fields(spec)))
    config.create(workspace, task, base)
    names = [f.name for f in task.fields]
    made = f" with {', '.join(f'{f.name} ({f.kind})' for f in task.fields)}" if fields else ""
    yield Line({"workspace": str(workspace), "heading": task.heading, "fields": names}, f"{workspace} is ready: # {task.heading}{made}")
