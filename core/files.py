"""Files that survive a kill: atomic replace, durable append, a lock, and the places outside the workspace. One writer a file."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.errors import FlavorError


def sync_folder(folder: Path) -> None:
    """Make a rename or a new name inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Replace `path` by `data`: after a crash at any instant it holds the old bytes or the new, never a mixture.

    Temporary file beside it, fsync, rename, fsync of the folder. Raises OSError; the old file is then untouched.
    """
    raw = data.encode() if isinstance(data, str) else data
    path = path.resolve()
    name = path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """`value` as readable JSON, atomically."""
    write_atomic(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The JSON of `path`. Raises FlavorError naming the file where it is absent or damaged."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise FlavorError(f"{path} is missing.", kind="missing") from None
    except (ValueError, OSError) as error:
        raise FlavorError(f"{path} cannot be read: {error}.", kind="damaged") from None


def publish_folder(staging: Path, final: Path) -> None:
    """Rename a finished folder into place, every file in it synced first: whole or absent."""
    for name in sorted(staging.rglob("*")):
        if name.is_file():
            with open(name, "rb") as file:
                os.fsync(file.fileno())
    sync_folder(staging)
    os.rename(staging, final)
    sync_folder(final.parent)


def now() -> str:
    """This moment, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_last_uid = 0


def new_uid() -> str:
    """A unique id of 15 digits in base 32 that sorts by time: milliseconds, then 25 random bits. TinyDB reuses its `doc_id`s."""
    global _last_uid
    stamp = max(int(datetime.now(UTC).timestamp() * 1000), _last_uid + 1)  # strictly rising, also when the clock jumps back
    _last_uid = stamp
    value = stamp << 25 | int.from_bytes(os.urandom(4)) >> 7
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    return "".join(digits[value >> shift & 31] for shift in range(70, -1, -5))


def cache_folder() -> Path:
    """Where converted models are kept: $FLAVOR_TUI_CACHE, or flavor-tui in the user's cache folder."""
    if own := os.environ.get("FLAVOR_TUI_CACHE"):
        return Path(own)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "flavor-tui"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flavor-tui"


def state_folder() -> Path:
    """Where the list of recent workspaces is kept: $FLAVOR_TUI_STATE, or flavor-tui in the user's state folder."""
    if own := os.environ.get("FLAVOR_TUI_STATE"):
        return Path(own)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "flavor-tui"


class Lock:
    """An flock on a file that is never replaced: freed by the kernel whatever way its holder dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self) -> str | None:
        """None once it is ours; else who holds it, in words."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 400).decode("utf-8", "replace").strip()
            os.close(handle)
            return holder or "another session"
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} since {now()}".encode(), 0)
        self._handle = handle
        return None

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def read_jsonl(path: Path) -> Iterator[Any]:
    """The values of a JSON-lines file; a torn last line is left out (its writer was killed)."""
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            with contextlib.suppress(ValueError):
                yield json.loads(line)
