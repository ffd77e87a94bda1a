"""Write: a text under the task's heading, its attributes, and what can be said of it while it is typed. A draft is kept."""

from __future__ import annotations

from collections.abc import Mapping

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer
from textual.widgets import Input, TextArea

from core.errors import FlavorError
from core.task import Field
from core.text import MAX_TEXT, counted, words
from dataset.rows import Op
from tui import keys
from tui.screens.page import Page
from tui.session.drafts import EVERY, Draft, Typed
from tui.session.marks import TWIN
from tui.widgets.boxes import CleanArea
from tui.widgets.fields import FieldInputs
from tui.widgets.plain import Plain, line, plain

UNDONE_ON = {"decide": ("Curate", "undo"), "go": ("Runs", "undo_runs"), "vote": ("Runs", "undo_runs")}
"""The page that takes something back, and its key for it; what is not named here belongs to Library."""


class WriteScreen(Page):
    """The text area and the attributes."""

    CSS_PATH = "write.tcss"
    MODE = "write"
    BINDINGS = keys.bindings("write")
    HELP = """
# Write
Type an example as you would like the model to write them: **ctrl+s** saves it and starts the next one. A dozen good and different
ones teach more than a hundred alike. **ctrl+g** lets the model go on from where your text stops. What you type is kept as a
draft at once, whatever happens. **ctrl+u** with nothing typed takes the last saved example back into the boxes, to be mended and saved again;
while a text is typed it deletes to the line's start, as in every box. **tab** goes to the next box, and a beginning that only one choice has
becomes that choice; **→** takes what stands there in grey.
"""

    def __init__(self) -> None:
        super().__init__()
        self._draft: Draft | None = None
        self._pause: Timer | None = None
        """When the typing has paused, what was typed is measured."""
        self._empty = True
        """Whether there is nothing that `ctrl+u` would delete, as the keys below were last drawn."""

    def body(self) -> ComposeResult:
        self._draft = Draft(self.session.folder, "write", bool(self.session.held_by))
        kept = self._draft.read()
        if kept and kept.text.strip() in self.session.store.texts().values():
            kept = None  # it was saved, and its writer died before it could say so
        with Vertical(id="desk"):
            yield Plain(plain(f"# {self.session.task.heading}", "bold"), id="heading")
            if self.session.task.fields:
                yield FieldInputs(self.session, kept.fields if kept else {})
            yield CleanArea(kept.text if kept else "", id="write-text")
            yield Plain(id="measure")

    def on_mount(self) -> None:
        self.query_one(TextArea).focus()
        if self._draft and self._draft.problem:
            self.flavor.say(self._draft.problem, "warning")
        self.set_interval(EVERY, self._keep)

    def renew(self) -> None:
        self._measure()

    def _fields(self) -> dict[str, str]:
        return self.query_one(FieldInputs).values() if self.session.task.fields else {}

    def _complete_fields(self) -> dict[str, str]:
        """The attributes, the one that is being typed as if its box had been left."""
        if self.session.task.fields:
            self.query_one(FieldInputs).complete()
        return self._fields()

    def _keep(self) -> None:
        if self._draft:
            before = self._draft.problem
            self._draft.keep(Typed(self.query_one(TextArea).text, self._fields()))
            if self._draft.problem and not before:
                self.flavor.say(self._draft.problem, "warning")

    @on(TextArea.Changed)
    @on(Input.Changed)
    def _typed(self) -> None:
        if self._draft and self._draft.typed():
            self._keep()
        if self._empty != self._nothing_typed():
            self._empty = not self._empty
            self.refresh_bindings()
        if self._pause:
            self._pause.stop()
        self._pause = self.set_timer(0.15, self._measure)

    def on_descendant_focus(self) -> None:
        self._empty = self._nothing_typed()  # of the box that is in front now; Textual draws the keys anew by itself

    def _nothing_typed(self) -> bool:
        """Whether the text box is empty, and the box that one is in as well."""
        into = self.focused
        return not self.query_one(TextArea).text.strip() and not (isinstance(into, Input) and into.value)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where something is typed the key of `undo_write` is left to the box, and the line of keys does not show it."""
        return not (action == "undo_write" and self.is_mounted) or self._nothing_typed()

    def _measure(self) -> None:
        text = self.query_one(TextArea).text
        fields = self.session.task.fields
        tokens = round(len(text) / self.session.planner.characters_per_token())
        parts: list[str | tuple[str, str]] = [f"{counted(len(words(text)), 'word')}, about {counted(tokens, 'token')}   "]
        if not text and fields:
            parts += [("tab: the next box" + (", completing a choice" if any(map(Field.choices, fields)) else ""), "$text-muted")]
        elif len(text) > MAX_TEXT:
            parts += [(f"! too long: at most {MAX_TEXT} characters", "$text-warning")]
        elif len(words(text)) >= 5:
            score, uid = self.session.copying.nearest(text)
            if uid:
                head = " ".join(self.session.store.examples[uid].text.split())[:40]
                parts += [(f"most like “{head}…”: {score:.0%} of the words", "$text-muted" if score < 0.5 else "$text-warning")]
        self.query_one("#measure", Plain).update(line(*parts))

    def action_save_example(self) -> None:
        area = self.query_one(TextArea)
        try:
            saved = self.session.write_example(area.text, self._complete_fields())
        except FlavorError as error:
            moved = self.query_one(FieldInputs).focus_wrong() if error.kind == "field" else ""
            self.flavor.complain(FlavorError(error.message, f"{error.hint}{moved}", error.kind))
            return
        if self._draft:
            self._draft.drop()
        self._fill("", {})
        self.set_focus(area)  # where one begins; at once, or a tab that comes next would be undone
        self.flavor.say(f"Saved: {counted(len(self.session.store.examples), 'example')}.")
        if self.session.copying.overlap(saved.text, but=saved.uid)[0] >= TWIN:
            self.flavor.say(
                f"Much of it stands in another example too (≈ in the Library). {self.flavor.key_for('undo_write')} takes it back.",
                "warning",
            )
        self.flavor.changed()

    def _fill(self, text: str, fields: Mapping[str, str]) -> None:
        """Replace all that is typed."""
        self.query_one(TextArea).load_text(text)
        if self.session.task.fields:
            self.query_one(FieldInputs).fill(fields)

    def action_continue_text(self) -> None:
        try:
            fields = self.session.task.check(self._complete_fields())
        except FlavorError as error:
            self.flavor.complain(error)
            return
        self.flavor.continue_text(self.query_one(TextArea), fields)

    def action_undo_write(self) -> None:
        last = self.session.store.last
        if last and last.kind != "write":
            page, action = UNDONE_ON.get(last.kind, ("Library", "undo_library"))
            key = self.flavor.own_key(action)
            self.flavor.say(f"Something else was done last: {last.note or last.kind}. {key} on {page} takes it back.", "warning")
        elif any(self._fields().values()):
            key = self.flavor.key_for("undo_write")
            self.flavor.say(
                f"The attributes that are typed would be lost. {key} with empty boxes takes the last saved example back.", "warning"
            )
        elif taken := self.flavor.undo():
            self._put_back(taken)
            self.flavor.changed()

    def _put_back(self, taken: Op) -> None:
        """What was taken back is typed again, and kept as a draft at once. The cursor is at its start, where the same key deletes nothing."""
        for row in taken.put.examples.values():
            if row and len(taken.put.examples) == 1:
                self._fill(row.text, row.fields)
                self.set_focus(self.query_one(TextArea))
                self._keep()

    def keep(self) -> None:
        self._keep()

    def on_screen_suspend(self) -> None:
        self._keep()

    def action_leave(self) -> None:
        self._keep()
        self.app.switch_mode("curate")
