"""Parquet and Arrow, read by a process of its own that is thrown away: neither its libraries nor a malformed file reach this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from core import environment
from core.errors import FlavorError
from core.text import clean_line
from dataset.importing.bounds import MAX_COLUMNS, MAX_FILES, MAX_LINE, Found, fault, wrong

HUB = "hf://datasets/"
"""Before the id of a dataset on the hub, as pandas and `datasets` write it. Nothing else is looked for on a network."""
SPLIT = "state.json"
"""What `datasets` puts into the folder of every split that it saves."""
DEPTH = 4
"""Folders in folders in which files are looked for."""
NOT_DATA = ("readme", "license", "licence", "dataset_info", "dataset_infos", "dataset_dict", "state", "config", "package", "package-lock")
"""The names of files that stand beside data, without their endings."""
AGAIN, REJECTED = "preferences/dpo.jsonl", "preferences/kto.jsonl"
"""What our own exports have beside `data`: its rows once more, for other trainers. Those that were rejected stand in the second one alone."""


def _said(process: subprocess.Popen[str]) -> Iterator[dict[str, object]]:
    """What the reader says, a line at a time."""
    assert process.stdout is not None
    while line := process.stdout.readline(2 * MAX_LINE):
        try:
            said = json.loads(line)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        yield said


def _table(*paths: Path) -> Found:
    """The rows of tables, read by `core.tables`."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "core.tables", "read", *(str(path.absolute()) for path in paths)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
        cwd=environment.empty_folder(), env=environment.of_worker(), start_new_session=True,
    )  # fmt: skip
    ended = False
    number = 0
    with process:
        try:
            for said in _said(process):
                if "error" in said:
                    wrong(clean_line(str(said["error"])), clean_line(str(said.get("hint", ""))))
                if "end" in said:
                    ended = True
                    break
                row = said.get("row")
                number += 1
                if not isinstance(row, dict) or len(row) > MAX_COLUMNS:
                    wrong(f"row {number} has more than {MAX_COLUMNS} columns.", "Leave out what is not text.")
                yield f"row {number}", row
        finally:
            process.kill()
    if not ended:
        wrong(f"row {number + 1} cannot be read: its reader ended early.", "It is damaged, or far too large. Write it again.")


def parquet(path: Path) -> Found:
    """A Parquet file's rows."""
    return _table(path)


def saved_splits(folder: Path, only: str = "") -> list[Path]:
    """The folders of the splits that `save_to_disk` wrote there; none where it is no such folder. Raises FlavorError on an unknown one."""
    if (folder / SPLIT).is_file():
        return [folder]
    if not (folder / "dataset_dict.json").is_file():
        return []
    splits = sorted(path.parent for path in folder.glob(f"*/{SPLIT}"))
    splits.sort(key=lambda path: path.name != "train")
    if only and only not in [path.name for path in splits]:
        raise fault(f"{folder} has no split {only!r}.", f"It has: {', '.join(path.name for path in splits)}.")
    return [path for path in splits if only in ("", path.name)]


def saved(split: Path) -> Found:
    """The rows of a split that `save_to_disk` wrote, part by part."""
    return _table(*sorted(split.glob("data-*.arrow")))


def find_files(folder: Path, endings: tuple[str, ...], only: str = "") -> list[Path]:
    """The data files of a folder: the runs of a Kiln project, else those with a known ending. Raises FlavorError where there is none.

    `only` takes those whose name or folder is that split's, as the hub has it: `data/train-00000-of-00001.parquet`.
    """
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < DEPTH else []
        found += [Path(place) / name for name in sorted(names) if Path(name).suffix.lower() in endings]
        if len(found) > MAX_FILES:
            raise fault(f"{folder} has more than {MAX_FILES} files.", "Give the folder, or the file, that holds the rows.")
    runs = [path for path in found if path.name == "task_run.kiln"]
    data = runs or [path for path in found if path.suffix != ".kiln" and path.name[0] != "." and path.stem.lower() not in NOT_DATA]
    if any(path.parent == folder / "data" for path in data):
        data = [path for path in data if path != folder / AGAIN]
    if only:
        data = [path for path in data if only in (path.stem.partition("-")[0], path.parent.name)]
    if not data:
        what = f"of a split {only!r} " if only else ""
        raise FlavorError(f"{folder} holds no rows: no file {what}with a known ending.", f"Known: {', '.join(endings)}.", "empty")
    return data
