"""`flavor-tui back`: every moment of the evening, or going to one of them."""

from __future__ import annotations

from pathlib import Path

from core.text import counted
from tui.commands.output import Line, Output, opened
from tui.session.back import all_moments, clock, go


async def back(workspace: Path, line: int | None) -> Output:
    """`flavor-tui back`: the moments, or to one of them."""
    with opened(workspace, read_only=line is None) as session:
        if line is not None:
            said = go(session, line)
            yield Line({"line": line, "examples": len(session.store.examples), "checkpoint": session.registry.current()}, said)
            return
        for moment in all_moments(session):
            rows = counted(moment.examples, "example")
            told = f"{moment.seq:>6}  {clock(moment.time):<16}  {rows:>13}  {moment.checkpoint:<16}  {moment.told()}"
            yield Line(moment._asdict(), told)
