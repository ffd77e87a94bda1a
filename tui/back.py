"""Going back to any moment of the evening, dataset and active checkpoint together; nothing is deleted, and one may go forward again.

Knows no Textual.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import FlavorError
from core.text import counted
from dataset.journal import Journal
from dataset.moments import Moment, moments, tables_at, way
from dataset.rows import Op

if TYPE_CHECKING:
    from tui.commands import Output
    from tui.session import Session


def all_moments(session: Session) -> list[Moment]:
    """Every moment, oldest first. May run in a thread, for it reads nothing but the file. Raises FlavorError where it is damaged."""
    return moments(Journal(session.store.journal.path, read_only=True).replay())


def go(session: Session, seq: int) -> str:
    """Make it as it was after line `seq` of the journal. Undoable like a decision. Returns what a person should know.

    Raises FlavorError where there is no such line, or nothing can be written.
    """
    session.must_write()
    found = next((moment for moment in all_moments(session) if moment.seq == seq), None)
    if found is None:
        raise FlavorError(f"There is no moment {seq}.", "See `flavor-tui back WORKSPACE`.", "missing")
    store = session.store
    put = way(store.tables(), tables_at(Journal(store.journal.path, read_only=True).replay(), seq))
    with session.whole_or_not():
        lost = _use(session, found.checkpoint)
        session.commit("go", put, f"to {clock(found.time)}, {found.what}"[:200])
    session.forget()
    return f"As it was at {clock(found.time)}: {counted(found.examples, 'example')}, {session.active()}.{lost} u takes that back, z goes anywhere else."


def take_back(session: Session, going: Op) -> Op | None:
    """Undo a going back: dataset and checkpoint are as before it. Raises FlavorError, with nothing changed, where that cannot be written."""
    before = [moment.checkpoint for moment in all_moments(session) if moment.seq < going.seq]
    with session.whole_or_not():
        _use(session, before[-1] if before else "")
        op = session.store.undo()
    session.forget()
    return op


def _use(session: Session, checkpoint: str) -> str:
    """Make the checkpoint active again; what to say where that is gone."""
    if checkpoint and checkpoint != session.registry.current():
        try:
            session.registry.use(checkpoint)
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


async def back(workspace: Path, line: int | None) -> Output:
    """`flavor-tui back`: the moments, or to one of them."""
    from tui.commands import Line
    from tui.session import Session

    with Session(workspace, read_only=line is None) as session:
        if line is not None:
            said = go(session, line)
            yield Line({"line": line, "examples": len(session.store.examples), "checkpoint": session.registry.current()}, said)
            return
        for moment in all_moments(session):
            rows = counted(moment.examples, "example")
            told = f"{moment.seq:>6}  {clock(moment.time):<16}  {rows:>13}  {moment.checkpoint:<16}  {moment.what}"
            yield Line(moment._asdict(), told)
