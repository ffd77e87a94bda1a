"""The truth: an append-only file, one checksummed, fsynced line per operation. Undo is a compensating line, never a deletion.

A line is `crc32 SPACE json LF`, with contiguous sequence numbers. A torn last line (its writer was killed before the person
saw anything) is set aside; damage anywhere else is reported, never repaired silently.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from core.errors import FlavorError
from core.files import sync_folder
from dataset.rows import Op

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Op)


def _line(op: Op) -> bytes:
    body = _encoder.encode(op)
    return b"%08x %s\n" % (zlib.crc32(body), body)


class Journal:
    """The file at `path`. `replay` must be read to its end before the first `append`."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self.broken = ""
        """Why nothing more is written, once a write or an fsync failed."""
        self._handle: int | None = None
        self._size = 0
        self.seq = 0

    def replay(self) -> Iterator[Op]:
        """Every operation since the beginning, in order. Raises FlavorError naming a damaged line."""
        data = self.path.read_bytes() if self.path.exists() else b""
        offset = 0
        while offset < len(data):
            end = data.find(b"\n", offset)
            line = data[offset:end] if end >= 0 else data[offset:]
            op = self._parse(line) if end >= 0 else None
            if op is None:
                if end >= 0 and end + 1 < len(data):
                    number = data.count(b"\n", 0, offset) + 1
                    raise FlavorError(
                        f"{self.path}, line {number} is damaged.",
                        "Nothing was changed. Keep a copy of the folder; dataset.json holds the last whole view.",
                        "damaged",
                    )
                self._set_aside(data[offset:], offset)
                break
            self.seq = op.seq
            yield op
            offset = end + 1
        self._size = offset

    def _parse(self, line: bytes) -> Op | None:
        try:
            if int(line[:8], 16) != zlib.crc32(line[9:]):
                return None
            op = _decoder.decode(line[9:])
        except (ValueError, msgspec.MsgspecError):
            return None
        return op if op.seq == self.seq + 1 else None

    def _set_aside(self, tail: bytes, size: int) -> None:
        if self.read_only:
            return
        with open(self.path.with_suffix(".torn"), "ab") as file:
            file.write(tail + b"\n")
        os.truncate(self.path, size)

    def append(self, op: Op) -> None:
        """Write `op` and return when it is on the disk. On any error: nothing was kept, and nothing more will be written.

        No retry: after a failed fsync the kernel may have dropped the pages, and the next fsync would succeed without them.
        """
        if self.read_only or self.broken:
            raise FlavorError(self.broken or "This session is read-only: another one has the workspace open.", kind="read-only")
        line = _line(op)
        try:
            if self._handle is None:
                new = not self.path.exists()
                self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                if new:
                    sync_folder(self.path.parent)
            written = 0
            while written < len(line):
                written += os.write(self._handle, line[written:])
            os.fdatasync(self._handle)
        except OSError as error:
            self._fail(error)
        self._size += len(line)
        self.seq = op.seq

    def _fail(self, error: OSError) -> None:
        with contextlib.suppress(OSError):  # else the torn line is set aside at the next start
            os.truncate(self.path, self._size)
        self.broken = f"The journal could not be written ({error.strerror}); the last key was not kept, and the session is read-only now."
        raise FlavorError(self.broken, "Make room or mend the disk, then open the workspace again.", "disk") from None

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
