"""A file system in memory that the real code runs on, in place of `os`: it keeps what a power cut may keep, and fails when told to.

What is written is on the "disk" only once its file was fsynced, and a name only once its folder was. Until then a crash may keep it,
drop it, or keep a part: see `tests/safety/crash.py`.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import itertools
import os
import stat
from types import SimpleNamespace
from typing import NamedTuple

from core import config
from core.errors import FlavorError
from core.files import read_bytes

MODULES = (
    "core.files",
    "core.lock",
    "core.place",
    "dataset.journal",
    "dataset.snapshots",
    "dataset.checkup",
    "tui.session.doctor",
    "tui.session.drafts",
    "runs.registry",
)
"""Where the real code calls the operating system."""
CALLS = (
    "open",
    "read",
    "pwrite",
    "fsync",
    "ftruncate",
    "replace",
    "rename",
    "unlink",
    "mkdir",
    "rmdir",
    "link",
    "listdir",
    "lstat",
    "fstat",
)


class Write(NamedTuple):
    """Bytes put into a file, not synced; `data` is None for a change of size to `at`."""

    at: int
    data: bytes | None


class Change(NamedTuple):
    """Names of folders put or removed in one go, not synced: (folder, name, what or None)."""

    entries: tuple


class Node:
    """A file or a folder: what is on the disk, and what is only on its way."""

    __slots__ = ("data", "durable", "entries", "folder", "number", "pending", "stored")
    numbers = itertools.count(1)

    def __init__(self, folder: bool, data: bytes = b"", entries: dict | None = None) -> None:
        self.folder = folder
        self.number = next(Node.numbers)
        self.data = data
        self.durable = data
        self.entries = entries or {}
        self.stored = dict(self.entries)
        self.pending: list[Write] = []


class Status:
    """What stat gives."""

    __slots__ = ("st_dev", "st_ino", "st_mode", "st_mtime_ns", "st_size")

    def __init__(self, node: Node) -> None:
        self.st_dev, self.st_ino, self.st_mtime_ns = 1, node.number, node.number
        self.st_mode = (stat.S_IFDIR | 0o700) if node.folder else (stat.S_IFREG | 0o600)
        self.st_size = len(node.data)


class Disk:
    """Stands in for the module `os`. `on_call(name)` runs before each call and may raise; `watch()` after each change."""

    def __init__(self, root: Node | None = None) -> None:
        self.root = root or Node(True)
        self.changes: list[Change] = []
        """Names that are on their way, oldest first."""
        self.lies = None
        """Called with a path: whether its fsync is answered without being done."""
        self.on_call = None
        self.watch = None
        self._open: dict[int, Node] = {}
        self._paths: dict[int, object] = {}
        self._offsets: dict[int, int] = {}
        self._handles = itertools.count(100)
        self._random = itertools.count(1)

    def __getattr__(self, name):
        return getattr(os, name)  # constants, getpid, environ

    # -- names ---------------------------------------------------------------------------------------------------------

    def _find(self, path) -> tuple[Node, str]:
        parts = str(path).strip("/").split("/")
        node = self.root
        for part in parts[:-1]:
            node = node.entries.get(part)
            if node is None:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
            if not node.folder:
                raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(path))
        return node, parts[-1]

    def _node(self, path) -> Node:
        folder, name = self._find(path)
        node = folder.entries.get(name) if name else folder
        if node is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return node

    def _change(self, *entries) -> None:
        for folder, name, node in entries:
            if node is None:
                folder.entries.pop(name, None)
            else:
                folder.entries[name] = node
        self.changes.append(Change(entries))
        self._changed()

    def _changed(self) -> None:
        if self.watch:
            self.watch()

    def _called(self, name: str) -> None:
        if self.on_call:
            self.on_call(name)

    # -- what the code calls -------------------------------------------------------------------------------------------

    def open(self, path, flags, mode=0o777):
        self._called("open")
        folder, name = self._find(path)
        node = folder.entries.get(name) if name else folder
        if node is None:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
            node = Node(False)
            self._change((folder, name, node))
        elif flags & os.O_EXCL:
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        handle = next(self._handles)
        self._open[handle] = node
        self._paths[handle] = path
        return handle

    def close(self, handle):
        del self._open[handle]

    def read(self, handle, count):
        self._called("read")
        if self._open[handle].folder:
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        node = self._open[handle]
        offset = self._offsets.get(handle, 0)
        part = node.data[offset : offset + count]
        self._offsets[handle] = offset + len(part)
        return part

    def pwrite(self, handle, data, at):
        short = self.on_call and self.on_call("pwrite")
        data = bytes(data)
        if short:
            data = data[: max(1, len(data) // 2)]
        node = self._open[handle]
        node.data = node.data[:at].ljust(at, b"\0") + data + node.data[at + len(data) :]
        node.pending.append(Write(at, data))
        self._changed()
        return len(data)

    def ftruncate(self, handle, size):
        self._called("ftruncate")
        node = self._open[handle]
        node.data = node.data[:size].ljust(size, b"\0")
        node.pending.append(Write(size, None))
        self._changed()

    def fsync(self, handle):
        self._called("fsync")
        if self.lies and self.lies(self._paths[handle]):
            return
        node = self._open[handle]
        node.durable, node.pending = node.data, []
        if node.folder:
            for change in [one for one in self.changes if any(folder is node for folder, _, _ in one.entries)]:
                self.changes.remove(change)
                for folder, name, what in change.entries:
                    if what is None:
                        folder.stored.pop(name, None)
                    else:
                        folder.stored[name] = what
        self._changed()

    def replace(self, old, new):
        self._called("replace")
        (from_, name), (to, into) = self._find(old), self._find(new)
        node = self._node(old)
        self._change((from_, name, None), (to, into, node))

    def rename(self, old, new):
        self._called("rename")
        (from_, name), (to, into) = self._find(old), self._find(new)
        if into in to.entries and to.entries[into].entries:
            raise OSError(errno.ENOTEMPTY, "Directory not empty", str(new))
        self._change((from_, name, None), (to, into, self._node(old)))

    def link(self, old, new, *, follow_symlinks=True):
        self._called("link")
        folder, name = self._find(new)
        if name in folder.entries:
            raise FileExistsError(errno.EEXIST, "File exists", str(new))
        self._change((folder, name, self._node(old)))

    def unlink(self, path):
        self._called("unlink")
        self._node(path)
        self._change((*self._find(path), None))

    def rmdir(self, path):
        self._called("rmdir")
        if self._node(path).entries:
            raise OSError(errno.ENOTEMPTY, "Directory not empty", str(path))
        self._change((*self._find(path), None))

    def mkdir(self, path, mode=0o777):
        self._called("mkdir")
        folder, name = self._find(path)
        if name in folder.entries:
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        self._change((folder, name, Node(True)))

    def listdir(self, path):
        self._called("listdir")
        node = self._node(path)
        if not node.folder:
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(path))
        return list(node.entries)

    def lstat(self, path):
        self._called("lstat")
        return Status(self._node(path))

    stat = lstat

    def chmod(self, path, mode):
        self._called("chmod")
        self._node(path)

    def fstat(self, handle):
        self._called("fstat")
        return Status(self._open[handle])

    def urandom(self, count):
        return next(self._random).to_bytes(count, "big")

    # -- for the tests -------------------------------------------------------------------------------------------------

    def files(self, node: Node | None = None, at: str = "") -> dict[str, bytes]:
        """Every file by path, as a reader sees it now; a folder is a path that ends with a slash."""
        found: dict[str, bytes] = {}
        for name, inner in (node or self.root).entries.items():
            if inner.folder:
                found[f"{at}{name}/"] = b""
                found |= self.files(inner, f"{at}{name}/")
            else:
                found[at + name] = inner.data
        return found


def disk_of(files: dict[str, bytes]) -> Disk:
    """A disk that holds these files, all of it durable."""
    root = Node(True)
    for path, data in files.items():
        *folders, name = path.split("/")
        node = root
        for part in folders:
            node.entries.setdefault(part, Node(True))
            node = node.entries[part]
        if name:
            node.entries[name] = Node(False, data)
    stack = [root]
    while stack:
        node = stack.pop()
        node.stored = dict(node.entries)
        stack += [inner for inner in node.entries.values() if inner.folder]
    return Disk(root)


class _NoLocks(SimpleNamespace):
    """`fcntl` on a disk that only one process knows."""

    LOCK_EX = LOCK_NB = LOCK_UN = 0

    @staticmethod
    def flock(handle, how):
        return None


@functools.cache
def _settings(data: bytes):
    return config.parse(data.decode())


def _load(workspace):
    """Stands in for `config.load`."""
    try:
        return _settings(read_bytes(workspace / config.FILE))
    except (OSError, UnicodeDecodeError) as error:
        raise FlavorError(f"flavor.toml cannot be read: {error}.") from None


@contextlib.contextmanager
def on(disk: Disk):
    """Run the real code on `disk`; the settings are read there too, and parsed once (their file is not what is tested)."""
    modules = [importlib.import_module(name) for name in MODULES]
    before = [module.os for module in modules]
    lock = importlib.import_module("core.lock")
    locks, lock.fcntl = lock.fcntl, _NoLocks()
    load, config.load = config.load, _load
    for module in modules:
        module.os = disk
    try:
        yield disk
    finally:
        for module, real in zip(modules, before, strict=True):
            module.os = real
        lock.fcntl = locks
        config.load = load
