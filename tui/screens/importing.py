"""The import dialog: a path, a dataset on the hub, or what is pasted; looked at before anything is kept; one key brings it all in."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Paste
from textual.widgets import Footer, Input, Select

from core.errors import FlavorError
from core.files import typed_path
from core.text import clean_line, counted, short
from dataset.importing import Choice
from tui.screens.dialog import Dialog
from tui.session.intake import Preview, bring, first_rows, look, look_at_text
from tui.session.session import Session
from tui.widgets.boxes import CleanInput
from tui.widgets.plain import Plain, line, plain

NOWHERE = ""
"""The choice of no column."""
HINTS = {"columns": "Choose it above.", "ending": "Give it one of these."}
"""What to do here about faults for which the command line has options, by kind."""
SHOWN = 5
PAUSE = 0.4
"""Seconds without a key after which a path is looked at."""


class SourceInput(CleanInput):
    """Where a path is typed; several lines that are pasted are the rows themselves."""

    def _on_paste(self, event: Paste) -> None:
        pasted = event.text.strip("\r\n")
        if "\n" not in pasted and "\r" not in pasted:
            super()._on_paste(event)
            return
        event.prevent_default()
        event.stop()
        self.screen.post_message(Pasted(pasted))


def _stamp(path: Path) -> tuple[int, int] | None:
    """What shows that a file was changed; None where there is none."""
    try:
        known = path.stat()
    except (OSError, ValueError):
        return None
    return known.st_size, known.st_mtime_ns


def _as_here(fault: FlavorError) -> FlavorError:
    """A fault with what is to be done about it in this dialog."""
    return FlavorError(fault.message, HINTS.get(fault.kind, fault.hint), fault.kind)


class ColumnSelect(Select[str]):
    """Where the text comes from, or a field of that name."""

    def __init__(self, key: str, options: list[tuple[str, str]], value: str) -> None:
        chosen = {"value": value} if value or key else {}  # nothing chosen yet, where no column is known to hold the text
        super().__init__([(plain(name), column) for name, column in options], prompt="choose a column", compact=True, **chosen)  # type: ignore[arg-type]
        self.key = key
        """The field; empty for the text."""


class Pasted(Paste):
    """Rows came from the clipboard."""


class ImportDialog(Dialog[str | None]):
    """Gives what was imported, in words; None where it was left. Nothing is changed before the key that imports."""

    HELP = "Type a path or `hf://datasets/...`, or paste rows. Counts, first rows and faults are shown before anything is kept; importing can be undone."
    BINDINGS = [
        Binding("ctrl+s", "bring", "import all", priority=True, id="import_bring"),
        Binding("ctrl+d", "twins", "near-duplicates in or out", priority=True, id="import_twins"),
        Binding("escape", "leave", "leave", id="import_leave"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._text = ""
        """What was pasted; empty: a path is looked at."""
        self._preview: Preview | None = None
        self._skip_twins = False
        self._chosen: dict[str, str] = {}
        """Columns that the person chose, by field; the text's under an empty name."""
        self._columns: list[str] | None = None
        """Of the source that the selects are of; None: they are to be made anew, since what was chosen in them holds no more."""
        self._reading = False
        """Whether the source is being read, so that what is seen is what stood there before."""
        self._looked = 0
        self._stamp: tuple[int, int] | None = None
        """Of the file, as it was when it was looked at."""

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Plain(plain("Import examples", "bold"), id="dialog-title")
            tip = "a file, a folder, hf://datasets/OWNER/NAME; or paste texts here"
            yield SourceInput(placeholder=tip, id="import-source", compact=True)
            yield Vertical(id="import-columns")
            with VerticalScroll(id="import-preview"):
                yield Plain(plain(self._help(), "$text-muted"), id="import-text")
            yield Plain(id="dialog-error")
            yield Footer(show_command_palette=False)

    def _help(self) -> str:
        fields = ", ".join(field.name for field in self._session.task.fields)
        named = f" A column named like a field ({fields}) fills it." if fields else ""
        return (
            "JSONL and JSON (ours, prompt and completion, chats, Alpaca, ShareGPT, Kiln, Argilla, Prodigy), CSV, TSV, Markdown under "
            f"headings, plain text, Parquet, folders of them, and what `datasets` saved.{named}\n\n"
            "Nothing is imported before ctrl+s, and then all of it or nothing; "
            f"{self.flavor.own_key('undo_library')} in the Library takes it back."
        )

    def on_mount(self) -> None:
        self.query_one(SourceInput).focus()

    # -- looking -------------------------------------------------------------------------------------------------------

    @on(Input.Changed, "#import-source")
    def _typed(self) -> None:
        self._text, self._chosen, self._columns, self._preview = "", {}, None, None  # what is imported is what was seen last
        self._say("")  # of another source
        self._looked += 1
        self.set_timer(PAUSE, lambda number=self._looked: self._look_soon(number))

    def _look_soon(self, number: int) -> None:
        """A path that is there is looked at as soon as the person pauses; a dataset on the hub only when enter is pressed."""
        value = self.query_one(SourceInput).value.strip()
        if number == self._looked and value and os.path.exists(typed_path(value)):
            self._look()

    @on(Input.Submitted, "#import-source")
    def _submitted(self) -> None:
        self._looked += 1  # not a second time when the pause is over: that would take away what was said meanwhile
        self._look()

    def on_pasted(self, event: Pasted) -> None:
        event.stop()  # it is no event of the terminal
        self._chosen, self._columns, self._looked = {}, None, self._looked + 1
        source = self.query_one(SourceInput)
        with source.prevent(Input.Changed):
            source.value = ""
        self._text, self._preview = event.text, None
        self._look()

    @work(exclusive=True)
    async def _look(self, anew: bool = False) -> None:
        """Read the source, and show what it holds; `anew` where it had been read, and was to be imported."""
        value = self.query_one(SourceInput).value.strip()
        if not value and not self._text:
            self._say("! There is nothing to look at yet: type where it is, or paste texts.")
            return
        source, looked = value if value.startswith("hf://") else str(typed_path(value)), self._looked
        fields = {name: column for name, column in self._chosen.items() if name}
        choice = Choice(text=self._chosen.get("", ""), fields=fields)
        stamp = _stamp(typed_path(value))
        self._reading = True
        self._say("reading…", "$text-muted")
        told, preview = "", None
        try:
            if self._text:
                preview = await asyncio.to_thread(look_at_text, self._session, self._text, choice)
            else:
                preview = await asyncio.to_thread(look, self._session, [source], choice)
        except FlavorError as error:
            told = f"! {_as_here(error)}"
        self._reading = False
        if looked != self._looked:
            return  # another source stands there by now
        self._preview, self._stamp = preview, stamp
        if preview and anew:
            told = "! It was read anew, and nothing was imported." if preview.faults else "It was read anew; ctrl+s imports it."
        self._say(told, "$text-error" if told.startswith("!") else "$text-warning")
        if preview is None:
            self._show(Content(""))
            return
        await self._offer_columns(preview)
        self._show(self._told(preview))

    def _say(self, text: str, style: str = "$text-error") -> None:
        self.query_one("#dialog-error", Plain).update(plain(text, style) if text else "")

    def _show(self, content: Content) -> None:
        self.query_one("#import-text", Plain).update(content)
        self.query_one("#import-preview").scroll_home(animate=False)

    def _told(self, preview: Preview) -> Content:
        """The preview: counts, what was taken from where, faults, first rows, near-duplicates."""
        name = "From the clipboard: " if self._text else ""
        parts: list[str | tuple[str, str]] = [(f"{name}{preview.counts(self._skip_twins)}\n", "bold")]
        twins = preview.twins_line()
        if preview.faults:
            asked = all(fault.kind == "columns" for fault in preview.faults)
            mend = "paste it mended" if self._text else "mend it there, and ctrl+s reads it again"
            said = "choose the column of the text above" if asked else f"{preview.faults_line()}; {mend}"
            parts.append((f"! {said}\n", "bold $text-error"))
            parts += [(f"  {preview.fault_line(_as_here(fault))}\n", "$text-error") for fault in preview.faults[: 1 if asked else SHOWN]]
        if twins:
            how = "left out; ctrl+d takes them in" if self._skip_twins else "ctrl+d leaves them out"
            parts.append((f"≈ {twins}: {how}\n", "bold $text-warning"))
        parts += [(f"{note}\n", "$text-muted") for note in preview.notes() if not (self._columns and note.startswith("text from"))]
        if rows := first_rows(preview.kept(self._skip_twins), SHOWN):
            ends = "  ↵ ends a line" if any("↵" in row for row in rows) else ""
            parts += [("\nfirst rows", "bold"), (f"{ends}\n", "$text-muted"), *(f"  {row}\n" for row in rows)]
        if twins:
            parts.append(("\nnear-duplicates\n", "bold"))
            parts += [(f"  {clean_line(preview.twin_line(twin, self._session))}\n", "$text-muted") for twin in preview.twins[:SHOWN]]
        return line(*parts)

    # -- columns -------------------------------------------------------------------------------------------------------

    async def _offer_columns(self, preview: Preview) -> None:
        """A select for the text and for each field, where the source has columns to choose from."""
        columns = list(dict.fromkeys(name for reading in preview.readings for name in reading.columns))
        box = self.query_one("#import-columns", Vertical)
        if columns == self._columns:
            return
        self._columns = columns
        await box.remove_children()
        taken = next((reading.taken for reading in preview.readings if reading.taken), None)
        if taken is None or (len(columns) == 1 and taken.text):
            return
        names = [(short(name, 40), name) for name in columns]
        rows = [("", "the text", taken.text), *((f.name, f.name, taken.fields.get(f.name, NOWHERE)) for f in self._session.task.fields)]
        for place, (key, label, value) in enumerate(rows):
            options = [*([("(from no column)", NOWHERE)] if key else []), *names]
            select = ColumnSelect(key, options, value)
            select.id = f"column-{place}"
            await box.mount(Horizontal(Plain(plain(label), classes="field-name"), select, classes="field"))

    @on(Select.Changed)
    def _column_chosen(self, event: Select.Changed) -> None:
        select, value = event.select, event.value
        if not isinstance(select, ColumnSelect) or not isinstance(value, str) or self._preview is None:
            return
        key = select.key
        taken = next((reading.taken for reading in self._preview.readings if reading.taken), None)
        now = (taken.text if not key else taken.fields.get(key, NOWHERE)) if taken else NOWHERE
        if value != self._chosen.get(key, now):
            self._chosen[key] = value
            self._look()

    # -- keys ----------------------------------------------------------------------------------------------------------

    def action_twins(self) -> None:
        if self._preview and self._preview.twins:
            self._skip_twins = not self._skip_twins
            self._show(self._told(self._preview))

    def action_bring(self) -> None:
        if self._reading:
            return  # by other columns, or of another source: what is imported was seen
        if self._preview is None:
            self._look()  # nothing that was not looked at is imported
            return
        if self._stale(self._preview):
            self._look(anew=True)
            return
        if any(fault.kind != "columns" for fault in self._preview.faults):  # they stand above
            self._say("! Nothing was imported: it is as it was.")
            return
        try:
            self._session.must_write()
            put = bring(self._session, self._preview, self._skip_twins)
        except FlavorError as error:
            self._say(f"! {_as_here(error)}")
            return
        self.dismiss(f"{counted(len(put.examples), 'example')} imported; {self.flavor.own_key('undo_library')} takes that back.")

    def _stale(self, preview: Preview) -> bool:
        """Whether the source is another one by now, as far as that is seen: of what a folder holds it is not, so where there are faults it may be."""
        if self._text:
            return False
        path = typed_path(self.query_one(SourceInput).value.strip())
        return _stamp(path) != self._stamp or (bool(preview.faults) and path.is_dir())

    def action_leave(self) -> None:
        self.dismiss(None)
