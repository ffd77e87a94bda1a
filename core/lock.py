"""Who has the workspace open: an flock, freed by the kernel whatever way its holder dies. The file is never replaced nor removed.

Its one line, checksummed like the journal's, names the holder for others, and the last line of the journal that was acknowledged: a
witness in another file, without which a journal that was cut off cleanly would look whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
import zlib
from pathlib import Path

import msgspec

from core.errors import FlavorError
from core.files import PRIVATE, lives, now, read_bytes, write_all

LENGTH = 400
"""Bytes of the file: within a sector, which a disk writes whole."""
_encoder = msgspec.json.Encoder()


class Note(msgspec.Struct, frozen=True):
    """What the file says."""

    pid: int = 0
    host: str = ""
    since: str = ""
    seq: int = 0
    """The last line of the journal that a person was told of."""
    check: str = ""
    first: str = ""
    """The checksums of that line and of line 1."""

    def words(self) -> str:
        """The holder, for people."""
        return f"process {self.pid} on {self.host}, since {self.since}" if self.pid else "another session"


def read_note(path: Path) -> Note | None:
    """The note in a lock file; None where it is absent or damaged."""
    try:
        head, _, body = read_bytes(path, 1000).rstrip(b" \n").partition(b" ")
        if int(head, 16) == zlib.crc32(body):
            return msgspec.json.decode(body, type=Note)
    except (OSError, ValueError, msgspec.MsgspecError):
        pass
    return None


def _holder(path: Path) -> Note:
    """Who holds a lock that is taken. In its first instant the note still names the one before, who is dead, or nobody: look again then."""
    for _ in range(20):
        note = read_note(path) or Note()
        if note.pid and (note.host != socket.gethostname()[:100] or lives(note.pid)):
            return note
        time.sleep(0.01)
    return Note()


def refused(workspace: Path, holder: str, reason: str) -> FlavorError:
    """Why nothing may be changed: another session writes there, or, for a `reason` of the system's, nobody can."""
    if reason:
        return FlavorError(f"{workspace} cannot be written: {reason}.", "Copy it to where it can be, or mend its rights.", "disk")
    return FlavorError(f"{workspace} is open elsewhere: {holder}.", "Close that session first.", "locked")


class Lock:
    """The lock at `path`. `note` is what stood in it before we came."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.note: Note | None = None
        self._mine = Note()
        self._writes = True
        self._handle: int | None = None

    def acquire(self, write: bool = True) -> str | None:
        """None once it is ours; else who holds it, in words. Raises OSError where the file cannot be opened or the folder knows no locks.

        Without `write` the note stays as it is: who only looks destroys no evidence.
        """
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                return _holder(self.path).words()
            self.note = read_note(self.path)
            self._handle = handle
            before = self.note or Note()
            self._mine = Note(os.getpid(), socket.gethostname()[:100], now(), before.seq, before.check, before.first)
            self._writes = write
            self._write()
        except OSError:
            self._handle = None
            with contextlib.suppress(OSError):
                os.close(handle)
            raise
        return None

    def unsure(self, lines: int) -> bool:
        """Whether the note that we found does not tell where a journal of so many lines ends. Who died with the very first line had not noted it."""
        return lines > 0 if self.note is None else not self.note.seq and lines > 1

    def witness(self, seq: int, check: str, first: str) -> None:
        """Note that line `seq` was acknowledged. Not synced, and no error: what it says is never more than what is on the disk."""
        if self._handle is not None and (seq, check, first) != (self._mine.seq, self._mine.check, self._mine.first):
            self._mine = msgspec.structs.replace(self._mine, seq=seq, check=check, first=first)
            with contextlib.suppress(OSError):
                self._write()

    def _write(self) -> None:
        if not self._writes:
            return
        body = _encoder.encode(self._mine)
        line = b"%08x %s" % (zlib.crc32(body), body)
        assert self._handle is not None
        write_all(self._handle, line.ljust(LENGTH) + b"\n")  # one write over what stood there, never a truncation

    def release(self) -> None:
        """Let go of it; the note stays, for its number, but names nobody any more: who comes next is not taken for us."""
        if self._handle is not None:
            self._mine = msgspec.structs.replace(self._mine, pid=0)
            with contextlib.suppress(OSError):
                self._write()
            # Given up in so many words: closing frees it only once every copy is closed, and a child that was born in another thread
            # this instant holds one until it starts its own program.
            with contextlib.suppress(OSError):
                fcntl.flock(self._handle, fcntl.LOCK_UN)
            os.close(self._handle)
            self._handle = None
