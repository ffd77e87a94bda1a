"""What the doctor looks at in the dataset: the journal line by line, the view against it, the snapshots; and how it mends them."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from core.errors import FlavorError
from core.files import exists, keep_aside, names, read_bytes, write_atomic
from core.finding import Finding, Level
from core.lock import Lock, read_note
from core.text import counted
from dataset.journal import Journal
from dataset.rows import Mark, Tables
from dataset.salvage import Known, Salvaged, Source, check_of, replay, salvage, source, speaks
from dataset.snapshots import remnants, snapshots
from dataset.view import from_raw, pack, to_raw, unpack

JOURNAL, VIEW = "journal.log", "dataset.json"


def check_dataset(workspace: Path) -> list[Finding]:
    """Everything about journal, view and snapshots. Reads only."""
    problem, torn = _journal_problem(workspace)
    if problem:
        found = _salvage_findings(problem, *_gather(workspace), _note(workspace))
    else:
        mark, tables = _sound(workspace)
        found = [_all_whole(mark)]
        if torn:
            found.append(Finding("note", JOURNAL, "an unfinished last line; nobody was told of it, and the next start sets it aside"))
        found.append(_view_finding(workspace, mark, tables))
    return found + _snapshot_findings(workspace)


def mend_dataset(workspace: Path, lock: Lock) -> list[Finding]:
    """Mend journal and view; what they were is kept in `damaged/`. The caller holds the lock. Raises OSError where that cannot be written."""
    found: list[Finding] = []
    problem, _ = _journal_problem(workspace)
    if problem:
        saved, unreadable = _gather(workspace)
        if unreadable and saved.missing:
            what = f"{unreadable[0]} cannot be read, and may have what is missing."
            raise FlavorError(what, "Try again; if it stays so, move that file away, and what is lost will be named.", "disk")
        said = _salvage_findings(problem, saved, unreadable, _note(workspace))
        kept = _replace(workspace, workspace / JOURNAL, saved.data)
        lock.witness(*saved.last)
        found += [msgspec.structs.replace(one, mended=kept if one.level in ("mend", "lost") else "") for one in said]
        mark, tables = saved.last, replay(saved.data)
    else:
        mark, tables = _sound(workspace)
        found.append(_all_whole(mark))
        lock.witness(*mark)
    view = _view_finding(workspace, mark, tables)
    if view.level != "well" and (mark.seq or exists(workspace / VIEW)):
        view = msgspec.structs.replace(view, mended=_replace(workspace, workspace / VIEW, pack(mark, to_raw(tables))))
    return [*found, view, *_snapshot_findings(workspace)]


def _sound(workspace: Path) -> tuple[Mark, Tables]:
    """The last line of a journal that is whole, and all documents. Raises OSError where it cannot be read after all."""
    journal = Journal(workspace / JOURNAL, read_only=True)
    for _ in journal.replay():
        pass
    return Mark(journal.seq, journal.check, journal.first), replay(journal.whole() if journal.seq else b"")


def _all_whole(mark: Mark) -> Finding:
    return Finding("well", JOURNAL, f"{counted(mark.seq, 'line')}, every one whole and in its place")


def _replace(workspace: Path, path: Path, data: bytes) -> str:
    """Write a mended file; what was there is kept. Says so."""
    kept = f"; what it was is kept as damaged/{keep_aside(workspace, path).name}" if exists(path) else ""
    write_atomic(path, data)
    return "mended" + kept


def _bytes(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except OSError:
        return b""


def _note(workspace: Path) -> Mark:
    """What the lock's note says of the journal; line 0 where it says nothing."""
    note = read_note(workspace / "lock")
    return Mark(note.seq, note.check, note.first) if note else Mark(0)


def _marks(workspace: Path) -> list[Mark]:
    view = _known(workspace, VIEW)
    return [_note(workspace), *([view.mark] if view else [])]


def _journal_problem(workspace: Path) -> tuple[str, bool]:
    """What is wrong with the journal, in words (empty: nothing), and whether its last line is unfinished."""
    journal = Journal(workspace / JOURNAL, read_only=True, witnesses=_marks(workspace))
    try:
        for _ in journal.replay():
            pass
        if not journal.seq and (remnant := remnants(workspace)):
            return f"{journal.path} is missing or empty, but there is {remnant}.", False
        return "", len(journal.whole()) != os.lstat(journal.path).st_size if exists(journal.path) else False
    except FlavorError as error:
        return error.message, False
    except OSError as error:
        return f"{journal.path} cannot be read: {error.strerror}.", False


