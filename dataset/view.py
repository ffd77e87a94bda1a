"""`dataset.json` as bytes: the tables as TinyDB keeps them, and first a table `_meta` that says which line of the journal they show and
has a checksum of all that follows. It can be read without the rest, and without TinyDB."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import msgspec

from core.files import read_bytes
from dataset.rows import Mark, Tables

META = "_meta"
Raw = dict[str, dict[str, Any]]
"""Documents by table and number."""
_HEAD = re.compile(
    rb'\{"_meta":\{"1":\{("seq":(\d{1,15}),"line":"([0-9a-f]{0,8})","first":"([0-9a-f]{0,8})","crc32":"([0-9a-f]{8})"),"head":"([0-9a-f]{8})"\}\},'
)


def pack(mark: Mark, tables: Raw) -> bytes:
    """The file for these tables, as they are after the line `mark` of the journal."""
    body = msgspec.json.encode(tables)[1:]
    head = f'"seq":{mark.seq},"line":"{mark.check}","first":"{mark.first}","crc32":"{zlib.crc32(body):08x}"'.encode()
    return b'{"_meta":{"1":{%s,"head":"%08x"}},%s' % (head, zlib.crc32(head), body)


def _head(data: bytes) -> re.Match[bytes] | None:
    """The beginning of a view, if it is as `pack` leaves it; the tables have a checksum of their own."""
    match = _HEAD.match(data)
    return match if match and int(match[6], 16) == zlib.crc32(match[1]) else None


def _mark(match: re.Match[bytes]) -> Mark:
    return Mark(int(match[2]), match[3].decode(), match[4].decode())


def unpack(data: bytes) -> tuple[Mark, Raw]:
    """Line and tables. Raises ValueError or MsgspecError where they are not what `pack` gave."""
    match = _head(data)
    if not match or int(match[5], 16) != zlib.crc32(data[match.end() :]):
        raise ValueError("it was damaged or changed by another program")
    return _mark(match), msgspec.json.decode(data, type=Raw)


def mark_of(path: Path) -> Mark | None:
    """The line of the journal that the view shows; None where it is absent, or its beginning is not as `pack` leaves it."""
    try:
        match = _head(read_bytes(path, 200))
    except OSError:
        return None
    return _mark(match) if match else None


def to_raw(tables: Tables) -> Raw:
    """Documents numbered from 1 in their order, as TinyDB wants them."""
    raw: Raw = {"_default": {}}
    for name in Tables.__struct_fields__:
        raw[name] = {str(number): document for number, document in enumerate(getattr(tables, name).values(), 1)}
    return raw


def from_raw(raw: Raw) -> Tables:
    """Documents by their own ids. Raises LookupError, TypeError or MsgspecError where they are none of ours."""
    return msgspec.convert({name: {doc["uid"]: doc for doc in raw.get(name, {}).values()} for name in Tables.__struct_fields__}, Tables)
