"""Text that is being typed and not saved yet: on the disk after a second or ten keys, offered again at the next start."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Collection
from pathlib import Path

import msgspec

from core.errors import FlavorError
from core.files import keep_aside, make_folder, names, read_bytes, seal, sync_folder, unseal, write_atomic
from core.text import check_text
from dataset.rows import Example

EVERY = 0.8
"""Seconds between two looks at whether something was typed."""
KEYS = 10
"""Changes after which the draft is written at once."""


unwritten: dict[Path, Typed] = {}
"""Drafts that could not be written, by path: a copy that is saved elsewhere has them, and leaving asks."""


class Typed(msgspec.Struct, frozen=True):
    """An unsaved text and its attribute values."""

    text: str
    fields: dict[str, str]
    row: str = ""
    """The example or candidate that is being edited."""
    was: str = ""
    """That row's text when the editing began."""


def read_draft(path: Path) -> Typed:
    """A draft. Raises ValueError where it is damaged, FileNotFoundError where there is none."""
    try:
        return msgspec.json.decode(unseal(read_bytes(path)), type=Typed)
    except FileNotFoundError:
        raise
    except (OSError, msgspec.MsgspecError) as error:
        raise ValueError(str(error)) from error


def saved(typed: Typed, examples: Collection[Example]) -> bool:
    """Whether an example is known to be what a draft holds; of a row that is an example, whether that one is."""
    try:
        text, fields = check_text(typed.text), {name: value for name, value in typed.fields.items() if value}
    except FlavorError:
        return False
    own = [example for example in examples if example.uid == typed.row]
    return any(example.text == text and example.fields == fields for example in own or examples)


def kept_drafts(workspace: Path, examples: Collection[Example] = ()) -> list[Typed]:
    """The unsaved edits of rows, to be offered again. One that was saved is removed: its writer died before it could do so."""
    found = []
    for name in names(workspace / "drafts"):
        if name.startswith("edit-") and name.endswith(".json"):
            with contextlib.suppress(ValueError, OSError):
                typed = read_draft(workspace / "drafts" / name)
                if saved(typed, examples):
                    os.unlink(workspace / "drafts" / name)
                else:
                    found.append(typed)
    return [typed for typed in found if typed.row and typed.text.strip()]


def difference(was: str, now: str) -> list[str]:
    """What changed between two texts, line by line, `-` and `+` before what went and what came."""
    lines = difflib.ndiff(was.splitlines(), now.splitlines())
    return [line for line in lines if line[0] in "-+"]


class Draft:
    """One draft of a workspace, by name. Never raises: a draft that cannot be written must not stop the typing."""

    def __init__(self, workspace: Path, name: str, read_only: bool = False) -> None:
        self.workspace = workspace
        self.path = workspace / "drafts" / f"{name}.json"
        self.problem = ""
        """Why what is typed is not kept; empty where it is."""
        self._read_only = read_only
        self._last: Typed | None = None
        self._changes = 0

    def read(self) -> Typed | None:
        """What was typed and not saved, if anything. One that is damaged is moved to `damaged/`, and `problem` says so."""
        try:
            self._last = None if self._read_only else read_draft(self.path)
        except FileNotFoundError:
            pass
        except ValueError as error:
            with contextlib.suppress(OSError):
                self.problem = f"An unsaved text is damaged; what is left of it is in damaged/{keep_aside(self.workspace, self.path).name}."
                if not isinstance(error.__cause__, OSError):  # what only cannot be read may be whole, and stays
                    os.unlink(self.path)
        return self._last

    def typed(self) -> bool:
        """Count a change; whether it is time to `keep`."""
        self._changes += 1
        return self._changes >= KEYS

    def keep(self, typed: Typed) -> None:
        """Write the draft, if it changed. An empty one where there was none is not written."""
        self._changes = 0
        if typed == self._last or (self._last is None and not typed.text and not any(typed.fields.values())):
            unwritten.pop(self.path, None)
            return
        if self._read_only:
            unwritten[self.path] = typed
            return
        try:
            make_folder(self.path.parent)
            write_atomic(self.path, seal(msgspec.to_builtins(typed)))
            self._last, self.problem = typed, ""
            unwritten.pop(self.path, None)
        except OSError as error:
            unwritten[self.path] = typed
            self.problem = f"What you type cannot be kept as a draft ({error.strerror})."

    def drop(self) -> None:
        """It was saved elsewhere, or thrown away."""
        unwritten.pop(self.path, None)
        if self._read_only:
            return
        with contextlib.suppress(OSError):
            os.unlink(self.path)
            sync_folder(self.path.parent)
        self._last = None
