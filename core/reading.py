"""Files that may come from anyone: regular ones only, of a bounded size, never a pipe, a device or a folder."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from core.errors import FlavorError

MAX_JSON = 1 << 24
"""Bytes of a file that the program wrote itself; far above any."""


def read_regular(path: Path, limit: int, kind: str = "damaged", follow: bool = True) -> bytes:
    """All bytes of a regular file. Raises FileNotFoundError, else FlavorError where it is no such file or larger than `limit`.

    `follow`: whether the file may be a symbolic link.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name holds a zero byte"
        raise FlavorError(f"{path} cannot be opened: {reason}.", "Check the name.", kind) from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise FlavorError(f"{path} is not a regular file.", "Give a file.", kind)
    with os.fdopen(handle, "rb") as file:
        if status.st_size > limit:
            raise FlavorError(f"{path} has {status.st_size} bytes; the limit is {limit}.", "Split it.", kind)
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise FlavorError(f"{path} cannot be read: {error.strerror}.", "Mend the disk.", kind) from None
    if len(data) > limit:  # it grew meanwhile
        raise FlavorError(f"{path} has more than {limit} bytes.", "Split it.", kind)
    return data


def decode(data: bytes, path: Path, kind: str = "import") -> str:
    """`data` as text. Raises FlavorError naming the first byte that is not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FlavorError(f"{path} is not UTF-8 at byte {error.start}.", "Save it as UTF-8.", kind) from None


def read_json(path: Path) -> Any:
    """The JSON of a file. Raises FlavorError naming it where it is absent or damaged."""
    try:
        return json.loads(read_regular(path, MAX_JSON))
    except FileNotFoundError:
        raise FlavorError(f"{path} is missing.", kind="missing") from None
    except (ValueError, RecursionError) as error:
        raise FlavorError(f"{path} cannot be read: {str(error)[:200]}.", kind="damaged") from None
