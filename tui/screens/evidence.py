"""A dialog that shows every gauge of a checkpoint: its number, its sentence, and the texts that prove it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Footer

from core.gauges.reading import Reading
from core.gauges.verdict import Judgement
from core.text import clean_line
from tui.screens.dialog import Dialog
from tui.session.tasting import MARKS, SIGNS, against
from tui.widgets.plain import Plain, line, plain


class EvidenceDialog(Dialog[None]):
    """Read and leave; nothing can be changed here."""

    HELP = "Why a checkpoint has its verdict: every gauge with its number, and the texts it was read from. More in docs/gauges.md."
    BINDINGS = [Binding("escape,v,q", "leave", "leave", id="evidence_leave")]

    def __init__(self, checkpoint: str, judgement: Judgement) -> None:
        super().__init__()
        self._checkpoint, self._judgement = checkpoint, judgement

    def compose(self) -> ComposeResult:
        verdict = self._judgement.verdict
        with Vertical(id="dialog"):
            yield Plain(line((f"{self._checkpoint}  {SIGNS[verdict.word]}\n", "bold"), verdict.sentence), id="dialog-title")
            with VerticalScroll(id="evidence"):
                yield Plain(self._all(), id="evidence-text")
            yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#evidence").focus()

    def _all(self) -> Content:
        if not self._judgement.readings:
            return plain("\nNothing was measured yet.")
        decided = self._judgement.verdict.decided
        return line(*(described(reading, reading.name in decided) for reading in self._judgement.readings))

    def action_leave(self) -> None:
        self.dismiss(None)


def described(reading: Reading, decided: bool) -> Content:
    """A reading in full."""
    style = "bold $warning" if reading.says in ("under", "over", "leans over") else "bold"
    parts: list[str | tuple[str, str]] = [
        (f"\n{MARKS[reading.says]} {reading.name}  {against(reading)}{'  ← decided' if decided else ''}\n", style),
        reading.sentence + "\n",
    ]
    parts += [(f"  · {clean_line(piece.line())}\n", "$text-muted") for piece in reading.evidence]
    return line(*parts)
