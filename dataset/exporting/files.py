"""Tables as files: .jsonl, .csv and .tsv, .txt (the texts alone), .md (the heading form), .parquet; and as `DatasetDict.save_to_disk` leaves them."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from core import environment
from core.errors import FlavorError
from core.files import exists, exporting, publish_file, publish_folder, remove_tree, write_atomic
from core.text import short
from dataset.exporting.forms import Table

ENDINGS = (".jsonl", ".csv", ".tsv", ".txt", ".md", ".parquet")
RULE = re.compile(r"(?m)^\s*(-{3,}|\*{3,})\s*$")
"""A line that parts texts where `import` reads them."""
HEADING = re.compile(r"(?m)^#(\s|$)")
"""The line under which a text stands in Markdown."""
FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")
"""What a spreadsheet would calculate when it opens a cell that begins so, guarded already or not."""
BOM = "\ufeff"
"""What tells Excel that a .csv is UTF-8; without it umlauts are two letters each there. What reads a pipe does without."""


def jsonl(table: Table) -> str:
    """A row a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table.rows)


def _cell(value: object) -> str:
    """A cell; one that a spreadsheet would take for a formula gets a `'` before it, which `import` takes away again."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{text}" if FORMULA.match(text) else text


def _delimited(table: Table, mark: str) -> str:
    fields = table.kinds.get("fields", [])
    names = [name for name in table.kinds if name not in ("fields", "origin", "created")] + list(fields)
    if len({name.casefold() for name in names}) < len(names):
        raise FlavorError("A field has the name of another column.", "Export .jsonl or .parquet.")
    if "turns" in table.kinds.values():
        raise FlavorError("A chat does not fit into cells.", "Export .jsonl or .parquet.")
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=mark, quoting=csv.QUOTE_ALL)  # else another separator would begin a cell within a text
    writer.writerow([_cell(name) for name in names])
    for row in table.rows:
        values = row.get("fields", {})
        writer.writerow([_cell((values if name in fields else row).get(name, "")) for name in names])
    return out.getvalue()


def _prefers(table: Table) -> bool:
    """Whether it is of preferences, which have no other form, and are never a folder by themselves."""
    return bool({"rejected", "label"} & table.kinds.keys())


def _instead(table: Table) -> str:
    """What to do where a form does not fit into texts."""
    if _prefers(table):
        return "Export .jsonl, .csv or .parquet."
    return "Leave --form out, or use --form raw."


def _markdown(table: Table) -> str:
    """The heading form is the raw form: prompt and text, one after the other."""
    if list(table.kinds) != ["text"]:
        raise FlavorError("Markdown has one form only.", _instead(table))
    for row in table.rows:
        if begins := [match.start() for match in HEADING.finditer(row["text"])][1:]:
            said = short(row["text"][begins[0] :].partition("\n")[0], 60)
            raise FlavorError(f"A text has a line that begins with # itself, as a heading does: “{said}”.", "Export .jsonl or .csv.")
    return "\n".join(row["text"] + "\n" for row in table.rows)


def _texts(table: Table) -> str:
    """The texts alone, with blank lines between them, or lines of `---` where a text has a blank line itself or begins as a heading does: as
    `import` takes them apart."""
    texts = [row["text"] for row in table.rows if "text" in row]
    if len(texts) < len(table.rows):
        raise FlavorError("Plain text has no prompts and no turns.", _instead(table))
    if parted := next((text for text in texts if RULE.search(text)), ""):
        raise FlavorError(f"The text “{short(parted, 60)}” has a line of --- or *** itself, which would part it.", "Export .jsonl or .csv.")
    parting = "\n\n---\n\n" if any(re.search(r"\A#|\n\s*\n", text) for text in texts) else "\n\n"
    end = parting.rstrip("\n") if len(texts) == 1 and "-" in parting else ""  # else a blank line in it would part it
    return parting.join(texts) + end + "\n"


def as_text(table: Table, ending: str) -> str:
    """What a file of this ending holds; not of .parquet, which is no text. Raises FlavorError where the table has no such form."""
    match ending:
        case ".csv" | ".tsv":
            return _delimited(table, "\t" if ending == ".tsv" else ",")
        case ".txt":
            return _texts(table)
        case ".md":
            return _markdown(table)
        case _:
            return jsonl(table)


def write_file(table: Table, path: Path, like: str = "") -> int:
    """Write a table in the form that the ending of `path` (or `like`) names; its number of rows. Raises FlavorError, also where something
    is there already: it may be the person's own."""
    ending = like or path.suffix.lower()
    if ending not in ENDINGS:
        folder = "" if _prefers(table) else " For a folder of that name: --as folder."
        raise FlavorError(f"{path} has an unknown ending.", f"Known: {', '.join(ENDINGS)}.{folder}")
    with _writing(path):
        if exists(path):
            raise FlavorError(f"{path} is there already.", "Choose a new name.", "exists")
        path.parent.mkdir(parents=True, exist_ok=True)
        if ending == ".parquet":
            staged = exporting(path)
            with _gone_after(staged):
                _by_process("parquet", staged, {"train": table}, path)
                publish_file(staged, path)
        else:
            write_atomic(path, (BOM if ending == ".csv" else "") + as_text(table, ending))
    return len(table.rows)


def write_disk(splits: Mapping[str, Table], folder: Path) -> int:
    """Write splits as `DatasetDict.save_to_disk` does: by itself. Raises FlavorError where the folder is there already."""
    with new_folder(folder) as staged:
        _by_process("disk", staged, splits, folder)
    return sum(len(table.rows) for table in splits.values())


def check_free(folder: Path) -> None:
    """Raises FlavorError where something is there, or it is the folder that this program, and the person's shell, are in: what is put in its place
    would be another one."""
    with _writing(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FlavorError(f"{folder} is there already.", "Choose a new folder.", "exists")
        if folder.exists() and folder.samefile(os.curdir):
            raise FlavorError(f"{folder} is the folder you are in.", "Choose a new one in it or beside it.", "exists")


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which is put in its place when it is whole. Raises FlavorError where it is not free, or cannot be written."""
    check_free(folder)
    staged = exporting(folder)
    with _writing(folder), _gone_after(staged):
        staged.mkdir(parents=True)
        yield staged
        publish_folder(staged, folder)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FlavorError(f"{path} cannot be written: {error.strerror}.", "Choose another place.", "disk") from None


@contextlib.contextmanager
def _gone_after(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            remove_tree(path)


def _by_process(form: str, staged: Path, splits: Mapping[str, Table], dest: Path) -> None:
    """Have `core.tables` write what will be `dest`; a process of its own, since its libraries are large."""
    kinds = next(iter(splits.values())).kinds
    lines = [json.dumps({**kinds, "": list(splits)})]
    lines += [json.dumps([name, row]) for name, table in splits.items() for row in table.rows]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "core.tables", "write", form, str(staged.absolute())],
        input="\n".join(lines).encode() + b"\n", capture_output=True, env=environment.of_worker(), cwd=environment.empty_folder(), check=False,
        start_new_session=True,
    )  # fmt: skip
    try:
        said = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"code {done.returncode}"]
        raise FlavorError(f"{dest} could not be written: {last[0][:200]}.", "Reinstall pyarrow and datasets.", "fault") from None
    if "error" in said:
        raise FlavorError(f"{dest} cannot be written: {said['error']}.", "Choose another place.", "disk")
