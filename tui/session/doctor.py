"""`flavor-tui doctor WORKSPACE`: everything in a workspace is looked at; what can be mended is, if asked; what is lost is named."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from core import choices, config
from core.errors import FlavorError
from core.files import exists, folders_of, keep_aside, names, read_bytes, remove_tree, sha256, stale, write_atomic
from core.finding import Finding
from core.lock import Lock, refused
from core.place import OURS, refuse_links, warning
from core.text import counted
from dataset.checkup import check_dataset, mend_dataset
from dataset.snapshots import Snapshot, snapshots, with_choices
from dataset.store import Store
from runs.checkup import check_runs, mend_current
from tui.session.drafts import read_draft, saved


def examine(workspace: Path, repair: bool) -> list[Finding]:
    """What was found, the gravest last. With `repair`, also what was done about it; no original is overwritten.

    Raises FlavorError where this is no workspace, or where something is to be mended and another session holds it, or nobody can write there.
    """
    if not any(exists(workspace / name) for name in OURS[:4]):
        raise FlavorError(f"{workspace} is not a workspace.", "Make one: flavor-tui new.", "missing")
    refuse_links(workspace)
    lock = Lock(workspace / "lock")
    found: list[Finding] = []
    holder, reason = None, ""
    try:
        holder = lock.acquire(write=repair)
    except OSError as error:
        reason = error.strerror or str(error)
    if repair and (holder or reason):
        raise refused(workspace, holder or "", reason)
    try:
        if reason:
            found.append(Finding("note", "lock", f"the workspace cannot be written: {reason}"))
        elif holder:
            found.append(Finding("note", "lock", f"open elsewhere: {holder}; what it is writing now may look unfinished"))
        elif lock.unsure(_lines(workspace)):
            what = "it does not tell where the journal ended, so that nobody can tell whether its end was cut off"
            found.append(Finding("note", "lock", what))
        parts = (_settings, _choices, _dataset, _runs, _drafts, _strays, _modes)
        found += [one for part in parts for one in part(workspace, lock, repair)]
    finally:
        lock.release()
    if place := warning(workspace):
        found.append(Finding("note", ".", place))
    return sorted(found, key=lambda one: ("well", "note", "mend", "lost").index(one.level))


def _lines(workspace: Path) -> int:
    """Of the journal, as far as it can be read."""
    try:
        return read_bytes(workspace / "journal.log").count(b"\n")
    except OSError:
        return 0


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
        mended = _take(path, good) if repair else ""
        return [Finding("mend", config.FILE, f"{error.message} snapshots/{good.name} has it as it was", mended)]
    try:
        config.check_base(workspace, settings.model.base)
    except FlavorError as error:
        return [Finding("lost", config.FILE, f"its base {error}")]
    return _changed(path)


def _take(path: Path, snapshot: Path) -> str:
    """Put a snapshot's file in a workspace; what was there is kept. Says so."""
    kept = f"; what it was is kept as damaged/{keep_aside(path.parent, path).name}" if exists(path) else ""
    write_atomic(path, read_bytes(snapshot / path.name))
    return f"taken from snapshots/{snapshot.name}{kept}"


def _changed(path: Path) -> list[Finding]:
    """Whether a file that can be read is what it was at the end of the last session."""
    last = _last(path.parent)
    before = last.sums.files.get(path.name) if last and last.sums else None
    if last and before and not _same(path, before.sha256):
        what = f"it was changed since the last session, by you or by damage; snapshots/{last.folder.name} has what it was"
        return [Finding("note", path.name, what)]
    return [Finding("well", path.name, "it can be read")]


def _choices(workspace: Path, lock: Lock, repair: bool) -> list[Finding]:
    """choices.json, the same; there need not be one, and sessions write it before they end."""
    path = workspace / choices.FILE
    good = with_choices(workspace)
    gone = not exists(path) and good is not None
    problem = "it was there at the end of an earlier session, and is gone" if gone else choices.problem(workspace)
    if not problem:
        if good and not _same(path, sha256(good / path.name)):
            what = "it was changed since the last session ended, by one that is open or was killed, by you, or by damage"
            return [Finding("note", path.name, f"{what}; snapshots/{good.name} has what it was")]
        return [Finding("well", path.name, "it can be read")] if exists(path) else []
    mended = ""
    if good is None:
        if repair:
            mended = f"moved to damaged/{keep_aside(workspace, path).name}, where it can be read"
            os.unlink(path)
        return [Finding("lost", path.name, f"strengths and notes: {problem}. No snapshot has them", mended)]
    if repair:
        mended = _take(path, good)
    return [Finding("mend", path.name, f"strengths and notes: {problem}. snapshots/{good.name} has what they were", mended)]


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
        return saved(read_draft(draft), Store(workspace, read_only=True).examples.values())
    except (OSError, ValueError, FlavorError):
        return False


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
