"""A copy of a workspace elsewhere, from memory where the disk no longer gives it: all texts, decisions and drafts. No screen."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from core import config
from core.errors import FlavorError
from core.files import names, now, read_bytes, seal, sync_folder, write_atomic
from core.lock import Lock
from dataset.journal import encode
from dataset.rows import Op
from dataset.store import Store
from tui.session.drafts import unwritten
from tui.session.session import Session


def save_copy(session: Session, folder: Path) -> None:
    """Make a new workspace in `folder` with everything but runs. Raises FlavorError where it cannot be written or is not the same."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.mkdir(folder, 0o700)
        write_atomic(folder / config.FILE, _settings(session))
        write_atomic(folder / "journal.log", _journal(session))
        os.mkdir(folder / "drafts", 0o700)
        for name in names(session.folder / "drafts"):
            with contextlib.suppress(OSError):
                write_atomic(folder / "drafts" / name, read_bytes(session.folder / "drafts" / name))
        for path, typed in unwritten.items():
            if path.parent.parent == session.folder:
                write_atomic(folder / "drafts" / path.name, seal(msgspec.to_builtins(typed)))
        sync_folder(folder.parent)
    except OSError as error:
        raise FlavorError(f"{folder} cannot be made: {error.strerror}.", "Name a new folder on another disk.", "disk") from None
    copy = Store(folder, read_only=True)
    if copy.tables() != session.store.tables():
        raise FlavorError(f"{folder} does not hold what is in memory.", "Do not close this window; try another disk.", "damaged")
    lock = Lock(folder / "lock")
    with contextlib.suppress(OSError):
        lock.acquire()
        lock.witness(*copy.mark)
    lock.release()
    with contextlib.suppress(FlavorError, UnicodeError):  # settings that cannot be read, or hold no such path, are there as they were
        base = config.load(folder).model.base
        if (there := config.find_base(session.folder, base)) != base:
            config.put_base(folder, there)  # from the copy its path would lead elsewhere, or be taken for a name on the hub


def _settings(session: Session) -> bytes | str:
    try:
        return read_bytes(session.folder / config.FILE)
    except OSError:
        return config.render(session.settings.task, session.settings.model.base)


def _journal(session: Session) -> bytes:
    """The lines as they are on the disk; where it no longer gives them, one line with all documents: undo then ends there."""
    try:
        return session.store.journal.whole()
    except OSError:
        return encode(Op(1, now(), "restore", session.store.tables(), note="saved from memory"))
