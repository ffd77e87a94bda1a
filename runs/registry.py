"""Runs and checkpoints of a workspace. A run's status is read from its files, never stored; one file says which checkpoint is active."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec

from core import runfiles
from core.errors import FlavorError
from core.files import (
    exists,
    is_folder,
    make_folder,
    names,
    publish_folder,
    read_bytes,
    read_jsonl,
    remove_tree,
    signature,
    write_atomic,
    write_new,
)
from core.protocol import Row
from core.runfiles import BASE, CHECKPOINT, CheckpointInfo, Pair, Result, RunSpec, is_refit, measured_by

RUN = re.compile(r"\d{4,18}")
KINDS = ("epoch-", "refit-")
"""How the folders of checkpoints begin."""


@dataclass(frozen=True)
class Run:
    """A run as its folder tells: done, cancelled, failed, running, interrupted, or newer or unreadable (then without a spec)."""

    name: str
    folder: Path
    status: str
    reason: str = ""
    spec: RunSpec | None = None
    result: Result | None = None
    epochs: tuple[str, ...] = ()
    """The folders of its checkpoints, whole or not, in order; a refit after the epoch that it repeats."""
    _told: dict[str, CheckpointInfo | str] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def checkpoints(self) -> list[CheckpointInfo]:
        """Its checkpoints that can be read, read when first asked for."""
        return [told for epoch in self.epochs if isinstance(told := self._tell(epoch), CheckpointInfo)]

    def checkpoint(self, name: str | None) -> CheckpointInfo | None:
        """One of its checkpoints, the others unread; None where it cannot be read."""
        epoch = (name or "").removeprefix(f"{self.name}/")
        told = self._tell(epoch) if epoch in self.epochs else None
        return told if isinstance(told, CheckpointInfo) else None

    @cached_property
    def damaged(self) -> dict[str, str]:
        """Its checkpoints that cannot be read, and why."""
        return {f"{self.name}/{epoch}": told for epoch in self.epochs if isinstance(told := self._tell(epoch), str)}

    def _tell(self, epoch: str) -> CheckpointInfo | str:
        """What a checkpoint says of itself, or why it cannot be read. Read once. A refit has the held-out measures of its epoch, whatever
        it says itself: it was trained on those rows."""
        if epoch not in self._told:
            try:
                told = runfiles.read(self.folder / "checkpoints" / epoch / "checkpoint.json", CheckpointInfo)
                self._told[epoch] = self._measured_elsewhere(epoch, told) if is_refit(f"{self.name}/{epoch}") else told
            except FlavorError as error:
                self._told[epoch] = error.message
        return self._told[epoch]

    def _measured_elsewhere(self, refit: str, told: CheckpointInfo) -> CheckpointInfo | str:
        name = f"{self.name}/{refit}"
        if (told.name, told.measured_by) != (name, measured_by(name)):
            return f"{name} holds another checkpoint, {told.name}, measured by {told.measured_by}."
        own = self.checkpoint(measured_by(name))
        return msgspec.structs.replace(
            told,
            held_out_loss=own.held_out_loss if own else None,
            p_end=own.p_end if own else None,
            p_end_early=own.p_end_early if own else None,
            recall_held_out=own.recall_held_out if own else None,
        )

    def losses(self) -> list[tuple[int, float]]:
        """Training loss by step."""
        return [(int(step), loss) for step, loss in self._measured("step", "step", "loss")]

    def held_out(self) -> list[tuple[int, float]]:
        """Held-out loss by epoch; epoch 0 is the parent."""
        return [(int(epoch), loss) for epoch, loss in self._measured("epoch", "epoch", "held_out_loss")]

    def _measured(self, kind: str, *names: str) -> Iterator[tuple[float, ...]]:
        """The numbers of one kind of line; lines without them, whoever wrote them, are left out."""
        for line in read_jsonl(self.folder / "metrics.jsonl"):
            if isinstance(line, dict) and line.get("type") == kind:
                values = [value for name in names if isinstance(value := line.get(name), int | float) and math.isfinite(value)]
                if len(values) == len(names):
                    yield tuple(values)

    def base_loss(self) -> float | None:
        """Held-out loss of the base, measured at the start."""
        return next((float(loss) for (loss,) in self._measured("epoch", "base_loss")), None)


class Registry:
    """The folder `runs/` of a workspace."""

    def __init__(self, workspace: Path) -> None:
        self.folder = workspace / "runs"
        self.live = ""
        """The run that the worker of this session is carrying out."""
        self.uses = 0
        """How often a checkpoint was made active here, also one that was so already."""
        self.spoken_of: Callable[[], Iterable[str]] = tuple
        """The runs, the checkpoints and the base that the rest of the workspace speaks of."""
        self._known: dict[str, tuple[object, Run]] = {}
        """Runs that ended, with the signatures of the files they were read from."""

    def names(self) -> list[str]:
        """Run names, oldest first; none where the folder cannot be read."""
        with contextlib.suppress(OSError):
            return [name for name in names(self.folder) if RUN.fullmatch(name)]
        return []

    def runs(self) -> list[Run]:
        """All runs, oldest first. A folder that cannot be read is shown as such and breaks nothing else."""
        return [self.run(name) for name in self.names()]

    def strangers(self) -> list[str]:
        """Folders among the runs that are none of ours."""
        with contextlib.suppress(OSError):
            return [
                entry.name for entry in os.scandir(self.folder) if entry.is_dir() and not RUN.fullmatch(entry.name) and entry.name[0] != "."
            ]
        return []

    def run(self, name: str) -> Run:
        """One run. A damaged one has the status `unreadable`, one of a newer version `newer`. Read again only when its files changed."""
        folder = self.folder / name
        try:
            if exists(folder) and not is_folder(folder):
                return Run(name, folder, "unreadable", "it is a link to elsewhere, or a file")
            there = [name for name in names(folder / "checkpoints") if name.startswith(KINDS)]
            epochs = tuple(sorted(there, key=lambda name: (len(name.partition("-")[2]), name.partition("-")[2], name)))
        except OSError as error:
            return Run(name, folder, "unreadable", str(error))
        files = ("run.json", "result.json", *(f"checkpoints/{epoch}/checkpoint.json" for epoch in epochs))
        at = str(folder)
        seen = tuple(signature(f"{at}/{file}") for file in files)
        known = self._known.get(name)
        if known and known[0] == (epochs, seen):
            return known[1]
        run = self._read(name, folder, epochs)
        if run.result:
            self._known[name] = (epochs, seen), run
        return run

    def _read(self, name: str, folder: Path, epochs: tuple[str, ...]) -> Run:
        try:
            spec = runfiles.read(folder / "run.json", RunSpec)
            result = runfiles.read(folder / "result.json", Result) if exists(folder / "result.json") else None
        except (FlavorError, OSError) as error:
            newer = isinstance(error, FlavorError) and error.kind == "newer"
            return Run(name, folder, "newer" if newer else "unreadable", str(error), epochs=epochs)
        going_on = name == self.live or runfiles.going_on(folder)
        status = result.status if result else "running" if going_on else "interrupted"
        return Run(name, folder, status, result.reason if result else "", spec, result, epochs)

    @property
    def interrupted(self) -> str:
        """The last run, where it was interrupted; else empty."""
        last = next(reversed(self.names()), "")
        return last if last and self.run(last).status == "interrupted" else ""

    def checkpoint_folder(self, name: str) -> Path | None:
        """Where a checkpoint's files are; None for the base. Raises FlavorError where there is no such checkpoint."""
        if name == BASE:
            return None
        folder = self.folder / name.replace("/", "/checkpoints/", 1)
        there = False
        with contextlib.suppress(OSError):
            there = bool(CHECKPOINT.fullmatch(name)) and exists(folder / "checkpoint.json") and folder.resolve() == folder
        if not there:
            known = [info.name for run in self.runs() for info in run.checkpoints]
            more = f", and {len(known) - 3} earlier ones (`flavor-tui runs`)" if len(known) > 3 else ""
            raise FlavorError(f"There is no checkpoint {name!r}.", f"Known: base{''.join(', ' + n for n in known[-3:])}{more}.", "missing")
        return folder

    def current(self) -> str:
        """The active checkpoint, or `base`."""
        with contextlib.suppress(OSError):
            name = read_bytes(self.folder / "current", 200).decode("utf-8", "replace").strip()
            if CHECKPOINT.fullmatch(name) or name == BASE:
                return name
        return BASE

    def use(self, name: str) -> None:
        """Make a checkpoint (or the base) active. Raises FlavorError where it does not exist."""
        self.checkpoint_folder(name)
        try:
            make_folder(self.folder)
            write_atomic(self.folder / "current", name + "\n")
        except OSError as error:
            raise FlavorError(f"runs/current could not be written: {error.strerror}.", "Make room, then choose it again.", "disk") from None
        self.uses += 1

    def measure_of(self, checkpoint: str) -> str | None:
        """The checkpoint whose held-out loss stands for another's; None where it is not there: its run goes on, or was stopped before."""
        name = measured_by(checkpoint)
        with contextlib.suppress(FlavorError):
            self.checkpoint_folder(name)
            return name
        return None

    def next_name(self) -> str:
        """The name of the next run: after all that a file of the workspace still speaks of, for what is known of a run whose folder was removed
        by hand would be taken for the new one's."""
        spoken = {name.partition("/")[0] for name in (self.current(), *self.spoken_of())}
        return f"{max(map(int, (*self.names(), *filter(RUN.fullmatch, spoken))), default=0) + 1:04}"

    def create(self, spec: RunSpec, rows: list[Row], pairs: Sequence[Pair] = ()) -> Path:
        """Freeze a run's rows, pairs and settings in its folder, whole or not at all. Returns the folder."""
        runfiles.check_parent(spec.parent)
        data = runfiles.encode_rows(rows)
        assert hashlib.sha256(data).hexdigest() == spec.rows_sha256
        try:
            make_folder(self.folder)
            staging = self.folder / f".tmp-{spec.name}"
            remove_tree(staging)
            os.mkdir(staging, 0o700)
            try:
                write_new(staging / "rows.jsonl", data)
                if pairs:
                    write_new(staging / "pairs.jsonl", runfiles.encode_rows(pairs))
                runfiles.write(staging / "run.json", spec)
                publish_folder(staging, self.folder / spec.name)
            except BaseException:
                with contextlib.suppress(OSError):
                    remove_tree(staging)
                raise
        except OSError as error:
            raise FlavorError(f"The run could not be written: {error.strerror}.", "Make room, then retrain again.", "disk") from None
        return self.folder / spec.name

    def rows(self, run: str) -> dict[str, Row]:
        """The frozen rows of a run by id; none where they cannot be read."""
        with contextlib.suppress(FlavorError, OSError):
            spec = runfiles.read(self.folder / run / "run.json", RunSpec)
            return {row.id: row for row in runfiles.read_rows(self.folder / run / "rows.jsonl", spec.rows_sha256)}
        return {}

    def depth(self, checkpoint: str) -> int:
        """The deepest ancestry of what a checkpoint was trained on; 0 for the base, which was trained on none of it."""
        return max((row.depth for row in self.learned(checkpoint).values()), default=0)

    def learned(self, checkpoint: str) -> dict[str, Row]:
        """The rows by id that a checkpoint's run trained it on; none for the base."""
        rows = {} if checkpoint == BASE else self.rows(checkpoint.split("/")[0])
        return rows if is_refit(checkpoint) else {uid: row for uid, row in rows.items() if not row.held_out}
