"""The one error that is meant for a person: what is wrong, and what to do. Tracebacks go to the log, never here."""


class FlavorError(Exception):
    """A failure said in one line. `message` names what is wrong, `hint` the remedy; `kind` is a stable word for machines."""

    def __init__(self, message: str, hint: str = "", kind: str = "error") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.kind = kind

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