def _known(workspace: Path, name: str) -> Known | None:
    return _parse_view(name, _bytes(workspace / name))


def _parse_view(name: str, data: bytes) -> Known | None:
    try:
        mark, raw = unpack(data)
        return Known(name, mark, from_raw(raw))
    except (ValueError, LookupError, TypeError, AttributeError, msgspec.MsgspecError):
        return None


def _gather(workspace: Path) -> tuple[Salvaged, list[str]]:
    """Put a journal together from everything there is; also the files that are there and cannot be read."""
    folders = [f"snapshots/{one.folder.name}" for one in snapshots(workspace)]
    aside = [f"damaged/{name}" for name in reversed(names(workspace / "damaged")) if "journal" in name]
    sources: list[Source] = []
    views: list[Known] = []
    unreadable: list[str] = []
    for name in (JOURNAL, *(f"{at}/{JOURNAL}" for at in folders), *aside, VIEW, *(f"{at}/{VIEW}" for at in folders)):
        try:
            data = read_bytes(workspace / name)
        except FileNotFoundError:
            continue
        except OSError:
            unreadable.append(name)
            continue
        if name.endswith(VIEW):
            views += [view] if (view := _parse_view(name, data)) else []
        else:
            sources.append(source(name, data))
    return salvage(sources, views, _marks(workspace)), unreadable


def _salvage_findings(problem: str, saved: Salvaged, unreadable: list[str], note: Mark) -> list[Finding]:
    found = [Finding("mend", JOURNAL, problem)]
    found += [Finding("note", name, "it is there and cannot be read") for name in unreadable]
    for name, count in saved.used.items():
        if name != JOURNAL:
            found.append(Finding("mend", JOURNAL, f"{counted(count, 'line')} of it {'is' if count == 1 else 'are'} in {name}"))
    for name in saved.foreign:
        level: Level = "mend" if name == JOURNAL else "note" if name.startswith("damaged/") else "lost"
        found.append(Finding(level, JOURNAL, f"{name} has another history than what was kept; texts that only it has are not there"))
    lines = source("", saved.data).lines
    if not note.seq or speaks(lines, note) < 0:
        what = f"whether there were lines after {saved.last.seq} cannot be told, since the note in `lock` is not there, or another's"
        found.append(Finding("lost", JOURNAL, what))
    remembered = set(saved.remembered)
    for first, last in _runs(saved.missing):
        span = f"line {first} is" if first == last else f"lines {first} to {last} are"
        sure = all(seq in remembered for seq in range(first, last + 1))
        what = (
            "the texts and decisions after it are known; it cannot be taken back"
            if sure
            else "what it changed is known only as far as others tell"
        )
        found.append(Finding("mend" if sure else "lost", JOURNAL, f"{span} in no file; {what}"))
    return found


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _view_finding(workspace: Path, mark: Mark, tables: Tables) -> Finding:
    if not exists(workspace / VIEW):
        return Finding("note", VIEW, "it is not there; it is written again from the journal")
    view = _known(workspace, VIEW)
    if view is None:
        return Finding("mend", VIEW, "it is damaged, or another program wrote it; the journal has everything that we wrote")
    if (view.mark, view.tables) == (mark, tables):
        return Finding("well", VIEW, f"it shows what the journal says, to line {mark.seq}")
    return Finding("note", VIEW, f"it shows line {view.mark.seq} and not what the journal says; it is written again")


def _snapshot_findings(workspace: Path) -> list[Finding]:
    found = []
    for one in snapshots(workspace):
        where = f"snapshots/{one.folder.name}"
        lines = source(where, _bytes(one.folder / JOURNAL))
        last = check_of(lines.lines.get(one.sums.seq, b"")) if one.sums else ""
        if one.sums is None or lines.bad or last != one.sums.check or sorted(lines.lines) != list(range(1, one.sums.seq + 1)):
            found.append(Finding("note", where, "this snapshot is not whole; what only it could tell is not known"))
    return found or [Finding("well", "snapshots", f"{len(snapshots(workspace))} of the last sessions, each whole")]
