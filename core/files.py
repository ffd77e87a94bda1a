"""Files that survive a kill and a power cut: atomic replace, whole writes, synced names. One writer a file.

Everything that must last goes through the functions here, and they use nothing but `os`: the suites of tests/safety put a recording
or a failing one in its place.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shlex
import stat
import sys
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PRIVATE = 0o600
"""Nobody else on the machine reads a workspace."""
STALE = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
"""What a killed writer of a file leaves behind."""
STAGING = re.compile(r"\.tmp-.+")
"""The same of a folder, in the folders of a workspace where one is published; elsewhere something of that name is a person's own."""
STAGED = ("snapshots", "runs", "checkpoints")
EXPORTING = re.compile(r"\.exporting-(\d+)-.+")
"""Where a process of that number puts an export together. It needs no lock, so it may be alive."""


def sync(handle: int) -> None:
    """Return when what was written to `handle` is on the disk. Raises OSError; it must then not be tried again.

    macOS answers an fsync before the drive has written; F_FULLFSYNC waits for it.
    """
    if sys.platform == "darwin":
        import fcntl

        with contextlib.suppress(OSError):  # not on every file system
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    while True:
        with contextlib.suppress(InterruptedError):
            os.fsync(handle)
            return


def write_all(handle: int, data: bytes, at: int = 0) -> None:
    """All of `data` from the byte `at` on, in as many writes as it takes."""
    view = memoryview(data)
    while view:
        try:
            count = os.pwrite(handle, view, at)
        except InterruptedError:
            continue
        if not count:
            raise OSError(errno.EIO, "nothing could be written")
        view, at = view[count:], at + count


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """The first `limit` bytes of a regular file, or all of them. Raises OSError; a link, a device or a pipe is refused."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        parts, missing = [], status.st_size if limit is None else min(limit, status.st_size)
        while missing and (part := os.read(handle, missing)):
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)
    finally:
        os.close(handle)


def typed_path(text: str) -> Path:
    """A path as a person types it, with `~` for a home, or as a terminal writes one that is dropped on it: in quotes, or with `\\` before blanks.
    Whether it is there ask `os.path`: pathlib raises where no file can have that name, and for the home of nobody."""
    path = os.path.expanduser(text)
    if not os.path.lexists(path) and any(sign in text for sign in "'\"\\"):
        with contextlib.suppress(ValueError):
            parts = shlex.split(text)
            dropped = os.path.expanduser(parts[0]) if len(parts) == 1 else path
            path = dropped if os.path.lexists(dropped) else path  # a new name may have such signs
    return Path(path)


def sha256(path: Path) -> str:
    """The hash of a regular file's bytes, in hex. Raises OSError."""
    digest = hashlib.sha256()
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        while part := os.read(handle, 1 << 20):
            digest.update(part)
    finally:
        os.close(handle)
    return digest.hexdigest()


def exists(path: Path) -> bool:
    """Whether there is anything of that name, a dead link included."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def signature(path: Path | str) -> tuple[int, int, int] | None:
    """What changes when a file does: its inode, size and time; None where it is absent. Raises no OSError."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def names(folder: Path) -> list[str]:
    """What is in a folder, sorted; nothing where it is absent."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable: a rename, a new file, a removal."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """See that the folder is there, durably. Raises OSError where it cannot be made or is something else, a link for instance."""
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            raise
        return
    sync_folder(folder.parent)


def write_atomic(path: Path, data: bytes | str) -> None:
    """Replace `path` by `data`: after a crash at any instant it holds the old bytes or the new, never a mixture.

    Temporary file beside it, fsync, rename, fsync of the folder. Raises OSError; the old file is then untouched, unless it was the last
    step that failed. A link of that name is replaced, not followed.
    """
    raw = data.encode() if isinstance(data, str) else data
    name = path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")
    try:
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
        try:
            write_all(handle, raw)
            sync(handle)
        finally:
            os.close(handle)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    sync_folder(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """Add a line with its LF to a file that only grows; it is on the disk when this returns. Raises OSError.

    Where the last writer was killed within its line, that stays a line of its own, which no reader can read.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
    try:
        size = os.fstat(handle).st_size
        torn = size and os.pread(handle, 1, size - 1) != b"\n"
        write_all(handle, b"\n" + line if torn else line, size)
        sync(handle)
    finally:
        os.close(handle)
    if not size:
        sync_folder(path.parent)


