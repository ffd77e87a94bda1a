"""How things look is read once: the rules of a file change with the theme's colours only."""

from __future__ import annotations

from textual.css.stylesheet import Stylesheet


class Styles(Stylesheet):
    """Textual 8.2 reads every rule anew, without the memory that it keeps of them, for the first picture of each page: three times all
    of them before the first one, a sixth of the time until it is there."""

    def set_variables(self, variables: dict[str, str]) -> None:
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        self.parse()
