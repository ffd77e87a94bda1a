"""How a line is said outside the screen; and a failure: one line on stderr, and an object on stdout for --json."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
from pathlib import Path

from core.errors import FlavorError
from core.text import short, to_json

NAME = "flavor-tui"
LONGEST = 1000
"""Characters of a message; what it names may be longer."""


class Told(Exception):
    """A signal asked this command to end: what it was doing has cleaned up."""


told: list[int] = []
"""The signals that asked this command to end, so far. Each has its default again: a second one ends the program at once."""


def hear(number: int) -> None:
    """A signal asks this command to end."""
    told.append(number)
    signal.signal(number, signal.SIG_DFL)


def program() -> str:
    """What calls this program from the shell that it was called from: its name, or where that is not found, the path that was typed."""
    typed = sys.argv[0]
    return shlex.quote(typed) if Path(typed).name == NAME and not shutil.which(NAME) else NAME


def json_line(data: object) -> str:
    """`data` for standard output: with JSON's own escapes where that knows no Unicode."""
    line = to_json(data)
    try:
        line.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return json.dumps(data)
    return line


def silence(*descriptors: int) -> None:
    """Let what is still said go nowhere: also what a failed write left behind, which the interpreter writes once more as it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def say(line: str) -> None:
    """A line on standard output. Raises FlavorError where that cannot be written, and BrokenPipeError where whoever read it is gone."""
    try:
        print(line, flush=True)  # noqa: T201
    except BrokenPipeError:
        raise
    except OSError as error:
        silence(1)
        raise FlavorError(
            f"Standard output cannot be written: {error.strerror}.", "What was done is done: look with `status`.", "disk"
        ) from None


def complain(error: FlavorError, as_json: bool) -> int:
    """Say what is wrong and what to do, in one line; the exit status."""
    line = str(error)
    if as_json:
        try:
            say(json_line({"error": error.message, "hint": error.hint, "kind": error.kind}))
        except FlavorError as unsaid:
            line = f"{line} {unsaid.message}"
    print(f"flavor-tui: {short(line, LONGEST)}", file=sys.stderr, flush=True)  # noqa: T201
    return 1
