"""A dialog to edit a text (and its attributes); what is typed is kept as a draft until it is saved or thrown away."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, TextArea

from core.errors import FlavorError
from core.text import check_text
from tui.drafts import Draft
from tui.session import Session
from tui.widgets.fields import FieldInputs
from tui.widgets.plain import CleanArea, Plain, plain


class EditDialog(ModalScreen[tuple[str, dict[str, str]] | None]):
    """Gives the text and fields, or None where it was left."""

    BINDINGS = [
        Binding("ctrl+s", "save", "save", priority=True, id="edit_save"),
        Binding("escape", "leave", "leave, unchanged", id="edit_leave"),
    ]

    def __init__(self, title: str, uid: str, text: str, values: dict[str, str], session: Session, fields: bool = True) -> None:
        super().__init__()
        self._title, self._text, self._values = title, text, values
        self._session = session
        self._with_fields = fields and bool(session.task.fields)
        self._draft = Draft(session.workspace, f"edit-{uid}")

    def compose(self) -> ComposeResult:
        kept = self._draft.read()
        note = "  a draft from before is offered again; escape throws it away" if kept and kept.text != self._text else ""
        with Vertical(id="dialog"):
            yield Plain(plain(self._title + note, "bold"), id="dialog-title")
            if self._with_fields:
                yield FieldInputs(self._session, kept.fields if kept else self._values)
            yield CleanArea(kept.text if kept else self._text, id="dialog-text")
            yield Plain(id="dialog-error")
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor(area.document.end)
        self.set_interval(0.8, self._keep)

    def _fields(self) -> dict[str, str]:
        return self.query_one(FieldInputs).values() if self._with_fields else self._values

    def _keep(self) -> None:
        self._draft.keep(self.query_one(TextArea).text, self._fields())

    def action_save(self) -> None:
        try:
            text = check_text(self.query_one(TextArea).text)
            fields = self._session.task.check(self._fields())
        except FlavorError as error:
            self.query_one("#dialog-error", Plain).update(plain(f"! {error}", "$text-error"))
            return
        self._draft.drop()
        self.dismiss((text, fields))

    def action_leave(self) -> None:
        self._draft.drop()
        self.dismiss(None)
