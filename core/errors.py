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


def out_of_memory(error: BaseException) -> bool:
    """Whether `error` is that of an allocator, torch's own on the GPU or the processor among them, told without importing torch."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(words in text for words in ("can't allocate memory", "not enough memory", "out of memory", "alloc_failed"))
    )
