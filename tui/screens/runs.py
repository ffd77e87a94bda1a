"""Runs: every run with its parent, checkpoints and verdicts; loss by step, held-out loss by epoch; enter makes a checkpoint active."""

from __future__ import annotations

import asyncio

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Sparkline

from core.errors import FlavorError
from core.gauges.verdict import Judgement
from core.runfiles import BASE
from dataset.rounds import rounds
from runs.registry import Run
from tui import keys
from tui.screens.evidence import EvidenceDialog
from tui.screens.page import Page
from tui.session import duration
from tui.tasting import MARKS, SIGNS, against
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
candidates come from it. Later is not always better: training stops by itself when the held-out loss has turned, and the epoch with
the lowest one is chosen; but taste decides.

The verdict says whether a checkpoint learned too little (○ underbaked), enough (✓ good) or the rows by heart (! overbaked).
**v** shows each gauge that it was taken from, with the texts that prove it.

**l** measures how the held-out loss falls with the number of your rows, and says what ten more should bring. It takes its time, gives
way to everything else you ask for, and goes on with the same key.
"""

    def __init__(self) -> None:
        super().__init__()
        self._runs: dict[str, Run] = {}
        self._words: dict[str, str] = {}
        """The verdicts as last known."""

    def body(self) -> ComposeResult:
        with Horizontal(id="desk"):
            table: DataTable[object] = DataTable(cursor_type="row", id="runs-table")
            yield table
            with VerticalScroll(id="run-side", can_focus=False):
                yield Plain(id="run-verdict")
                yield Plain(id="run-about")
                yield Sparkline([], id="run-curve")
                yield Plain(id="run-held")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        for label, width in (("", 1), ("checkpoint", 13), ("verdict", 13), ("held-out", 8), ("kept", 6)):
            table.add_column(label, key=label, width=width)
        table.focus()

    def renew(self) -> None:
        table = self.query_one(DataTable)
        selected = self._selected()
        current = self.session.registry.current()
        kept = {told.checkpoint: f"{told.kept}/{told.decided}" for told in rounds(self.session.store.decisions.values())}
        runs = self.session.registry.runs()
        self._runs = {run.name: run for run in runs}
        table.clear()

        def add(name: str, verdict: str, loss: str, key: str) -> None:
            mark = "▶" if name == current else " "
            table.add_row(plain(mark), plain(name), plain(verdict), plain(loss), plain(kept.get(name, "")), key=key)

        for run in reversed(runs):
            if not run.checkpoints:
                add(run.name, STATUS[run.status], "", f"{run.name}/")
            for info in reversed(run.checkpoints):
                loss = f"{info.held_out_loss:.3f}" if info.held_out_loss is not None else "-"
                add(info.name, self._words.get(info.name, "…"), loss, info.name)
        add(BASE, "", "", BASE)
        keys_now = [key.value for key in table.rows]
        table.move_cursor(row=keys_now.index(selected) if selected in keys_now else 0)
        self._about()
        self._judge()

    @work(exclusive=True, group="verdicts")
    async def _judge(self) -> None:
        """Fill the verdicts in, one checkpoint at a time: each takes up to 50 ms, and keys are answered between them."""
        table = self.query_one(DataTable)
        for name in [key.value for key in table.rows]:
            if name and name != BASE and (judgement := self._judgement(name)):
                self._words[name] = SIGNS[judgement.verdict.word]
                table.update_cell(name, "verdict", plain(self._words[name]))
                await asyncio.sleep(0)

    def _selected(self) -> str | None:
        table = self.query_one(DataTable)
        return table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value if table.row_count else None

    @on(DataTable.RowHighlighted)
    def _about(self) -> None:
        name = self._selected() or BASE
        run = self._runs.get(name.split("/")[0])
        judgement = self._judgement(name)
        self.query_one("#run-verdict", Plain).update(_panel(judgement, name) if judgement else "")
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
        for epoch, loss in run.held_out():
            best = run.result is not None and run.result.checkpoint == f"{run.name}/epoch-{epoch:02}"
            why = f"  ← chosen: {run.result.why}" if best and run.result else ""
            parts.append((f"epoch {epoch}  held-out loss {loss:.3f}{why}\n", "bold" if best else ""))
        if run.result and run.result.stopped:
            parts.append((f"stopped by itself: {run.result.stopped}\n", "$text-muted"))
        held.update(line(*parts))

    def _judgement(self, name: str) -> Judgement | None:
        """What is known of a checkpoint; None for a run without one, and where its folder is gone."""
        if name.endswith("/"):
            return None
        try:
            return self.session.tasting.readings(name, self._runs)
        except FlavorError:
            return None

    def action_evidence(self) -> None:
        name = self._selected() or BASE
        if judgement := self._judgement(name):
            self.app.push_screen(EvidenceDialog(name, judgement))
        else:
            self.flavor.say("This run left no checkpoint.", "warning")

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

    def action_curve(self) -> None:
        from tui.learning import BUDGET
        from tui.screens.curve import CurveDialog

        self.flavor.jobs.curve.ask(self.session.learning, BUDGET)
        self.app.push_screen(CurveDialog())

    def action_retrain_runs(self) -> None:
        self.flavor.retrain(fresh=False)

    def action_again(self) -> None:
        name = (self._selected() or BASE).split("/")[0]
        if name == BASE:
            self.flavor.say("The base was not trained here.", "warning")
        else:
            self.flavor.retrain(fresh=False, again=name)

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


def _panel(judgement: Judgement, name: str) -> Content:
    """The verdict, then a line for each gauge."""
    verdict = judgement.verdict
    sign = "" if name == BASE else f"{SIGNS[verdict.word]}\n"
    parts: list[str | tuple[str, str]] = [(sign, "bold"), verdict.sentence + "\n\n"]
    for reading in judgement.readings:
        style = "" if reading.says in ("under", "over", "leans over") else "$text-muted"
        parts.append((f"{MARKS[reading.says]} {reading.name} {against(reading)}\n", style))
    return line(*parts)
