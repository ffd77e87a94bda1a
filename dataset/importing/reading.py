"""A source read whole: its rows, checked against the task, and everything that is wrong with it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

from core.errors import FlavorError
from core.reading import decode, read_regular
from core.task import Task
from core.text import check_text, clean_line, hidden, short
from dataset.importing.bounds import MAX_BYTES, MAX_COLUMNS, MAX_FAULTS, MAX_ROWS, Columns, Found, Ready, fault, wrong
from dataset.importing.columns import Choice, Columned, cell, listed, match, no_text, plain_name, scalar, spread, text_of, too_long
from dataset.importing.delimited import delimited
from dataset.importing.objects import json_objects, jsonl
from dataset.importing.shapes import Record, records
from dataset.importing.tables import HUB, REJECTED, find_files, parquet, saved, saved_splits
from dataset.importing.texts import in_heading_form, markdown, opens_with_heading, plain, without_prompt
from dataset.rows import Origin, Parsed

ENDINGS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".kiln": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".md": "md",
    ".markdown": "md",
    ".txt": "txt",
    ".parquet": "parquet",
}
"""The form of a file by its ending."""
FORMS = ("jsonl", "json", "csv", "tsv", "md", "txt", "parquet")
OWN = ("origin", "created")
"""What the form of our own exports says of a row beside its text and fields."""
SURE = ("text", "completion", "output")
"""Names of the text's column that no sentence has by chance."""
NAME = re.compile(r"[\w-]{1,30}( [\w-]{1,30}){0,2}")
"""A column's name, where a line of them is told from a sentence."""
ORIGINS = get_args(Origin)
WHOLE = re.compile(r"(\d)\.0+")
"""A scale's value as spreadsheets write it."""


@dataclass(frozen=True)
class Read:
    """A row of a source: a text with its fields, and what was decided of it elsewhere."""

    place: str
    text: str
    fields: dict[str, str]
    rejected: bool = False
    before: str = ""
    """What stood there before a person changed it."""
    origin: str = ""
    """Where it came from, as our own form says it: written, imported, accepted or edited. Empty elsewhere."""


@dataclass
class Reading:
    """What a source holds."""

    name: str
    rows: list[Read] = field(default_factory=list)
    faults: list[FlavorError] = field(default_factory=list)
    """Each names its place; after `MAX_FAULTS` of them the reading stopped."""
    kinds: Counter[str] = field(default_factory=Counter)
    """What its records were taken for."""
    forms: set[str] = field(default_factory=set)
    """What its files were read as; `folder` where it is one of several files or splits."""
    columns: dict[str, None] = field(default_factory=dict)
    """The columns there are, in order."""
    taken: Columned | None = None
    """Where text and fields came from, in the first record with columns."""
    used: set[str] = field(default_factory=set)
    """Columns that something was taken from, in any record, or that say what another one is."""
    prompts: int = 0
    """Prompts that are not this task's, and that no field takes."""
    ignored: int = 0
    """Records that their own tool says to ignore."""

    @property
    def unused(self) -> list[str]:
        """Columns that nothing was taken from."""
        return [name for name in self.columns if name not in self.used]

    def parsed(self) -> list[Parsed]:
        """The texts to learn from, with their fields. Raises the first fault, where there is one."""
        if self.faults:
            raise self.faults[0]
        return [(row.text, row.fields) for row in self.rows if not row.rejected]


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """A regular file as text. Raises FlavorError where it is absent, too large, a device, or not UTF-8 (with the byte)."""
    return decode(read_bytes(path, limit), path)


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """A regular file. Raises FlavorError where it is absent, too large or no file."""
    try:
        return read_regular(path, limit, "import")
    except FileNotFoundError:
        hint = f"Check the name. A dataset on the hub is {HUB}{path}." if len(path.parts) == 2 and not path.suffix else "Check the name."
        raise FlavorError(f"{path} cannot be opened: No such file or directory.", hint, "missing") from None