def write_new(path: Path, data: bytes) -> None:
    """A new file, not yet synced: for a folder that is published whole."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
    try:
        write_all(handle, data)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """`value` as readable JSON, atomically."""
    write_atomic(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


_SEAL = re.compile(rb',\n "crc32": "([0-9a-f]{8})"\n\}\n\Z')


def seal(value: dict[str, Any]) -> bytes:
    """`value` as readable JSON that says whether it is whole: its last entry is the checksum of what stands before."""
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False).encode()[:-2]
    return b'%s,\n "crc32": "%08x"\n}\n' % (text, zlib.crc32(text))


def unseal(data: bytes, must: bool = True) -> bytes:
    """The JSON in what `seal` gave. Raises ValueError where it is not whole; JSON without a seal passes unless it `must` have one."""
    match = _SEAL.search(data, max(0, len(data) - 40))
    if not match:
        if must:
            raise ValueError("it is not whole")
        return data
    text = data[: match.start()]
    if int(match[1], 16) != zlib.crc32(text):
        raise ValueError("it is not as it was written")
    return text + b"}"


def publish_folder(staging: Path, final: Path) -> None:
    """Rename a finished folder into place, everything in it synced first: whole or absent."""
    _sync_tree(staging)
    os.rename(staging, final)
    sync_folder(final.parent)


def publish_file(staged: Path, final: Path) -> None:
    """Give a finished file its name, synced first: whole or absent, and never over something. Raises FileExistsError where that is there."""
    _sync_file(staged)
    try:
        os.link(staged, final, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:
        os.rename(staged, final)  # not every file system has second names
    else:
        os.unlink(staged)
    sync_folder(final.parent)


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        sync(handle)
    finally:
        os.close(handle)


def _sync_tree(folder: Path) -> None:
    for name in names(folder):
        path = folder / name
        if stat.S_ISDIR(os.lstat(path).st_mode):
            _sync_tree(path)
        else:
            _sync_file(path)
    sync_folder(folder)


def remove_tree(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it; links are not followed. What is absent already is no error."""
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            return os.unlink(path)
        for name in names(path):
            remove_tree(path / name)
        os.rmdir(path)
    except FileNotFoundError:
        return None


def free_place(workspace: Path, name: str) -> Path:
    """A new name in the workspace's folder `damaged/`, where originals are kept before anything takes their place."""
    folder = workspace / "damaged"
    make_folder(folder)
    number = 1 + max((int(old[:4]) for old in names(folder) if old[:4].isdigit()), default=0)
    return folder / f"{number:04}-{name}"


def keep_aside(workspace: Path, path: Path) -> Path:
    """Give a file of the workspace a second name in `damaged/`, durably, so that its first may be replaced. Returns the second."""
    place = free_place(workspace, path.name)
    try:
        os.link(path, place, follow_symlinks=False)
        sync_folder(place.parent)
    except OSError:  # not every file system has second names
        write_atomic(place, read_bytes(path))
    return place


def stale(workspace: Path, *inner: Path) -> list[Path]:
    """What killed writers left in a workspace and in folders of it. Only for the one writer, or what it is writing would be among them."""
    found = [folder / name for folder in (workspace, *inner) for name in names(folder) if STALE.fullmatch(name) or _given_up(name)]
    staged = [folder for folder in inner if folder.name in STAGED]
    return found + [folder / name for folder in staged for name in names(folder) if STAGING.fullmatch(name)]


def exporting(dest: Path) -> Path:
    """A new name beside `dest`, under which this process may put an export together: it is spared while we live."""
    return dest.parent / f".exporting-{os.getpid()}-{os.urandom(4).hex()}-{dest.name}"


def _given_up(name: str) -> bool:
    """Whether an export was put together there by a process that is no more."""
    export = EXPORTING.fullmatch(name)
    return export is not None and not lives(int(export[1]))


def lives(pid: int) -> bool:
    """Whether there is a process of that number on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True


def sweep(workspace: Path) -> None:
    """Remove what killed writers left in a workspace. Never raises; the next start tries again."""
    with contextlib.suppress(OSError):
        for path in stale(*folders_of(workspace)):
            with contextlib.suppress(OSError):
                remove_tree(path)


def folders_of(workspace: Path) -> list[Path]:
    """Every folder of a workspace in which something is written; what is a link is none of it. Raises OSError."""
    runs = [workspace / "runs" / name for name in names(workspace / "runs")]
    inner = [workspace / name for name in ("drafts", "snapshots", "damaged", "runs")]
    return [folder for folder in (workspace, *inner, *runs, *(run / "checkpoints" for run in runs if is_folder(run))) if is_folder(folder)]


def is_folder(path: Path) -> bool:
    """Whether there is a folder of that name, not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


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


def read_jsonl(path: Path) -> Iterator[Any]:
    """The values of a JSON-lines file; a torn last line is left out (its writer was killed)."""
    with contextlib.suppress(OSError):
        for line in read_bytes(path).split(b"\n"):
            with contextlib.suppress(ValueError, RecursionError):
                yield json.loads(line)
