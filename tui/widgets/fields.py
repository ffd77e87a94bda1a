"""One input for each attribute of the task, with its known values offered while typing."""

from __future__ import annotations

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.suggester import SuggestFromList
from textual.widgets import Input

from core.errors import FlavorError
from core.task import Field
from core.text import clean_line
from tui.session.session import Session
from tui.widgets.boxes import CleanInput
from tui.widgets.plain import Plain, plain


def hint(field: Field) -> str:
    """What may be typed, in a few words."""
    match field.kind:
        case "scale":
            return "1 to 5"
        case "choice":
            return ", ".join(field.values)
        case _:
            return "any text"


def meant(field: Field, typed: str) -> str:
    """The choice that `typed` is, in any case, or is the beginning of where only one begins so; else `typed` itself. A field of free text has
    no choices: of a value that is known already the beginning may be all that is wanted."""
    asked = clean_line(typed).casefold()
    if not asked:
        return typed
    found = [choice for choice in field.choices() if choice.casefold().startswith(asked)]
    same = [choice for choice in found if choice.casefold() == asked]
    return (same or (found if len(found) == 1 else [typed]))[0]


class FieldInput(CleanInput):
    """The input of one attribute. What was typed in it becomes the choice that was meant as soon as it is left."""

    def __init__(self, field: Field, value: str, known: list[str]) -> None:
        super().__init__(value, placeholder=hint(field), compact=True)
        self._field = field
        self.offer(known)
        self._before = self.value
        """What stood here when the box was entered: what nobody typed stays as it is."""

    def offer(self, known: list[str]) -> None:
        """Offer these values while typing, or the field's choices."""
        self.suggester = SuggestFromList(self._field.choices() or known, case_sensitive=False)

    def on_focus(self) -> None:
        self._before = self.value

    def on_blur(self) -> None:
        if self.app.app_focus:  # else the terminal's window is left, not the box
            self.complete()

    def complete(self) -> None:
        """Take the choice that is meant."""
        if self.value != self._before:
            self.value = self._before = meant(self._field, self.value)


class FieldInputs(Vertical):
    """The attributes' inputs, a line each."""

    def __init__(self, session: Session, values: Mapping[str, str]) -> None:
        super().__init__()
        self._session = session
        self._values = values

    def compose(self) -> ComposeResult:
        known = self._session.known_values()
        for number, field in enumerate(self._session.task.fields):
            with Horizontal(classes="field"):
                yield Plain(plain(field.name), classes="field-name")
                box = FieldInput(field, self._values.get(field.name, ""), known[field.name])
                box.id = f"field-{number}"
                yield box

    def values(self) -> dict[str, str]:
        """What stands in the inputs, unchecked, by field."""
        return {field.name: self.query_one(f"#field-{number}", Input).value for number, field in enumerate(self._session.task.fields)}

    def complete(self) -> None:
        """Take the choices that are meant, as if every input had been left: for what is saved from within one."""
        for box in self.query(FieldInput):
            box.complete()

    def focus_wrong(self) -> str:
        """Go to the first input whose value its field does not allow; a sentence that says so, to stand after what is wrong."""
        for number, field in enumerate(self._session.task.fields):
            box = self.query_one(f"#field-{number}", Input)
            try:
                field.check(box.value)
            except FlavorError:
                box.focus()
                return f" The cursor is in {field.name} now."
        return ""

    def fill(self, values: Mapping[str, str]) -> None:
        """Replace what stands in the inputs, and offer the values that are known by now."""
        known = self._session.known_values()
        for number, field in enumerate(self._session.task.fields):
            box = self.query_one(f"#field-{number}", FieldInput)
            box.offer(known[field.name])
            box.value = values.get(field.name, "")
