"""`flavor-tui import`: examples from files, folders, the hub or standard input; looked at first, then all or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import FlavorError
from core.text import clean_line, counted, short
from dataset.importing import Choice
from tui.commands.output import Line, Output, Progress, at_once, opened
from tui.session.intake import SHOWN, Preview, bring, first_rows, look
from tui.session.session import Session


def fields_from(pairs: list[str], session: Session) -> dict[str, str]:
    """`--field NAME=COLUMN` as columns by field. Raises FlavorError on an unknown field."""
    found = {}
    for pair in pairs:
        name, given, column = pair.partition("=")
        if not given:
            raise FlavorError(
                f"--field {short(pair)!r} names no column.", f"--field {short(pair)}=COLUMN; nothing after the = leaves it out.", "usage"
            )
        found[session.task.field(name).name] = column
    return found


async def import_(
    workspace: Path, sources: list[str], choice: dict[str, str], fields: list[str], dry_run: bool, skip_twins: bool
) -> Output:
    with opened(workspace, read_only=dry_run) as session:
        if not dry_run:
            session.must_write()
        yield Progress("reading")
        with at_once():
            preview = look(session, sources, Choice(fields=fields_from(fields, session), **choice))
        if dry_run:
            yield Line(_data(preview, session, skip_twins), _shown(preview, session, skip_twins))
            preview.refuse()
            return
        put = bring(session, preview, skip_twins)
        total = len(session.store.examples)
        data = {"imported": len(put.examples), "examples": total, **_told(preview, skip_twins)}
        said = [
            f"{counted(len(put.examples), 'example')} imported, {total} in all. `undo` takes {'it' if len(put.examples) == 1 else 'them'} back."
        ]
        if more := len(put.candidates):
            said.append(
                f"{counted(more, 'text')} rejected or repaired elsewhere {'is' if more == 1 else 'are'} kept as {'a decision' if more == 1 else 'decisions'}."
            )
        twins = preview.twins_line()
        said += [f"left out: {twins}" if skip_twins else twins] if twins else []
        yield Line(data, "\n".join([*said, *preview.notes()]))


def _told(preview: Preview, skip_twins: bool) -> dict[str, Any]:
    taken = next((reading.taken for reading in preview.readings if reading.taken), None)
    rows = preview.kept(skip_twins)
    return {
        "rejected": sum(row.rejected for row in rows),
        "repaired": sum(bool(row.before) for row in rows),
        "ignored": sum(reading.ignored for reading in preview.readings),
        "near_duplicates": len(preview.twins),
        "text_from": taken.text if taken else None,
        "fields_from": dict(taken.fields) if taken else {},
        "unused": list(dict.fromkeys(name for reading in preview.readings for name in reading.unused)),
    }


def _data(preview: Preview, session: Session, skip_twins: bool) -> dict[str, Any]:
    rows = preview.kept(skip_twins)
    return {
        "would_import": sum(not row.rejected for row in rows) if not preview.faults else 0,
        "examples": len(session.store.examples),
        **_told(preview, skip_twins),
        "faults": [{"error": fault.message, "hint": fault.hint, "kind": fault.kind} for fault in preview.faults],
        "first": [{"text": row.text, "fields": row.fields, "rejected": row.rejected} for row in rows[:SHOWN]],
        "twins": [clean_line(preview.twin_line(twin, session)) for twin in preview.twins[:SHOWN]],
    }


def _shown(preview: Preview, session: Session, skip_twins: bool) -> str:
    said = [preview.counts(skip_twins), *preview.notes(), *(f"  {row}" for row in first_rows(preview.kept(skip_twins)))]
    if preview.faults:
        said += [preview.faults_line(), *(f"  {preview.fault_line(fault)}" for fault in preview.faults[:SHOWN])]
        said += [f"  and {len(preview.faults) - SHOWN} more"] * (len(preview.faults) > SHOWN)
    if twins := preview.twins_line():
        said += [twins, *(f"  {preview.twin_line(twin, session)}" for twin in preview.twins[:SHOWN])]
    return "\n".join([*said, "Nothing was imported: this was a look."])
