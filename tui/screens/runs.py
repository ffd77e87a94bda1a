"""Runs: every run with its parent and checkpoints; loss by step, held-out loss by epoch; enter makes a checkpoint active."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Sparkline

from core.errors import FlavorError
from core.runfiles import BASE
from runs.registry import Run
from tui import keys
from tui.screens.page import Page
from tui.session import duration
from tui.widgets.plain import Plain, line, plain

STATUS = {
    "done": "✓ done",
    "running": "● running",
    "failed": "✗ failed",
    "cancelled": "· cancelled",
    "interrupted": "! interrupted",
    "unreadable": "! unreadable",
}


class RunsScreen(Page):
    """The table of checkpoints, and what is known of the run under the cursor."""

    MODE = "runs"
    BINDINGS = keys.bindings("runs")
    HELP = """
# Runs
Each retrain is a run; each epoch of it is a checkpoint. **enter** makes the one under the cursor active, at once: the next
candidates come from it. Later is not always better: the one with the lowest held-out loss was chosen, but taste decides.
"""

    def __init__(self) -> None:
        super().__init__()
        self._runs: dict[str, Run] = {}

    def body(self) -> ComposeResult:
        with Horizontal(id="desk"):
            table: DataTable[object] = DataTable(cursor_type="row", id="runs-table")
            yield table
            with VerticalScroll(id="run-side", can_focus=False):
                yield Plain(id="run-about")
                yield Sparkline([], id="run-curve")
                yield Plain(id="run-held")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        for label, width in (("", 1), ("checkpoint", 13), ("held-out", 9), ("accepted", 8)):
            table.add_column(label, key=label, width=width)
        table.focus()

    def _rates(self) -> dict[str, tuple[int, int]]:
        """Accepted and decided candidates by checkpoint."""
        rates: dict[str, tuple[int, int]] = {}
        for candidate in self.session.store.candidates.values():
            if candidate.state in ("accepted", "edited", "rejected"):
                good, all_ = rates.get(candidate.checkpoint, (0, 0))
                rates[candidate.checkpoint] = (good + (candidate.state != "rejected"), all_ + 1)
        return rates

    def renew(self) -> None:
        table = self.query_one(DataTable)
        selected = self._selected()
        current = self.session.registry.current()
        rates = self._rates()
        runs = self.session.registry.runs()
        self._runs = {run.name: run for run in runs}
        table.clear()

        def add(name: str, loss: str, key: str) -> None:
            good, decided = rates.get(name, (0, 0))
            share = f"{good}/{decided}" if decided else ""
            table.add_row(plain("▶" if name == current else " "), plain(name), plain(loss), plain(share), key=key)

        for run in reversed(runs):
            if not run.checkpoints:
                table.add_row(plain(" "), plain(run.name), plain(STATUS[run.status]), plain(""), key=f"{run.name}/")
            for info in reversed(run.checkpoints):
                loss = f"{info.held_out_loss:.3f}" if info.held_out_loss is not None else "-"
                add(info.name, loss, info.name)
        add(BASE, "", BASE)
        keys_now = [key.value for key in table.rows]
        table.move_cursor(row=keys_now.index(selected) if selected in keys_now else 0)
        self._about()

    def _selected(self) -> str | None:
        table = self.query_one(DataTable)
        return table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value if table.row_count else None

    @on(DataTable.RowHighlighted)
    def _about(self) -> None:
        name = self._selected() or BASE
        run = self._runs.get(name.split("/")[0])
        about, curve, held = (
            self.query_one("#run-about", Plain),
            self.query_one("#run-curve", Sparkline),
            self.query_one("#run-held", Plain),
        )
        if run is None:
            about.update(plain(f"The base, {self.session.settings.model.base}, without any adapter."))
            curve.data = []
            held.update("")
            return
        about.update(_describe(run))
        losses = [loss for _, loss in run.losses()]
        curve.data = losses
        parts: list[str | tuple[str, str]] = []
        if losses:
            parts.append((f"loss by step: {losses[0]:.2f} → {losses[-1]:.2f}\n\n", "$text-muted"))
        measured = run.held_out()
        before = measured[0][1] if measured else 0.0
        for epoch, loss in measured:
            why = "  ← chosen: the lowest" if loss <= before else "  ← chosen: the lowest after training; its parent was lower"
            best = run.result is not None and run.result.checkpoint == f"{run.name}/epoch-{epoch:02}"
            parts.append((f"epoch {epoch}  held-out loss {loss:.3f}{why if best else ''}\n", "bold" if best else ""))
        held.update(line(*parts))

    @on(DataTable.RowSelected)
    def _row_selected(self) -> None:
        self.action_use()

    def action_use(self) -> None:
        name = self._selected()
        if not name or name.endswith("/"):
            self.flavor.say("This run left no checkpoint.", "warning")
            return
        try:
            self.session.must_write()
            self.session.registry.use(name)
        except FlavorError as error:
            self.flavor.complain(error)
            return
        self.flavor.say(f"{name} is active: the next candidates come from it.")
        self.flavor.checkpoint_changed()

    def action_retrain_runs(self) -> None:
        self.flavor.retrain(fresh=False)

    def action_retrain_fresh_runs(self) -> None:
        self.flavor.retrain(fresh=True)

    def action_taste_runs(self) -> None:
        self.flavor.taste()


def _describe(run: Run) -> Content:
    """A run in a few lines."""
    parts: list[str | tuple[str, str]] = [(f"Run {run.name}  {STATUS[run.status]}\n", "bold")]
    if run.reason:
        parts.append((run.reason + "\n", "$text-warning"))
    if spec := run.spec:
        what = f"taste: {spec.pairs} pairs\n" if spec.kind == "taste" else ""
        parts.append(
            f"{what}from {spec.parent or 'the base'}\n{spec.rows} rows, {spec.new_rows} new · {spec.epochs} epoch(s) · rate {spec.learning_rate:g}\n"
        )
        parts.append((f"seed {spec.seed} · rank {spec.lora.r}, alpha {spec.lora.alpha}\n", "$text-muted"))
    if run.result and run.spec and run.result.checkpoint == run.spec.parent and run.result.why:
        parts.append((f"active {run.result.why}\n", "$text-warning"))
    if run.result and run.result.steps:
        parts.append((f"{run.result.steps} steps in {duration(run.result.seconds)}\n", "$text-muted"))
    return line(*parts)
