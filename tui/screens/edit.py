"""A dialog to edit a text (and its attributes); what is typed is kept as a draft until it is saved or thrown away."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Footer, Input, TextArea

from core.errors import FlavorError
from core.text import check_text, clean_line
from tui.screens.dialog import Dialog
from tui.session.drafts import EVERY, Draft, Typed, difference
from tui.session.session import Session
from tui.twice import Twice
from tui.widgets.boxes import CleanArea
from tui.widgets.fields import FieldInputs
from tui.widgets.plain import Plain, line, plain


class EditDialog(Dialog[bool]):
    """Gives whether the text was saved. It is saved while the dialog is open, so that nothing is lost where it cannot be."""

    HELP = (
        "Change the text and its attributes, then save: a text that is good but for its attributes can be kept with those that suit it. "
        "What you type is kept as a draft every second."
    )
    BINDINGS = [
        Binding("ctrl+s", "save", "save", priority=True, id="edit_save"),
        Binding("escape", "leave", "leave, unchanged", id="edit_leave"),
    ]

    def __init__(
        self,
        title: str,
        uid: str,
        text: str,
        values: dict[str, str],
        session: Session,
        save: Callable[[str, dict[str, str]], object],
    ) -> None:
        """`save` makes text and fields durable, or raises FlavorError."""
        super().__init__()
        self._title, self._uid, self._text, self._values = title, uid, text, session.task.only(values)
        self._session = session
        self._save = save
        self._over = False
        self._with_fields = bool(session.task.fields)
        self._draft = Draft(session.folder, f"edit-{uid}", bool(session.held_by))
        taken = session.wordings.get(uid)
        as_it_is = taken is not None and (taken.text, taken.fields) == (text, self._values)  # by a going forward, for instance
        self._taken_back = None if as_it_is else taken
        self._kept = self._draft.read() or self._taken_back
        self._untouched = CleanArea(text, id="untouched").text, {name: clean_line(value) for name, value in self._values.items()}
        """Text and fields as the boxes show them: what they would hide is visible in it, and lines end as the box's do."""

    def compose(self) -> ComposeResult:
        kept = self._kept
        with Vertical(id="dialog"):
            yield Plain(plain(self._title, "bold"), id="dialog-title")
            if self._with_fields:
                yield FieldInputs(self._session, kept.fields if kept else self._values)
            yield CleanArea(kept.text if kept else self._text, id="dialog-text")
            if kept:
                with VerticalScroll(id="dialog-draft", can_focus=False):
                    yield Plain(self._about(kept))
            yield Plain(self._draft.problem, id="dialog-error")
            yield Footer(show_command_palette=False)

    def _about(self, kept: Typed) -> Content:
        """That this is a draft, and what happened to the row since."""
        what = "What you had made of it and took back." if kept is self._taken_back else "Your unsaved text from before."
        parts: list[str | tuple[str, str]] = [(f"{what} Escape, pressed twice, throws it away.", "$text-warning")]
        if kept.was != self._text:
            parts.append(("\nThe row was changed since; what went and what came:", "$text-warning"))
            parts += ["\n" + changed for changed in difference(kept.was, self._text)]
        return line(*parts)

    def on_mount(self) -> None:
        self._leaving = Twice(self.flavor)
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor(area.document.end)
        self.set_interval(EVERY, self.keep)

    def _fields(self) -> dict[str, str]:
        typed = self.query_one(FieldInputs).values() if self._with_fields else {}
        return {name: value for name, value in typed.items() if value}

    @on(TextArea.Changed)
    @on(Input.Changed)
    def _typed(self) -> None:
        if not self._draft.problem:  # what was asked or refused is of the text as it was
            self.query_one("#dialog-error", Plain).update("")
        if self._draft.typed():
            self.keep()

    def _changed(self) -> bool:
        return (self.query_one(TextArea).text, self._fields()) != self._untouched

    def keep(self) -> None:
        """Write the draft, if anything was changed; not when it was saved or thrown away: the clock may have called before."""
        if not self._over and (self._kept or self._changed()):
            text, fields = self.query_one(TextArea).text, self._fields()
            self._draft.keep(Typed(text, fields, self._uid, self._kept.was if self._kept else self._text))
            self._say(self._draft.problem)

    def _say(self, problem: str) -> None:
        if problem:
            self.query_one("#dialog-error", Plain).update(plain(f"! {problem}", "$text-error"))

    def action_save(self) -> None:
        if self._with_fields:
            self.query_one(FieldInputs).complete()
        try:
            text = check_text(self.query_one(TextArea).text)
            self._save(text, self._session.task.check(self._fields()))
        except FlavorError as error:
            wrong = error.kind == "field" and self._with_fields
            moved = self.query_one(FieldInputs).focus_wrong() if wrong else ""
            self.keep()
            self._say(f"{error}{moved}")
            return
        self._end(True)

    def action_leave(self) -> None:
        if self._changed() and not self._leaving.sure():
            self._say(f"{self.flavor.key_for('leave')} once more throws away what you typed.")
            return
        self._end(False)

    def _end(self, saved: bool) -> None:
        self._over = True
        self._draft.drop()
        self._session.wordings.pop(self._uid, None)
        self.dismiss(saved)


def dialog_for(session: Session, uid: str, was: str = "") -> EditDialog:
    """The dialog for a row: an example is changed, also where the row was a candidate when the editing began; a candidate is accepted, whatever
    was decided of it before; and what is neither becomes a new example.

    `was` is the text of a row that is gone.
    """
    store = session.store
    example = store.examples.get(uid) or next((each for each in store.examples.values() if each.candidate == uid), None)
    if example:
        change = partial(session.change_example, example.uid)
        return EditDialog(f"Example ({example.origin})", uid, example.text, example.fields, session, change)
    if candidate := store.candidates.get(uid):
        title = "Edit, then accept"
        if candidate.state != "pending":
            title = f"A {candidate.state} candidate of {candidate.checkpoint}; ctrl+s makes it an example after all"
        return EditDialog(title, uid, candidate.text, candidate.fields, session, partial(session.decide, uid, "accept"))
    return EditDialog("Its row is gone; ctrl+s makes it a new example", uid, was, {}, session, session.write_example)
