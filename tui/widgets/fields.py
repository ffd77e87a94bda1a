"""One input for each attribute of the task, with its known values offered while typing."""

from __future__ import annotations

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widgets import Input

from core.task import Field, Task
from tui.session import Session
from tui.widgets.plain import CleanInput, Plain, line, plain


def hint(field: Field) -> str:
    """What may be typed, in a few words."""
    match field.kind:
        case "scale":
            return "1 to 5"
        case "choice":
            return ", ".join(field.values)
        case _:
            return "any text"


def fields_line(fields: Mapping[str, str], task: Task) -> Content:
    """The attributes in one line: `Danger Level 4/5 · Disposition Aloof`."""
    parts: list[str | tuple[str, str]] = []
    scales = {field.name for field in task.fields if field.kind == "scale"}
    for name, value in fields.items():
        parts += [" · " if parts else "", (name + " ", "$text-muted"), f"{value}/5" if name in scales else value]
    return line(*parts)


class FieldInputs(Vertical):
    """The attributes' inputs, a line each."""

    def __init__(self, session: Session, values: Mapping[str, str]) -> None:
        super().__init__(classes="fields")
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

    def fill(self, values: Mapping[str, str]) -> None:
        """Replace what stands in the inputs."""
        for number, field in enumerate(self._session.task.fields):
            self.query_one(f"#field-{number}", Input).value = values.get(field.name, "")