def guess(text: str, task: Task, choice: Choice = Choice()) -> str:  # noqa: B008
    """The form of a text without a name, from its beginning."""
    head = text.lstrip("\ufeff \n\r\t")[:2000]
    first = head.partition("\n")[0].rstrip("\r")
    if head[:1] == "{":
        return "json"
    if head[:1] == "[" and head[1:].lstrip()[:1] == "{":
        return "json"
    if choice.mark:
        return "txt"
    if head.startswith("# "):
        return "md"
    return next((form for mark, form in (("\t", "tsv"), (",", "csv"), (";", "csv")) if _names_columns(first, mark, task, choice)), "txt")


def _names_columns(line: str, mark: str, task: Task, choice: Choice) -> bool:
    """Whether a first line names columns, one of which is known to hold the text, as that of a file would."""
    names = [name.strip().strip('"') for name in line.split(mark)]
    if choice.text:
        return choice.text in names
    if len(names) < 2 or not (mark == "\t" or all(map(NAME.fullmatch, names))):
        return False
    try:
        taken = match(names, task, choice, first=False)
    except FlavorError:
        return False
    sure = plain_name(taken.text) in SURE or taken.fields
    return bool(taken.text) and bool(sure or f"{mark} " not in line)  # "A story, and rain" may begin a text


def _open(form: str, data: bytes, task: Task, choice: Choice) -> Found:
    match form:
        case "jsonl":
            return jsonl(data)
        case "json":
            return json_objects(data)
        case "csv" | "tsv":
            return delimited(data, form == "tsv")
        case "md":
            return markdown(data, task)
        case _:
            return plain(data, task, choice.mark)


def read(source: str, task: Task, choice: Choice = Choice()) -> Reading:  # noqa: B008
    """What a file, a folder or a dataset on the hub holds. Raises FlavorError where it cannot be read at all."""
    reading = Reading(source)
    if source.startswith(HUB):
        from dataset.importing.hub import fetch

        folder = fetch(source.removeprefix(HUB))
        _folder(folder, source, task, choice, reading)
    elif os.path.isdir(path := Path(source)) and path.suffix.lower() not in ENDINGS:
        _folder(path, source, task, choice, reading)
    else:
        _file(path, source, task, choice, reading)
    return _finished(reading, choice)


def read_data(data: bytes, name: str, task: Task, choice: Choice = Choice()) -> Reading:  # noqa: B008
    """What bytes without a file hold: standard input, or what was pasted."""
    reading = Reading(name)
    if len(data) > MAX_BYTES:
        raise fault(f"{name} has more than {MAX_BYTES} bytes.", "Split it.")
    if choice.form == "parquet":
        raise fault(f"{name} is read as text, and Parquet is none.", "Save it as a file, and give that.")
    text = decode(data, Path(name))
    form = choice.form or guess(text, task, choice)
    reading.forms.add(form)
    _gather(_open(form, data, task, choice), name, task, choice, reading)
    return _finished(reading, choice)


def _finished(reading: Reading, choice: Choice) -> Reading:
    if not reading.rows and not reading.faults:
        hint = f"{reading.ignored} are to be ignored." if reading.ignored else ""
        raise FlavorError(f"{reading.name} holds no rows.", hint, "empty")
    for name in choice.fields.values():
        if name and reading.columns and name not in reading.columns and not reading.faults:  # not even one of our own rows has it
            reading.faults.append(fault(f"{reading.name} has no column {short(name)!r}.", f"Its columns: {listed([*reading.columns])}."))
    return reading


def _file(path: Path, name: str, task: Task, choice: Choice, reading: Reading) -> None:
    form = choice.form or ENDINGS.get(path.suffix.lower(), "")
    if not form:
        if not path.suffix and not os.path.lexists(path):
            read_bytes(path)  # says that it is not there, and how the hub is asked
        raise FlavorError(
            f"{path} has an unknown ending; known are {', '.join(ENDINGS)}.", "Say what it is, for instance --format txt.", "ending"
        )
    reading.forms.add(form)
    if form == "parquet":
        read_bytes(path)  # refuses a pipe and what is too large before another process opens it
        found = parquet(path)
    else:
        data = read_bytes(path)
        decode(data, path)  # names the byte; the text itself is made a line at a time
        found = _open(form, data, task, choice)
    _gather(found, name, task, choice, reading)


