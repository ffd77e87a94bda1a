"""A run carried out once more, from its own frozen rows and seed: what is left to do when one was interrupted."""

from __future__ import annotations

import msgspec

from core import runfiles
from core.errors import FlavorError
from core.files import now
from tui.session.planning import Plan, versions
from tui.session.session import Session
from tui.session.taste import taste_of


def plan_again(session: Session, name: str) -> Plan:
    """The plan of run `name` under a new name. On the CPU it gives the same weights. Raises FlavorError where its files are not whole."""
    session.must_write()
    run = session.registry.run(name)
    if name not in session.registry.names() or run.spec is None:
        raise FlavorError(f"There is no run {name!r} that could be done again.", "See `flavor-tui runs`.", "missing")
    rows = runfiles.read_rows(run.folder / "rows.jsonl", run.spec.rows_sha256)
    if all(row.held_out for row in rows):
        raise FlavorError(f"Run {name} has no row to train on.", "Start a new run.", "empty")
    spec = msgspec.structs.replace(run.spec, name=session.registry.next_name(), created=now(), versions=versions())
    if spec.kind == "taste":
        return taste_of(session, spec, rows, runfiles.read_pairs(run.folder / "pairs.jsonl", spec.pairs_sha256))
    return session.planner.of(spec, rows)
