"""The last ten sessions as they ended, in `snapshots/`: what a repair takes from, and the hashes that runs and settings must have.

snapshots/0042/{journal.log, dataset.json, flavor.toml, current, choices.json, drafts/, sums.json}
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path

import msgspec

from core import choices
from core.files import exists, make_folder, names, publish_folder, read_bytes, remove_tree, seal, sha256, sync_folder, unseal, write_new
from dataset.rows import Mark
from dataset.view import mark_of

KEPT = 10
MOST_BYTES = 256 << 20
"""Of the journals in all snapshots; beyond, fewer than ten are kept, but always two."""
SAME_SESSION = 600
"""Seconds within which a snapshot takes the place of the one before: a command is a session too."""


class Sum(msgspec.Struct, frozen=True):
    """A file as it was."""

    size: int
    modified: int
    """Nanoseconds; only to spare reading what has not been touched."""
    sha256: str


class Sums(msgspec.Struct, frozen=True):
    """`sums.json`."""

    seq: int
    check: str
    """The journal's last line, and its checksum."""
    began: float
    """When the first snapshot was taken whose place this one took; seconds since 1970."""
    files: dict[str, Sum]
    """By path in the workspace."""


class Snapshot(msgspec.Struct, frozen=True):
    """One of the folders. `sums` is None where they are damaged."""

    folder: Path
    sums: Sums | None


def snapshots(workspace: Path) -> list[Snapshot]:
    """All there are, the latest first."""
    return [Snapshot(folder, _sums(folder)) for folder in _folders(workspace)]


def _folders(workspace: Path) -> list[Path]:
    found = [workspace / "snapshots" / name for name in names(workspace / "snapshots") if name.isdigit()]
    return sorted(found, key=lambda folder: int(folder.name), reverse=True)


def with_choices(workspace: Path) -> Path | None:
    """The latest snapshot that has choices which can be read; None where none has."""
    return next((folder for folder in _folders(workspace) if _has_choices(folder)), None)


def _has_choices(folder: Path) -> bool:
    return exists(folder / choices.FILE) and not choices.problem(folder)


def remnants(workspace: Path) -> str:
    """What speaks of a journal that had lines, where there is none any more; empty where nothing does. Raises OSError."""
    if names(workspace / "snapshots"):
        return "snapshots"
    view = workspace / "dataset.json"
    return view.name if exists(view) and os.lstat(view).st_size else ""


def _sums(folder: Path) -> Sums | None:
    try:
        return msgspec.json.decode(unseal(read_bytes(folder / "sums.json")), type=Sums)
    except (OSError, ValueError, msgspec.MsgspecError):
        return None


def take(workspace: Path, mark: Mark) -> bool:
    """Keep the workspace as it is, if it is not what the last snapshot has. Only for its writer. Raises OSError, with nothing changed."""
    old = snapshots(workspace)
    last = old[0].sums if old else None
    files = sums_of(workspace, last.files if last else {})
    if not mark.seq or (last and (last.seq, last.check, last.files) == (mark.seq, mark.check, files)):
        return False
    moment = time.time()
    same = last is not None and 0 <= moment - last.began < SAME_SESSION
    make_folder(workspace / "snapshots")
    number = int(old[0].folder.name) + 1 if old else 1
    staging = workspace / "snapshots" / f".tmp-{number:04}"
    remove_tree(staging)
    os.mkdir(staging, 0o700)
    try:
        _fill(workspace, staging, mark)
        sums = Sums(mark.seq, mark.check, last.began if last and same else moment, files)
        write_new(staging / "sums.json", seal(msgspec.to_builtins(sums)))
        publish_folder(staging, workspace / "snapshots" / f"{number:04}")
    except BaseException:
        with contextlib.suppress(OSError):
            remove_tree(staging)
        raise
    _rotate(workspace, [old[0].folder] if same else [])
    return True


def _fill(workspace: Path, staging: Path, mark: Mark) -> None:
    for path in ("journal.log", "flavor.toml", "runs/current"):
        if exists(workspace / path):
            write_new(staging / path.rpartition("/")[2], read_bytes(workspace / path))
    # A session opens with choices that are damaged or gone, and must not put those in the place of whole ones.
    if whole := workspace if _has_choices(workspace) else with_choices(workspace):
        write_new(staging / choices.FILE, read_bytes(whole / choices.FILE))
    os.mkdir(staging / "drafts", 0o700)
    for name in names(workspace / "drafts"):
        if name.endswith(".json"):
            write_new(staging / "drafts" / name, read_bytes(workspace / "drafts" / name))
    if mark_of(workspace / "dataset.json") == mark:
        try:
            os.link(workspace / "dataset.json", staging / "dataset.json")  # it is replaced, never changed
        except OSError:
            write_new(staging / "dataset.json", read_bytes(workspace / "dataset.json"))


def _rotate(workspace: Path, superseded: list[Path]) -> None:
    total = 0
    gone = superseded
    for number, old in enumerate(snapshots(workspace)):
        with contextlib.suppress(OSError):
            total += os.lstat(old.folder / "journal.log").st_size
        if number >= KEPT or (number >= 2 and total > MOST_BYTES):
            gone.append(old.folder)
    for folder in gone:  # first the name, then what is in it: none is ever there by half
        os.rename(folder, folder.with_name(f".tmp-{folder.name}"))
    if gone:
        sync_folder(workspace / "snapshots")
    for folder in gone:
        remove_tree(folder.with_name(f".tmp-{folder.name}"))


def sums_of(workspace: Path, known: dict[str, Sum]) -> dict[str, Sum]:
    """The settings, choices, drafts and all files of runs, with their hashes; those of the same size and time as `known` are not read again.

    Names beyond ASCII are none of ours, and may be no text."""
    found: dict[str, Sum] = {}
    waiting = [name for name in ("flavor.toml", choices.FILE, "drafts", "runs") if exists(workspace / name)]
    while waiting:
        name = waiting.pop()
        status = os.lstat(workspace / name)
        if stat.S_ISDIR(status.st_mode):
            waiting += [f"{name}/{inner}" for inner in names(workspace / name) if inner.isascii() and not inner.startswith(".")]
        elif stat.S_ISREG(status.st_mode) and name != "runs/current":  # that one changes with every choice
            old = known.get(name)
            if old is None or (old.size, old.modified) != (status.st_size, status.st_mtime_ns):
                with contextlib.suppress(OSError):  # what cannot be read is named by the doctor
                    found[name] = Sum(status.st_size, status.st_mtime_ns, sha256(workspace / name))
            else:
                found[name] = old
    return found
