"""JSON: an object a line (JSONL); or a file that is one array of objects, or objects one after the other."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from core.text import short
from dataset.importing.bounds import MAX_LINE, Found, fault, lines, wrong

STEPS = (4096, 65_536, MAX_LINE)
"""Characters in which an object's end is looked for, one after the other: most are short, and none may be longer."""
_between = re.compile(r"[\s]*")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"it names {short(name, 20)!r} twice")
        found[name] = value
    return found


_decoder = json.JSONDecoder(object_pairs_hook=_no_doubles, parse_constant=_no_constant)


def jsonl(data: bytes) -> Found:
    """An object a line."""
    for number, line in lines(data):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            row = _decoder.decode(line)
        except (ValueError, RecursionError) as error:
            yield place, fault(f"not JSON ({short(str(error), 80)}).", "One object a line.")
            continue
        yield place, row if isinstance(row, dict) else fault("it is no object.", 'A row: {"text": "...", "fields": {"Name": "value"}}.')


def json_objects(data: bytes) -> Found:
    """The objects of an array, or those that stand one after the other. Each is decoded alone, so that none costs more than its own size."""
    text = data.decode("utf-8-sig")
    at = _skip(text, 0)
    array = text[at : at + 1] == "["
    at = _skip(text, at + 1) if array else at
    line, counted = 1, 0
    while at < len(text) and not (array and text[at] == "]"):
        line, counted = line + text.count("\n", counted, at), at
        if text[at] != "{":
            wrong(f"line {line} is not JSON (an object was expected).", "An array of objects, or an object a line.")
        row, at = _decode(text, at, line)
        yield f"line {line}", row
        at = _skip(text, at)
        if array and text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif array and text[at : at + 1] != "]":
            wrong(f"line {line} is not JSON (no comma after its object).", "An array of objects.")
    if array and (at >= len(text) or _skip(text, at + 1) != len(text)):
        line += text.count("\n", counted, at)
        wrong(f"line {line} is not JSON (the array does not end, or more follows).", "One array of objects.")


def _skip(text: str, at: int) -> int:
    match = _between.match(text, at)
    return match.end() if match else at


def _decode(text: str, at: int, line: int) -> tuple[dict[str, Any], int]:
    """The object at `at`, and where it ends. Raises FlavorError where there is none, or it is too long."""
    for step in STEPS:
        piece = text[at : at + step]
        try:
            row, size = _decoder.raw_decode(piece)
        except (ValueError, RecursionError) as error:
            if step == MAX_LINE or at + step >= len(text) or isinstance(error, RecursionError):
                wrong(f"line {line} is not JSON ({short(str(error), 80)}), or longer than {MAX_LINE} characters.", "Mend or split it.")
            continue
        return row, at + size
    raise AssertionError("the last step returns or raises")
