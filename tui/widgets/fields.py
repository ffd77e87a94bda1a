"""One input for each attribute of the task, with its known values offered while typing."""

from __future__ import annotations

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.suggester import SuggestFromList
from textual.widgets import Input

from core.errors import FlavorError
from core.task import Field
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
                yield CleanInput(
                    self._values.get(field.name, ""),
                    placeholder=hint(field),
                    suggester=SuggestFromList(field.choices() or known[field.name], case_sensitive=False),
                    id=f"field-{number}",
                    compact=True,
                )

    def values(self) -> dict[str, str]:
        """What stands in the inputs, unchecked, by field."""
        return {field.name: self.query_one(f"#field-{number}", Input).value for number, field in enumerate(self._session.task.fields)}

    def focus_wrong(self) -> None:
        """Go to the first input whose value its field does not allow."""
        for number, field in enumerate(self._session.task.fields):
            box = self.query_one(f"#field-{number}", Input)
            try:
                field.check(box.value)
            except FlavorError:
                box.focus()
                return

    def fill(self, values: Mapping[str, str]) -> None:
        """Replace what stands in the inputs."""
        for number, field in enumerate(self._session.task.fields):
            self.query_one(f"#field-{number}", Input).value = values.get(field.name, "")
