"""Going back to any moment of the evening, dataset and active checkpoint together; nothing is deleted, and one may go forward again.

Knows no Textual.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING

from core.errors import FlavorError
from core.text import counted
from dataset.journal import Journal
from dataset.moments import Moment, moments, tables_at, way, with_active
from dataset.rows import Op

if TYPE_CHECKING:
    from tui.session.workspace import Workspace


def all_moments(workspace: Workspace) -> list[Moment]:
    """Every moment, oldest first. May run in a thread, for it reads nothing but the file. Raises FlavorError where it is damaged."""
    return moments(Journal(workspace.store.journal.path, read_only=True).replay())


def go(workspace: Workspace, seq: int) -> str:
    """Make it as it was after line `seq` of the journal. Undoable like a decision. Returns what a person should know.

    Raises FlavorError where there is no such line, or nothing can be written.
    """
    workspace.must_write()
    found = next((moment for moment in all_moments(workspace) if moment.seq == seq), None)
    if found is None:
        raise FlavorError(f"There is no moment {seq}.", "See `flavor-tui back WORKSPACE`.", "missing")
    store = workspace.store
    put = way(store.tables(), tables_at(Journal(store.journal.path, read_only=True).replay(), seq))
    with workspace.whole_or_not():
        lost = _use(workspace, found.checkpoint)
        workspace.commit("go", put, f"to {clock(found.time)}, {found.what}"[:200])
    workspace.forget()
    return f"As it was at {clock(found.time)}: {counted(found.examples, 'example')}, {workspace.active()}.{lost}"


def take_back(workspace: Workspace, going: Op) -> Op | None:
    """Undo a going back: dataset and checkpoint are as before it. Raises FlavorError, with nothing changed, where that cannot be written."""
    before = ""
    for op, active in with_active(Journal(workspace.store.journal.path, read_only=True).replay()):  # also where no moment says so
        before = active if op.seq < going.seq else before
    with workspace.whole_or_not():
        _use(workspace, before)
        taken = workspace.store.undo()
    workspace.forget()
    return taken


def _use(workspace: Workspace, checkpoint: str) -> str:
    """Make the checkpoint active again; what to say where that is gone."""
    if checkpoint and checkpoint != workspace.registry.current():
        try:
            workspace.registry.use(checkpoint)
        except FlavorError as error:
            if error.kind != "missing":
                raise
            return f" {checkpoint}, which was active then, is gone."
    return ""


def clock(time: str) -> str:
    """A journal's time as the person's clock showed it, with the day where that is not today."""
    with contextlib.suppress(ValueError):
        there = datetime.fromisoformat(time.replace("Z", "+00:00")).astimezone()
        today = there.date() == datetime.now().astimezone().date()
        return there.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")
    return time[:19]
