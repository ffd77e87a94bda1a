"""What is about to be imported, looked at before anything is kept, and then brought in as one undoable step. Knows no Textual."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.errors import FlavorError
from core.files import new_uid, now
from core.task import Task
from core.text import clean_line, counted, short
from dataset.importing import MAX_BYTES, MAX_FAULTS, MAX_ROWS, Choice, Read, Reading, read, read_data
from dataset.rows import IMPORTED, Candidate, Decision, Example, Origin, Tables
from dataset.twins import Twin, find_twins
from tui.session.session import Session

STDIN = "-"
SHOWN = 3
"""Rows, faults and near-duplicates that a preview shows of each."""


@dataclass
class Preview:
    """All that some sources hold, and what is odd about it."""

    readings: list[Reading]
    twins: list[Twin] = field(default_factory=list)

    @property
    def rows(self) -> list[Read]:
        return [row for reading in self.readings for row in reading.rows]

    @property
    def faults(self) -> list[FlavorError]:
        return [fault for reading in self.readings for fault in reading.faults]

    def kept(self, skip_twins: bool) -> list[Read]:
        """The rows that would be imported."""
        gone = {twin.row for twin in self.twins} if skip_twins else set()
        return [row for place, row in enumerate(self.rows) if place not in gone]

    def refuse(self) -> None:
        """Raises the first fault, if there is one: it is all or nothing."""
        if self.faults:
            first = self.faults[0]
            raise FlavorError(
                first.message, f"{first.hint} Nothing was imported.".strip(), first.kind
            )  # a new one: its traceback would hold everything that was read

    # -- in words ------------------------------------------------------------------------------------------------------

    def counts(self, skip_twins: bool = False) -> str:
        """How many of what, in a line."""
        rows = self.kept(skip_twins)
        rejected = sum(row.rejected for row in rows)
        kinds = sum((reading.kinds for reading in self.readings), Counter[str]())
        said = [f"{len(rows) - rejected} example{'s' * (len(rows) - rejected != 1)}"]
        said += [f"{rejected} rejected text{'s' * (rejected != 1)}"] if rejected else []
        said += [f"{repaired} of them repaired"] if (repaired := sum(bool(row.before) for row in rows)) else []
        said += [f"{ignored} ignored, as their tool says"] if (ignored := sum(r.ignored for r in self.readings)) else []
        others = [kind for kind in kinds if kind not in ("texts", "columns")]
        return ", ".join(said) + (f" ({', '.join(others)})" if others else "")

    def notes(self) -> list[str]:
        """What the person should know of it, each in a line."""
        said = []
        for reading in self.readings:
            if reading.taken is not None and reading.taken.text and (reading.taken.text != "text" or reading.taken.fields):
                fields = ", ".join(f"{name} from {short(column, 30)!r}" for name, column in reading.taken.fields.items())
                said.append(f"text from {short(reading.taken.text, 30)!r}" + (f", {fields}" if fields else ""))
            if reading.unused:
                names = ", ".join(short(name, 20) for name in reading.unused[:8])
                said.append(f"columns not used: {names}" + (", …" if len(reading.unused) > 8 else ""))
            if machine := sum(row.origin == "accepted" and not row.rejected for row in reading.rows):
                said.append(f"{counted(machine, 'text')} that a model wrote: so they stay, and are not held out")
            if reading.prompts:
                said.append(f"{counted(reading.prompts, 'prompt')} left out: here the heading and the fields are the prompt")
        return list(dict.fromkeys(said))

    def faults_line(self) -> str:
        """How many places are wrong."""
        most = any(len(reading.faults) >= MAX_FAULTS for reading in self.readings)
        return f"{'at least ' if most else ''}{len(self.faults)} at fault: nothing can be imported"

    def fault_line(self, fault: FlavorError) -> str:
        """One fault, in a line; without the name of the source where there is only one."""
        said = f"{fault.message} {fault.hint}"
        return clean_line(said.removeprefix(f"{self.readings[0].name}, ") if len(self.readings) == 1 else said)

    def twins_line(self) -> str:
        """How many near-duplicates there are; empty where there is none."""
        if not self.twins:
            return ""
        there = sum(bool(twin.of) for twin in self.twins)
        same = sum(twin.same for twin in self.twins)
        others = len(self.twins) - there
        parts = [(there, "of examples that are here"), (others, "of other rows"), (same, "word for word")]
        many = "near-duplicates" if len(self.twins) > 1 else "near-duplicate"
        return f"{len(self.twins)} {many} ({', '.join(f'{count} {said}' for count, said in parts if count)})"

    def twin_line(self, twin: Twin, session: Session) -> str:
        """One near-duplicate, in a line."""
        rows = self.rows
        other = session.store.examples[twin.of].text if twin.of in session.store.examples else ""
        where = f"the example {short(other, 30)!r}" if twin.of else rows[twin.first].place if twin.first is not None else ""
        return f"{rows[twin.row].place}: {short(rows[twin.row].text, 50)!r} {'is' if twin.same else 'is like'} {where}"


def read_source(source: str, task: Task, choice: Choice = Choice()) -> Reading:  # noqa: B008
    """What a source holds; `-` is standard input. Raises FlavorError where it cannot be read at all."""
    if source == STDIN:
        return read_data(sys.stdin.buffer.read(MAX_BYTES + 1), "standard input", task, choice)
    return read(source, task, choice)


def look(session: Session, sources: Sequence[str], choice: Choice = Choice()) -> Preview:  # noqa: B008
    """Read sources, and find near-duplicates. Raises FlavorError where one cannot be read at all. Changes nothing; may run in a thread."""
    readings = [read_source(source, session.task, choice) for source in sources]
    _refuse_idle(readings, choice)
    return _with_twins(session, readings)


def look_at_text(session: Session, text: str, choice: Choice = Choice()) -> Preview:  # noqa: B008
    """The same for text from the clipboard."""
    return _with_twins(session, [read_data(text.encode("utf-8", "surrogatepass"), "clipboard", session.task, choice)])


def _refuse_idle(readings: list[Reading], choice: Choice) -> None:
    """Raises FlavorError on an option that says nothing of anything that was read."""
    if any(reading.faults for reading in readings):
        return  # they say more
    forms: set[str] = set().union(*(reading.forms for reading in readings))
    columns = any(reading.columns for reading in readings)
    idle = {
        "--text": choice.text and not columns, "--field": choice.fields and not columns, "--mark": choice.mark and "txt" not in forms,
        "--split": choice.split and "folder" not in forms,
    }  # fmt: skip
    goes_with = {"--mark": "plain texts", "--split": "a folder or a dataset that has several"}
    for option, useless in idle.items():
        if useless:
            raise FlavorError(
                f"{option} says nothing of {' and '.join(short(reading.name) for reading in readings)}.",
                f"It goes with {goes_with.get(option, 'columns')}. Leave it out.",
                "usage",
            )


def _with_twins(session: Session, readings: list[Reading]) -> Preview:
    preview = Preview(readings)
    if len(preview.rows) > MAX_ROWS:
        raise FlavorError(f"There are {len(preview.rows)} rows in all, more than {MAX_ROWS}.", "Import them in parts.", "import")
    preview.twins = _twins(preview.rows, session.store.texts())
    return preview


def _twins(rows: Sequence[Read], there: Mapping[str, str]) -> list[Twin]:
    """The near-duplicates among what is wanted, and apart from them among what was rejected: a text is often wanted since one like it was not."""
    found: list[Twin] = []
    for rejected in (False, True):
        places = [place for place, row in enumerate(rows) if row.rejected == rejected]
        twins = find_twins([rows[place].text for place in places], {} if rejected else there)
        found += [replace(twin, row=places[twin.row], first=None if twin.first is None else places[twin.first]) for twin in twins]
    return sorted(found, key=lambda twin: twin.row)


def bring(session: Session, preview: Preview, skip_twins: bool = False) -> Tables:
    """Import what was looked at, all or nothing, as one step that undo takes back; what was put. Raises FlavorError."""
    preview.refuse()
    rows = preview.kept(skip_twins)
    if not rows:
        raise FlavorError("Every row is a near-duplicate.", "Nothing was imported.", "empty")
    put = _tables(rows)
    session.bring(put, f"{len(rows)} imported")
    return put


def _tables(rows: Sequence[Read]) -> Tables:
    """Examples; and what was rejected or repaired elsewhere, as candidates that are decided."""
    put, time = Tables({}, {}, {}, {}), now()
    for row in rows:
        if not row.rejected:
            origin: Origin = "accepted" if row.origin == "accepted" else "imported"  # a model's words stay a model's
            made = Example(new_uid(), row.text, row.fields, origin, time, depth=int(origin == "accepted"))
            put.examples[made.uid] = made
        if row.rejected or row.before:
            text, state = (row.text, "rejected") if row.rejected else (row.before, "edited")
            uid, example = new_uid(), "" if row.rejected else made.uid
            put.candidates[uid] = Candidate(uid, text, row.fields, IMPORTED, "", 0, 0, "stop", 0, [], time, state)  # type: ignore[arg-type]
            decided = Decision(
                new_uid(), uid, "reject" if row.rejected else "edit", time, text, "" if row.rejected else row.text, row.fields, IMPORTED, 0,
                {}, example,
            )  # fmt: skip
            put.decisions[decided.uid] = decided
    return put


def first_rows(rows: Sequence[Read], count: int = SHOWN) -> list[str]:
    """The first rows, each in a line, where ↵ stands for the end of one of its own."""
    lines = []
    for row in rows[:count]:
        fields = " · ".join(f"{name} {value}" for name, value in row.fields.items())
        mark, text = "✗ " if row.rejected else "", row.text.replace("\n", " ↵ ")
        lines.append(clean_line(f"{mark}{short(text, 200)}" + (f"  [{fields}]" if fields else "")))
    return lines


def import_files(session: Session, *paths: Path) -> int:
    """Import all rows of files as one undoable step, or none of them. Their number."""
    preview = look(session, [str(path) for path in paths])
    bring(session, preview)
    return len(preview.rows)
