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
from core.lock import Lock
from core.place import OURS, refuse_links, warning
from core.text import check_text, counted
from dataset.checkup import check_dataset, mend_dataset
from dataset.snapshots import Snapshot, snapshots
from dataset.store import Store
from runs.checkup import check_runs, mend_current
from tui.session.drafts import read_draft


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
        holder = lock.acquire()
    except OSError as error:
        holder = f"nobody, but the folder cannot be written ({error.strerror})"
    if holder and repair:
        raise FlavorError(f"{workspace} is open elsewhere: {holder}.", "Close that session first.", "locked")
    try:
        if holder:
            found.append(Finding("note", "lock", f"open elsewhere: {holder}; what it is writing now may look unfinished"))
        elif lock.note is None and exists(workspace / "journal.log"):
            found.append(Finding("note", "lock", "its note was gone, so that nobody can tell whether the journal's end was cut off"))
        parts = (_settings, _dataset, _runs, _drafts, _strays, _modes)
        found += [one for part in parts for one in part(workspace, lock, repair)]
    finally:
        lock.release()
    if place := warning(workspace):
        found.append(Finding("note", ".", place))
    return sorted(found, key=lambda one: ("well", "note", "mend", "lost").index(one.level))


def _dataset(workspace: Path, lock: Lock, repair: bool) -> list[Finding]:
    if not repair:
        return check_dataset(workspace)
    try:
        return mend_dataset(workspace, lock)
    except OSError as error:
        raise FlavorError(
            f"The repair could not be written: {error.strerror}.", "Make room; the originals are as they were.", "disk"
        ) from None


def _last(workspace: Path) -> Snapshot | None:
    return next((one for one in snapshots(workspace) if one.sums), None)


def _settings(workspace: Path, lock: Lock, repair: bool) -> list[Finding]:
    """flavor.toml: whether it can be read, and whether it is what it was."""
    path = workspace / config.FILE
    try:
        settings = config.load(workspace)
        _check_keys(settings)
    except FlavorError as error:
        good = next((one.folder for one in snapshots(workspace) if _can_be_read(one.folder / config.FILE)), None)
        if good is None:
            return [Finding("lost", config.FILE, f"{error.message} No snapshot has it")]
        mended = ""
        if repair:
            kept = f"; what it was is kept as damaged/{keep_aside(workspace, path).name}" if exists(path) else ""
            write_atomic(path, read_bytes(good / config.FILE))
            mended = f"taken from snapshots/{good.name}{kept}"
        return [Finding("mend", config.FILE, f"{error.message} snapshots/{good.name} has it as it was", mended)]
    try:
        config.check_base(workspace, settings.model.base)
    except FlavorError as error:
        return [Finding("lost", config.FILE, f"its base {error}")]
    last = _last(workspace)
    before = last.sums.files.get(config.FILE) if last and last.sums else None
    if last and before and not _same(path, before.sha256):
        what = f"it was changed since the last session, by you or by damage; snapshots/{last.folder.name} has what it was"
        return [Finding("note", config.FILE, what)]
    return [Finding("well", config.FILE, "it can be read")]


def _check_keys(settings: config.Settings) -> None:
    """Raises FlavorError where the screen would not open with the person's own keys."""
    if settings.keys:
        from tui import keys  # the names of keys are Textual's, which nobody waits for who has none of his own

        keys.check(settings.keys)


def _can_be_read(path: Path) -> bool:
    try:
        _check_keys(config.parse(read_bytes(path).decode()))
    except (OSError, ValueError, FlavorError):
        return False
    return True


def _runs(workspace: Path, lock: Lock, repair: bool) -> list[Finding]:
    last = _last(workspace)
    sums = {path: one.sha256 for path, one in last.sums.files.items()} if last and last.sums else {}
    kept_names = [old.folder / "current" for old in snapshots(workspace) if exists(old.folder / "current")]
    found = check_runs(workspace, sums, bool(kept_names))
    if not repair:
        return found
    known = [read_bytes(path, 200).decode("utf-8", "replace").strip() for path in kept_names]
    path = workspace / "runs" / "current"
    for number, one in enumerate(found):
        if one.where == "runs/current" and one.level == "mend":
            kept = f"; what it was is kept as damaged/{keep_aside(workspace, path).name}" if exists(path) else ""
            found[number] = msgspec.structs.replace(one, mended=mend_current(workspace, known) + kept)
    return found


def _drafts(workspace: Path, lock: Lock, repair: bool) -> list[Finding]:
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
            if repair:
                aside = keep_aside(workspace, path)
                os.unlink(path)
                mended = f"moved to damaged/{aside.name}, where it can be read"
            found.append(Finding("lost", f"drafts/{name}", f"unsaved text that is damaged: {error}", mended))
    found += _changed_drafts(workspace, {one.where for one in found})
    return found or [Finding("well", "drafts", f"{counted(kept, 'unsaved text')}, {'whole' if kept == 1 else 'each whole'}")]


def _changed_drafts(workspace: Path, said: set[str]) -> list[Finding]:
    """Unsaved texts of the last session that are no longer as they were."""
    last = _last(workspace)
    if last is None or last.sums is None:
        return []
    what = f"an unsaved text of the last session was changed or thrown away since, or is lost; snapshots/{last.folder.name} has it"
    drafts = {where: one.sha256 for where, one in last.sums.files.items() if where.startswith("drafts/") and where not in said}
    changed = [where for where, sha in drafts.items() if not _same(workspace / where, sha)]
    return [Finding("note", where, what) for where in changed if not _saved(workspace, last.folder / where)]


def _saved(workspace: Path, draft: Path) -> bool:
    """Whether an example is known to be what a draft holds."""
    try:
        typed = read_draft(draft)
        text, fields = check_text(typed.text), {name: value for name, value in typed.fields.items() if value}
        examples = Store(workspace, read_only=True).examples.values()
    except (OSError, ValueError, FlavorError):
        return False
    return any(example.text == text and example.fields == fields for example in examples)


def _same(path: Path, sha: str) -> bool:
    try:
        return sha256(path) == sha
    except OSError:
        return False


def _strays(workspace: Path, lock: Lock, repair: bool) -> list[Finding]:
    """What killed writers left behind. Every start removes it; it was never part of anything."""
    found = []
    for path in stale(*folders_of(workspace)):
        if repair:
            remove_tree(path)
        found.append(
            Finding(
                "note", str(path.relative_to(workspace)), "left by a writer that died; no part of anything", "removed" if repair else ""
            )
        )
    return found


def _modes(workspace: Path, lock: Lock, repair: bool) -> list[Finding]:
    """Files that others on this machine may read, and links that lead out of the workspace."""
    open_, links, waiting = [], [], [workspace / name for name in OURS if exists(workspace / name)]
    while waiting:
        path = waiting.pop()
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            links.append(str(path.relative_to(workspace)))
            continue
        if stat.S_ISDIR(status.st_mode):
            waiting += [path / name for name in names(path)]
        elif stat.S_IMODE(status.st_mode) & 0o077:
            open_.append(path)
            if repair:
                os.chmod(path, stat.S_IMODE(status.st_mode) & ~0o077)
    found = []
    if open_:
        first = ", ".join(str(path.relative_to(workspace)) for path in open_[:4])
        rest = f" and {len(open_) - 4} more files" if len(open_) > 4 else ""
        found.append(Finding("note", ".", f"{first}{rest} may be read by other users of this machine", "closed to them" if repair else ""))
    return found + [Finding("note", link, "a link to elsewhere: nothing is read or written through it") for link in links]
