"""The truth: an append-only file, one checksummed, fsynced line per operation. Undo is a compensating line, never a deletion.

A line is `crc32 SPACE json LF`, with contiguous sequence numbers. A torn last line (its writer died before the person saw anything) is
set aside; damage anywhere else, or a line missing that was acknowledged, is reported, never repaired silently.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from core.errors import FlavorError
from core.files import PRIVATE, exists, free_place, keep_aside, read_bytes, sync, sync_folder, write_all, write_atomic
from dataset.rows import Mark, Op

RESCUE = "Make room or mend the disk, then open the workspace again."
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Op)


def encode(op: Op) -> bytes:
    """The line of `op`."""
    body = _encoder.encode(op)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def damaged(workspace: Path, what: str) -> FlavorError:
    """What is wrong with a workspace, and where to have it mended."""
    there = shlex.quote(str(workspace))
    return FlavorError(what, f"Nothing was changed. To see what is there, and to mend it: flavor-tui doctor {there} --repair", "damaged")


def parse(line: bytes) -> Op | None:
    """The operation in a line without its LF; None where it is damaged."""
    try:
        if line[8:9] == b" " and int(line[:8], 16) == zlib.crc32(line[9:]):
            return _decoder.decode(line[9:])
    except (ValueError, msgspec.MsgspecError):
        pass
    return None


class Journal:
    """The file at `path`. `replay` must be read to its end before the first `append`."""

    def __init__(self, path: Path, read_only: bool = False, witnesses: Collection[Mark] = ()) -> None:
        """`witnesses` are lines that a person was told of, as far as other files know."""
        self.path = path
        self.read_only = read_only
        self.broken = ""
        """Why nothing more is written, once a write or an fsync failed."""
        self.seq = 0
        self.check = self.first = ""
        """The checksums of line `seq` and of line 1."""
        self._witnesses = witnesses
        self._acknowledged = max((mark.seq for mark in witnesses), default=0)
        self._handle: int | None = None
        self._size = 0

    def replay(self) -> Iterator[Op]:
        """Every operation since the beginning, in order. Raises FlavorError naming what is damaged or missing."""
        data = self._read()
        offset = unsure = 0
        watched = {1, *(mark.seq for mark in self._witnesses)}
        while offset < len(data):
            end = data.find(b"\n", offset)
            op = parse(data[offset:end]) if end >= 0 else None
            if op is None or op.seq != self.seq + 1:
                if 0 <= end < len(data) - 1 or self.seq < self._acknowledged:
                    raise damaged(self.path.parent, f"{self.path}, line {self.seq + 1} is damaged.")
                self._set_aside(data[offset:], offset)
                break
            self.seq, self.check = op.seq, data[offset : offset + 8].decode()
            self.first = self.first or self.check
            if op.seq in watched and any(mark.differs(op.seq, self.check) for mark in self._witnesses):
                raise damaged(self.path.parent, f"{self.path}, line {op.seq} is another one than was acknowledged.")
            yield op
            offset = end + 1
            if self.seq <= self._acknowledged:
                unsure = offset
        self._size = offset
        if self.seq < self._acknowledged:
            there = f"ends with line {self.seq}" if data else "is missing or empty"
            raise damaged(self.path.parent, f"{self.path} {there}, but line {self._acknowledged} was acknowledged.")
        if unsure < offset and not self.read_only:
            self._confirm(data[unsure:offset], unsure)

    def _read(self) -> bytes:
        try:
            return read_bytes(self.path)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise FlavorError(f"{self.path} cannot be read: {error.strerror}.", "Nothing was changed. Mend that first.", "disk") from None

    def _confirm(self, lines: bytes, at: int) -> None:
        """Write lines once more of which nobody knows whether they reached the disk: their writer died first, and after an fsync of its
        that failed they may be in the system's memory only."""
        try:
            self._open()
            self._put(lines, at)
        except OSError as error:
            self._break(error, "")

    def _set_aside(self, tail: bytes, size: int) -> None:
        """Keep a torn tail in another file, and end the journal before it."""
        if self.read_only:
            return
        try:
            write_atomic(free_place(self.path.parent, f"{self.path.name}.torn"), tail)
            self._open()
            os.ftruncate(self._opened, size)
            sync(self._opened)
        except OSError as error:
            self._break(error, "")

    def append(self, op: Op) -> None:
        """Write `op` and return when it is on the disk. On any error: nothing was kept, and nothing more will be written.

        No retry: after a failed fsync the kernel may have dropped the pages, and the next fsync would succeed without them.
        """
        if self.read_only or self.broken:
            raise FlavorError(self.broken or "This session is read-only: another one has the workspace open.", RESCUE, "read-only")
        line = encode(op)
        if parse(line[:-1]) is None:  # a value that its field cannot have: written, it would be damage
            raise FlavorError(
                "This cannot be kept: it could not be read again.", "Nothing was changed. It is a fault of the program.", "fault"
            )
        try:
            self._open()
            self._still_there()
        except OSError as error:
            raise self._break(error, "the last key may be lost; ") from None
        try:
            self._put(line, self._size)
        except OSError as error:
            with contextlib.suppress(OSError):  # else the torn line is set aside at the next start
                os.ftruncate(self._opened, self._size)
            raise self._break(error, "the last key may be lost; ") from None
        self._size += len(line)
        self.seq, self.check = op.seq, line[:8].decode()
        self.first = self.first or self.check

    @property
    def _opened(self) -> int:
        assert self._handle is not None
        return self._handle

    def _open(self) -> None:
        if self._handle is None:
            self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
            sync_folder(self.path.parent)  # always: who made the file may have died before

    def _still_there(self) -> None:
        """Raises OSError where the file was moved, removed, replaced or written to by somebody else: what we add would be lost."""
        ours, named = os.fstat(self._opened), os.lstat(self.path)
        if (ours.st_dev, ours.st_ino, ours.st_size) != (named.st_dev, named.st_ino, self._size):
            raise OSError(errno.ESTALE, "another program moved or changed it")

    def _put(self, data: bytes, at: int) -> None:
        write_all(self._opened, data, at)
        sync(self._opened)

    def _break(self, error: OSError, lost: str) -> FlavorError:
        self.broken = f"The journal could not be written ({error.strerror}); {lost}this session is read-only now."
        return FlavorError(self.broken, RESCUE, "disk")

    def whole(self) -> bytes:
        """The bytes of every acknowledged line. Raises OSError where they cannot be read, or are no longer what was written."""
        data = read_bytes(self.path, self._size) if self._size else b""
        if len(data) != self._size:
            raise OSError(errno.ESTALE, "another program shortened it")
        return data

    def renew(self, data: bytes) -> None:
        """Write again after an error, into a new file with every acknowledged line: the old one's pages are not to be trusted.

        Raises FlavorError, and stays read-only, where that fails too.
        """
        try:
            if exists(self.path) and os.lstat(self.path).st_size != len(data):
                keep_aside(self.path.parent, self.path)
            write_atomic(self.path, data)
        except OSError as error:
            raise self._break(error, "") from None
        self.close()
        self.broken = ""

    def close(self) -> None:
        """Let go of the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
