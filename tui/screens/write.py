"""Write: a text under the task's heading, its attributes, and what can be said of it while it is typed. A draft is kept."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, TextArea

from core.errors import FlavorError
from core.gauges.copying import nearest
from core.text import MAX_TEXT, counted, words
from tui import keys
from tui.screens.page import Page
from tui.session.drafts import EVERY, Draft, Typed
from tui.session.marks import TWIN
from tui.session.planning import CHARACTERS_PER_TOKEN
from tui.widgets.boxes import CleanArea
from tui.widgets.fields import FieldInputs
from tui.widgets.plain import Plain, line, plain


class WriteScreen(Page):
    """The text area and the attributes."""

    CSS_PATH = "write.tcss"
    MODE = "write"
    BINDINGS = keys.bindings("write")
    HELP = """
# Write
Type an example as you would like the model to write them: **ctrl+s** saves it and starts the next one. A dozen good and different
ones teach more than a hundred alike. **ctrl+g** lets the model go on from where your text stops. What you type is kept as a
draft at once, whatever happens.
"""

    def __init__(self) -> None:
        super().__init__()
        self._draft: Draft | None = None

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
        self.set_timer(0.15, self._measure)

    def _measure(self) -> None:
        text = self.query_one(TextArea).text
        parts: list[str | tuple[str, str]] = [
            f"{counted(len(words(text)), 'word')}, about {counted(round(len(text) / CHARACTERS_PER_TOKEN), 'token')}   "
        ]
        if len(text) > MAX_TEXT:
            parts += [(f"! too long: at most {MAX_TEXT} characters", "$text-warning")]
        elif len(words(text)) >= 5:
            score, uid = nearest(text, self.session.store.texts())
            if uid:
                head = " ".join(self.session.store.examples[uid].text.split())[:40]
                parts += [(f"most like “{head}…”: {score:.0%} of the words", "$text-muted" if score < 0.5 else "$text-warning")]
        self.query_one("#measure", Plain).update(line(*parts))

    def action_save_example(self) -> None:
        area = self.query_one(TextArea)
        try:
            saved = self.session.write_example(area.text, self._fields())
        except FlavorError as error:
            if error.kind == "field":
                self.query_one(FieldInputs).focus_wrong()
            self.flavor.complain(error)
            return
        if self._draft:
            self._draft.drop()
        area.load_text("")
        if self.session.task.fields:
            self.query_one(FieldInputs).fill({})
        self.set_focus(area)  # where it began; at once, or a tab that comes next would be undone
        self.flavor.say(f"Saved: {counted(len(self.session.store.examples), 'example')}.")
        if self.session.copying.overlap(saved.text, but=saved.uid)[0] >= TWIN:
            self.flavor.say(
                f"Much of it stands in another example too (≈ in the Library). {self.flavor.key_for('undo_write')} takes it back.",
                "warning",
            )
        self.flavor.changed()

    def action_continue_text(self) -> None:
        try:
            fields = self.session.task.check(self._fields())
        except FlavorError as error:
            self.flavor.complain(error)
            return
        self.flavor.continue_text(self.query_one(TextArea), fields)

    def action_undo_write(self) -> None:
        last = self.session.store.last
        if last and last.kind != "write":
            key = self.flavor.own_key("undo")
            self.flavor.say(f"Something else was done last: {last.note or last.kind}. {key} on Curate takes it back.", "warning")
        elif self.flavor.undo():
            self.flavor.changed()

    def keep(self) -> None:
        self._keep()

    def on_screen_suspend(self) -> None:
        self._keep()

    def action_leave(self) -> None:
        self._keep()
        self.app.switch_mode("curate")