def _folder(folder: Path, name: str, task: Task, choice: Choice, reading: Reading) -> None:
    """A dataset that `datasets` saved, a Kiln project, or a folder of files like one on the hub."""
    splits = saved_splits(folder, choice.split)
    reading.forms |= {"folder"} if splits != [folder] else set()
    if splits:
        for split in splits:
            _gather(saved(split), f"{name}/{split.relative_to(folder)}" if split != folder else name, task, choice, reading)
        return
    files = find_files(folder, tuple(ENDINGS), choice.split)
    ours = any(path.parent == folder / "data" for path in files)
    for path in files:
        before = len(reading.rows)
        _file(path, f"{name}/{path.relative_to(folder)}", task, choice, reading)
        if ours and path == folder / REJECTED:  # the wanted ones are in `data`
            reading.rows[before:] = [row for row in reading.rows[before:] if row.rejected]
        if len(reading.faults) >= MAX_FAULTS:
            return


def _gather(found: Found, name: str, task: Task, choice: Choice, reading: Reading) -> None:
    """All rows of one file into the reading."""
    known: dict[tuple[str, ...], Columned] = {}
    try:
        for place, item in found:
            try:
                if isinstance(item, FlavorError):
                    raise item
                for row in _rows(place, item, task, choice, reading, known):
                    reading.rows.append(row)
                    if len(reading.rows) > MAX_ROWS:
                        wrong(f"{place}: more than {MAX_ROWS} rows.", "Split the file.")
            except FlavorError as error:
                if len(reading.rows) > MAX_ROWS:
                    reading.rows.clear()
                    raise
                reading.faults.append(_placed(error, f"{name}, {place}: "))
                if len(reading.faults) >= MAX_FAULTS:
                    return
    except FlavorError as error:
        reading.faults.append(_placed(error, f"{name}, "))


def _placed(error: FlavorError, place: str) -> FlavorError:
    return FlavorError(f"{place}{error.message}", error.hint, error.kind)


def _rows(
    place: str, item: Ready | Columns, task: Task, choice: Choice, reading: Reading, known: dict[tuple[str, ...], Columned]
) -> Iterator[Read]:
    if isinstance(item, Ready):
        reading.kinds["texts"] += 1
        yield _check(place, item.text, item.fields, task)
        return
    for record in records(item):
        if record.verdict == "ignore":
            reading.ignored += 1
        else:
            yield _columned(place, record, task, choice, reading, known)


