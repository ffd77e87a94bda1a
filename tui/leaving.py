"""What leaving the program would lose, and how to go on with the work afterwards."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from core.text import clean
from tui.say import program
from tui.session.drafts import unwritten
from tui.session.session import Session

if TYPE_CHECKING:
    from tui.host import Host


def lost_by_leaving(app: Host) -> str:
    """What is not on the disk and will not be; empty where that is nothing."""
    app.keep_typed()
    if any(app.session.folder in path.parents for path in unwritten):
        return "what is typed: it cannot be kept here"
    if app.session.store.journal.broken:
        return f"what could not be written; {app.own_key('rescue')} saves a copy elsewhere"
    return app.jobs.retraining.lost_by_leaving


def way_back(session: Session) -> Text | None:
    """What is said when the screen is gone: how to go on with the work. Nothing where not all of it could be written."""
    if session.store.journal.broken:
        return None
    there = str(session.folder)
    with contextlib.suppress(ValueError, OSError):
        there = f"./{session.folder.relative_to(Path.cwd())}"  # a folder may be called as a command is
    return Text(f"To go on: {clean(program())} {clean(shlex.quote(there))}")
