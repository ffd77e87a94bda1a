"""How a failure is said outside the screen: one line on stderr, and an object on stdout for --json."""

from __future__ import annotations

import json
import sys

from core.errors import FlavorError
from core.text import strip_controls


def complain(error: FlavorError, as_json: bool) -> int:
    """Say what is wrong and what to do, in one line; the exit status."""
    line = strip_controls(" ".join(str(error).split()))
    if as_json:
        print(json.dumps({"error": error.message, "hint": error.hint, "kind": error.kind}, ensure_ascii=False), flush=True)  # noqa: T201
    print(f"flavor-tui: {line}", file=sys.stderr, flush=True)  # noqa: T201
    return 1
