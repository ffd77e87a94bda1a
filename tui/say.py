"""How a failure is said outside the screen: one line on stderr, and an object on stdout for --json."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

from core.errors import FlavorError
from core.text import short, to_json

NAME = "flavor-tui"
LONGEST = 1000
"""Characters of a message; what it names may be longer."""


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


def complain(error: FlavorError, as_json: bool) -> int:
    """Say what is wrong and what to do, in one line; the exit status."""
    line = short(str(error), LONGEST)
    if as_json:
        print(json_line({"error": error.message, "hint": error.hint, "kind": error.kind}), flush=True)  # noqa: T201
    print(f"flavor-tui: {line}", file=sys.stderr, flush=True)  # noqa: T201
    return 1
