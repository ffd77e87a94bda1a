"""`flavor-tui doctor WORKSPACE`: everything in a workspace is looked at; what can be mended is, if asked; what is lost is named."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from core import config
from core.errors import FlavorError
from core.files import exists, folders_of, keep_aside, names, read_bytes, remove_tree, sha256, stale, write_atomic
from core.finding import Finding
from core.lock import Lock, read_note
from core.place import OURS, refuse_links, warning
from dataset.checkup import check_dataset, mend_dataset
from dataset.snapshots import Snapshot, snapshots
from runs.checkup import check_runs, mend_current
from tui.drafts import read_draft


def examine(workspace: Path, repair: bool) -> list[Finding]:
    """What was found, the gravest last. With `repair`, also what was done about it; no original is overwritten.

    Raises FlavorError where this is no workspace, or where another session holds it and something is to be mended.
    """
    if not any(exists(workspace / name) for name in OURS[:4]):
        raise FlavorError(f"{workspace} is not a workspace.", "Make one: flavor-tui new.", "missing")
    refuse_links(workspace)
    lock = Lock(workspace / "lock")
    found: list[Finding] = []
    try:
        noted = exists(lock.path) and read_note(lock.path) is None
        holder = lock.acquire()
    except OSError as error:
        holder, noted = f"nobody, but the folder cannot be written ({error.strerror})", False
    if holder and repair:
        raise FlavorError(f"{workspace} is open elsewhere: {holder}.", "Close that session first.", "locked")
    try:
        if holder:
            found.append(Finding("note", "lock", f"open elsewhere: {holder}; what it is writing now may look unfinished"))
        elif noted:
            found.append(Finding("note", "lock", "its note was unreadable; it is only a witness, and was written again"))
        parts = (_settings, _dataset, _runs, _drafts, _strays, _modes)
        found += [one for part in parts for one in part(workspace, lock if repair else None)]
    finally:
        lock.release()
    if place := warning(workspace):
        found.append(Finding("note", ".", place))
    return sorted(found, key=lambda one: ("well", "note", "mend", "lost").index(one.level))


def left(found: list[Finding]) -> list[Finding]:
    """What is still damaged: not mended, or lost for good."""
    return [one for one in found if one.level in ("mend", "lost") and not one.mended]


def _dataset(workspace: Path, lock: Lock | None) -> list[Finding]:
    if lock is None:
        return check_dataset(workspace)
    try:
        return mend_dataset(workspace, lock)
    except OSError as error:
        raise FlavorError(
            f"The repair could not be written: {error.strerror}.", "Make room; the originals are as they were.", "disk"
        ) from None


def _last(workspace: Path) -> Snapshot | None:
    return next((one for one in snapshots(workspace) if one.sums), None)


def _settings(workspace: Path, lock: Lock | None) -> list[Finding]:
    """flavor.toml: whether it can be read, and whether it is what it was."""
    path = workspace / config.FILE
    last = _last(workspace)
    where = f"snapshots/{last.folder.name}/{config.FILE}" if last and exists(last.folder / config.FILE) else ""
    try:
        config.load(workspace)
    except FlavorError as error:
        if not where:
            return [Finding("lost", config.FILE, error.message)]
        mended = ""
        if lock and last:
            kept = f"; what it was is kept as damaged/{keep_aside(workspace, path).name}" if exists(path) else ""
            write_atomic(path, read_bytes(last.folder / config.FILE))
            mended = f"taken from {where}{kept}"
        return [Finding("mend", config.FILE, f"{error.message} {where} has it as it was", mended)]
    if last and last.sums and config.FILE in last.sums.files and sha256(path) != last.sums.files[config.FILE].sha256:
        return [Finding("note", config.FILE, f"it was changed since the last session, by you or by damage; {where} has what it was")]
    return [Finding("well", config.FILE, "it can be read")]


def _runs(workspace: Path, lock: Lock | None) -> list[Finding]:
    last = _last(workspace)
    sums = {path: one.sha256 for path, one in last.sums.files.items()} if last and last.sums else {}
    found = check_runs(workspace, sums)
    if lock is None:
        return found
    kept_names = [old.folder / "current" for old in snapshots(workspace) if exists(old.folder / "current")]
    known = [read_bytes(path, 200).decode("utf-8", "replace").strip() for path in kept_names]
    path = workspace / "runs" / "current"
    for number, one in enumerate(found):
        if one.where == "runs/current" and one.level == "mend":
            kept = f"; what it was is kept as damaged/{keep_aside(workspace, path).name}" if exists(path) else ""
            found[number] = msgspec.structs.replace(one, mended=mend_current(workspace, known) + kept)
    return found


def _drafts(workspace: Path, lock: Lock | None) -> list[Finding]:
    found = []
    kept = 0
    for name in names(workspace / "drafts"):
        path = workspace / "drafts" / name
        if not name.endswith(".json"):
            continue
        try:
            read_draft(path)
            kept += 1
        except ValueError as error:
            mended = ""
            if lock:
                aside = keep_aside(workspace, path)
                os.unlink(path)
                mended = f"moved to damaged/{aside.name}, where it can be read"
            found.append(Finding("lost", f"drafts/{name}", f"unsaved text that is damaged: {error}", mended))
    return found or [Finding("well", "drafts", f"{kept} unsaved texts, each whole")]


def _strays(workspace: Path, lock: Lock | None) -> list[Finding]:
    """What killed writers left behind. Every start removes it; it was never part of anything."""
    found = []
    for path in stale(*folders_of(workspace)):
        if lock:
            remove_tree(path)
        found.append(
            Finding("note", str(path.relative_to(workspace)), "left by a writer that died; no part of anything", "removed" if lock else "")
        )
    return found


def _modes(workspace: Path, lock: Lock | None) -> list[Finding]:
    """Files that others on this machine may read."""
    open_ = []
    for name in ("flavor.toml", "journal.log", "dataset.json", "lock"):
        path = workspace / name
        if exists(path) and stat.S_IMODE(os.lstat(path).st_mode) & 0o077:
            open_.append(name)
            if lock:
                os.chmod(path, 0o600)
    what = f"{', '.join(open_)} may be read by other users of this machine"
    return [Finding("note", ".", what, "closed to them" if lock else "")] if open_ else []