def _columned(place: str, record: Record, task: Task, choice: Choice, reading: Reading, known: dict[tuple[str, ...], Columned]) -> Read:
    """A row from a record's columns."""
    given = record.columns.get("fields") if record.kind == "columns" and isinstance(record.columns.get("text"), str) else None
    own = dict(record.columns)
    fields, older, origin = *_own_fields(given, task), ""
    if given is not None:
        del own["fields"]
    ours = given is not None or _bare(own, task)
    if ours:
        for name in OWN:  # what our own form says of a row is no value of it
            value = own.pop(name, "") if name not in (choice.text, *choice.fields.values()) else ""
            origin = value if name == "origin" and value in ORIGINS else origin
    columns = spread({**older, **own})
    names = tuple(columns)
    if len(names) > MAX_COLUMNS:
        raise fault(f"it has more than {MAX_COLUMNS} columns.", "Leave out what is not text.")
    key = (record.text, *names)
    taken = known.get(key)
    if taken is None:
        absent = [name for name in choice.fields.values() if ours and name and name not in names]  # our own rows leave out what is empty
        taken = known[key] = match([*names, *absent], task, choice, reading.taken is None, record.text)
        reading.columns.update(dict.fromkeys(names))
        reading.taken = reading.taken or taken
        reading.used.update((taken.text, *taken.fields.values()))
    reading.used.update(record.used)
    reading.kinds[record.kind] += 1
    if not taken.text:
        raise no_text(names)
    source, value = cell(columns, taken.text)
    reading.used.add(source)
    text = text_of(value, source)
    for name, column in taken.fields.items():
        if name in fields and name not in choice.fields:
            continue
        source, value = cell(columns, column)
        reading.used.add(source)
        value = scalar(value)
        if value is None:
            raise fault(f"its column {short(column)!r} is no text or number.", "Choose another column for that field.")
        whole = WHOLE.fullmatch(value) if task.field(name).kind == "scale" else None
        fields[name] = whole[1] if whole else value
    prompt = "" if taken.text in record.asked else record.prompt
    complete = ours or 0 < len(task.fields) == len(taken.fields)  # as our own tables have all attributes beside the text
    answers = prompt and record.kind != "columns"  # elsewhere a prompt may stand beside a text that holds one itself
    raw = None if complete or answers else without_prompt(text, task)
    if raw and (raw.fields or not (taken.fields or choice.text)):
        text, fields = raw.text, {**raw.fields, **fields}
    elif prompt and (asked := _asked(prompt, task, answered=bool(answers))) is not None:
        fields = {**asked, **fields}
        reading.used.update(record.asked)
    elif prompt:
        reading.prompts += not set(record.asked) & set(taken.fields.values())
    before = record.before if record.before.strip() and record.before != text else ""
    return replace(_check(place, text, fields, task, record.verdict == "reject", before), origin=origin)


def _asked(prompt: str, task: Task, answered: bool) -> dict[str, str] | None:
    """The values in a prompt; None where it is not this task's. Raises FlavorError where it begins as this task's do and is not written as one, or
    names attributes that the task does not have; that is another prompt where it only stands beside the text, not `answered` by its form."""
    if not opens_with_heading(prompt, task):
        return None
    try:
        fields = in_heading_form(prompt, task).fields
        for name in fields:
            task.field(name)
    except FlavorError:
        if answered:
            raise
        return None
    return fields


def _bare(own: Columns, task: Task) -> bool:
    """Whether it is a row of our own form of a task without attributes, which has no `fields`; not where a task has an attribute of such a name."""
    named = set(own) <= {"text", *OWN} and own.get("origin") in ORIGINS
    return named and not any(plain_name(field.name) in own for field in task.fields)


def _own_fields(given: object, task: Task) -> tuple[dict[str, str], dict[str, str]]:
    """The fields of our own form, of a table without the empty ones; and what the task does not have, or has no more: columns as any others."""
    if given is None:
        return {}, {}
    if not isinstance(given, dict):
        raise fault("fields must be an object of texts.", '{"Name": "value"}')
    known = {field.name.casefold() for field in task.fields}
    found: dict[str, str] = {}
    others: dict[str, str] = {}
    for name, value in given.items():
        text = None if isinstance(value, list) else scalar(value)
        if text is None:
            raise fault("fields must be an object of texts.", '{"Name": "value"}')
        if text or value == "":
            (found if clean_line(name).casefold() in known else others)[name] = text
    return found, others


def _check(place: str, text: str, fields: dict[str, str], task: Task, rejected: bool = False, before: str = "") -> Read:
    for what, value in (("the text", text), ("what it was before", before), *fields.items()):
        if not too_long(value) and (code := hidden(value)):
            raise fault(f"{short(what)} holds {code}, which a terminal hides or obeys.", "Take it out, or write what should be seen.")
    return Read(place, check_text(text), task.check(fields), rejected, check_text(before) if before else "")


def read_rows(path: Path, task: Task, choice: Choice = Choice()) -> list[Parsed]:  # noqa: B008
    """All texts of a source with their fields. Raises one FlavorError, naming the place, at the first bad one."""
    return read(str(path), task, choice).parsed()
