"""Runs and checkpoints of a workspace. A run's status is read from its files, never stored; one file says which checkpoint is active."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core import runfiles
from core.errors import FlavorError
from core.files import publish_folder, read_jsonl, write_atomic
from core.protocol import Row
from core.runfiles import BASE, CheckpointInfo, Pair, Result, RunSpec

NAME = re.compile(r"\d{4,}/epoch-\d{2,}")


@dataclass(frozen=True)
class Run:
    """A run as its folder tells: done, cancelled, failed, running, interrupted, or unreadable (then without a spec)."""

    name: str
    folder: Path
    status: str
    reason: str = ""
    spec: RunSpec | None = None
    result: Result | None = None
    checkpoints: list[CheckpointInfo] = field(default_factory=list)

    def losses(self) -> list[tuple[int, float]]:
        """Training loss by step."""
        return [(int(m["step"]), float(m["loss"])) for m in read_jsonl(self.folder / "metrics.jsonl") if m.get("type") == "step"]

    def held_out(self) -> list[tuple[int, float]]:
        """Held-out loss by epoch; epoch 0 is the parent."""
        measured = (m for m in read_jsonl(self.folder / "metrics.jsonl") if m.get("type") == "epoch")
        return [(int(m["epoch"]), float(m["held_out_loss"])) for m in measured if m.get("held_out_loss") is not None]


class Registry:
    """The folder `runs/` of a workspace."""

    def __init__(self, workspace: Path) -> None:
        self.folder = workspace / "runs"
        self.live = ""
        """The run that the worker of this session is carrying out."""

    def names(self) -> list[str]:
        """Run names, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(entry.name for entry in os.scandir(self.folder) if entry.is_dir() and entry.name.isdigit())

    def runs(self) -> list[Run]:
        """All runs, oldest first. A folder that cannot be read is shown as such and breaks nothing else."""
        return [self.run(name) for name in self.names()]

    def run(self, name: str) -> Run:
        """One run. A damaged one has the status `unreadable`."""
        folder = self.folder / name
        try:
            spec = runfiles.read(folder / "run.json", RunSpec)
            result = runfiles.read(folder / "result.json", Result) if (folder / "result.json").exists() else None
        except FlavorError as error:
            return Run(name, folder, "unreadable", error.message)
        status = result.status if result else "running" if name == self.live else "interrupted"
        checkpoints = []
        for path in sorted((folder / "checkpoints").glob("epoch-*/checkpoint.json")):
            with contextlib.suppress(FlavorError):
                checkpoints.append(runfiles.read(path, CheckpointInfo))
        return Run(name, folder, status, result.reason if result else "", spec, result, checkpoints)

    def checkpoint_folder(self, name: str) -> Path | None:
        """Where a checkpoint's files are; None for the base. Raises FlavorError where there is no such checkpoint."""
        if name == BASE:
            return None
        folder = self.folder / name.replace("/", "/checkpoints/", 1)
        if not NAME.fullmatch(name) or not (folder / "checkpoint.json").is_file():
            last = [info.name for run in self.runs() for info in run.checkpoints][-3:]
            raise FlavorError(f"There is no checkpoint {name!r}.", f"Known: base{''.join(', ' + n for n in last)}.", "missing")
        return folder

    def current(self) -> str:
        """The active checkpoint, or `base`."""
        with contextlib.suppress(OSError):
            name = (self.folder / "current").read_text("utf-8").strip()
            if NAME.fullmatch(name) or name == BASE:
                return name
        return BASE

    def use(self, name: str) -> None:
        """Make a checkpoint (or the base) active. Raises FlavorError where it does not exist."""
        self.checkpoint_folder(name)
        self.folder.mkdir(exist_ok=True)
        try:
            write_atomic(self.folder / "current", name + "\n")
        except OSError as error:
            raise FlavorError(f"runs/current could not be written: {error.strerror}.", "Make room, then choose it again.", "disk") from None

    def next_name(self) -> str:
        """The name of the next run."""
        return f"{int((self.names() or ['0'])[-1]) + 1:04}"

    def create(self, spec: RunSpec, rows: list[Row], pairs: Sequence[Pair] = ()) -> Path:
        """Freeze a run's rows, pairs and settings in its folder, whole or not at all. Returns the folder."""
        data = runfiles.encode_rows(rows)
        assert hashlib.sha256(data).hexdigest() == spec.rows_sha256
        try:
            self.folder.mkdir(exist_ok=True)
            staging = self.folder / f".tmp-{os.getpid()}-{spec.name}"
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            try:
                (staging / "rows.jsonl").write_bytes(data)
                if pairs:
                    (staging / "pairs.jsonl").write_bytes(runfiles.encode_rows(pairs))
                runfiles.write(staging / "run.json", spec)
                publish_folder(staging, self.folder / spec.name)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        except OSError as error:
            raise FlavorError(f"The run could not be written: {error.strerror}.", "Make room; nothing was changed.", "disk") from None
        return self.folder / spec.name

    def rows(self, run: str) -> dict[str, Row]:
        """The frozen rows of a run by id; none where they cannot be read."""
        with contextlib.suppress(FlavorError, OSError):
            spec = runfiles.read(self.folder / run / "run.json", RunSpec)
            return {row.id: row for row in runfiles.read_rows(self.folder / run / "rows.jsonl", spec.rows_sha256)}
        return {}

    def depth(self, checkpoint: str) -> int:
        """The deepest ancestry of what a checkpoint was trained on; 0 for the base, which was trained on none of it."""
        if checkpoint == BASE:
            return 0
        return max((row.depth for row in self.rows(checkpoint.split("/")[0]).values() if not row.held_out), default=0)
