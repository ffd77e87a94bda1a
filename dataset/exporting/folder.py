"""The dataset as a folder that `datasets.load_dataset` and the hub take as it is: its splits, what was preferred, and a card."""

from __future__ import annotations

import re
from pathlib import Path

from core.errors import FlavorError
from core.files import write_new
from core.task import Task
from dataset.exporting.card import card
from dataset.exporting.files import jsonl, new_folder
from dataset.exporting.forms import Form, preferences, split_rows, table, with_all_names
from dataset.store import Store

LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{1,40}")
"""As the hub writes licences: cc-by-4.0, cc0-1.0, apache-2.0, other."""


def check_licence(name: str) -> str:
    """Raises FlavorError where it is none; a card without one leaves everybody guessing."""
    if not LICENCE.fullmatch(name):
        raise FlavorError(
            "A card names a licence." if not name else f"{name!r} is no licence as the hub writes them.",
            "For instance --license cc-by-4.0, cc0-1.0, apache-2.0, or `other` with a file of its own.",
        )
    return name


def write_folder(store: Store, task: Task, folder: Path, licence: str, form: Form = "rows", name: str = "") -> dict[str, int]:
    """Write it; rows by file. `name` is what the card calls it. Raises FlavorError without rows or licence, or where the folder is there."""
    check_licence(licence)
    splits = with_all_names({split: table(rows, task, form) for split, rows in split_rows(store.examples).items()})
    if not splits:
        raise FlavorError("There is no example to export.", "Write or accept one first.", "empty")
    files = {f"data/{split}.jsonl": found for split, found in splits.items()}
    for kind in ("dpo", "kto"):
        try:
            found = preferences(store, task, kind)
        except FlavorError:
            continue
        if kind == "dpo" or not all(row["label"] for row in found.rows):  # texts that are all wanted are the examples again
            files[f"preferences/{kind}.jsonl"] = found
    counts = {path: len(found.rows) for path, found in files.items()}
    with new_folder(folder) as staged:
        for path, found in files.items():
            (staged / path).parent.mkdir(exist_ok=True)
            write_new(staged / path, jsonl(found).encode())
        write_new(staged / "README.md", card(store, task, licence, form, counts, name or folder.name).encode())
    return counts
