"""What is known of the run or checkpoint under the cursor, beside the picture of its losses: verdict, votes, legend, how it was made, held-out losses."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content

from core.gauges.verdict import Judgement
from core.runfiles import BASE, measured_by
from core.text import counted, duration
from runs.curves import Curve
from runs.registry import Run
from tui.session import runlist
from tui.session.planning import epochs_of
from tui.session.runlist import STATUS
from tui.session.tasting import MARKS, SIGNS, against
from tui.widgets.plain import Plain, line


class RunSide(VerticalScroll, can_focus=False):
    """Scrolled with the mouse; the keys are the table's."""

    def __init__(self) -> None:
        super().__init__(id="run-side")
        self._legend: Content | None = None

    def compose(self) -> ComposeResult:
        yield Plain(id="run-verdict")
        yield Plain(id="run-votes")
        yield Plain(id="run-legend")
        yield Plain(id="run-about")
        yield Plain(id="run-held")

    def show(self, name: str, run: Run | None, judgement: Judgement | None, votes: str, otherwise: str) -> None:
        """What is known of the checkpoint or run `name`; where it is no run's, `otherwise`."""
        self._put("#run-verdict", _panel(judgement, name) if judgement else Content(""))
        self._put("#run-votes", line((f"{votes}\n", "$text-accent")) if votes else Content(""))
        self._put("#run-about", _describe(run) if run else line(otherwise))
        self._put("#run-held", _held(run) if run else Content(""))

    def tell(self, drawn: Iterable[tuple[str, Curve, tuple[str, str]]], waiting: str) -> None:
        """The legend: the runs that are drawn, by name, each with its curve, sign and colour; `waiting` is one that has nothing measured yet."""
        drawn = list(drawn)
        legend: list[str | tuple[str, str]] = []
        if waiting and waiting not in [name for name, _, _ in drawn]:
            legend.append((f"{waiting} has nothing measured yet; the last that has:\n", "$text-muted"))
        for name, curve, (sign, colour) in drawn:
            legend += [(f"{sign} ", colour), f"{name}  {_course(curve)}\n"]
        for name, curve, _ in drawn:
            if told := runlist.felt(curve.celsius, curve.device_memory):
                legend.append((f"{name} on the GPU: {told}\n", "$text-muted"))
        if drawn:
            legend.append(("by step: held-out loss with signs, training loss dim\n", "$text-muted"))
        if (content := line(*legend)) != self._legend:
            self._legend = content
            self._put("#run-legend", content)

    def _put(self, where: str, content: Content) -> None:
        self.query_one(where, Plain).update(content)


def _course(curve: Curve) -> str:
    """How a curve went, in numbers: from its start to the lowest epoch, which may be higher than the start."""
    if curve.held:
        return f"held-out {curve.held[0][1]:.2f} → {min(loss for _, loss in curve.held[1:] or curve.held):.2f}"
    return f"loss {curve.train[0][1]:.2f} → {curve.train[-1][1]:.2f}" if curve.train else "nothing measured"


def _held(run: Run) -> Content:
    """The held-out losses of a run, the chosen epoch marked."""
    parts: list[str | tuple[str, str]] = []
    for epoch, loss in run.held_out():
        best = run.result is not None and measured_by(run.result.checkpoint or "") == f"{run.name}/epoch-{epoch:02}"
        why = f"  ← chosen: {run.result.why}" if best and run.result else ""
        parts.append((f"epoch {epoch}  held-out loss {loss:.3f}{why}\n", "bold" if best else ""))
    if run.result and run.result.stopped:
        parts.append((f"stopped by itself: {run.result.stopped}\n", "$text-muted"))
    return line(*parts)


def _describe(run: Run) -> Content:
    """A run in a few lines."""
    parts: list[str | tuple[str, str]] = [(f"Run {run.name}  {STATUS[run.status]}\n", "bold")]
    if run.reason:
        parts.append((run.reason + "\n", "$text-warning"))
    if spec := run.spec:
        what = f"taste: {counted(spec.pairs, 'pair')}\n" if spec.kind == "taste" else ""
        parts.append(
            f"{what}from {spec.parent or 'the base'}\n{counted(spec.rows, 'row')}, {spec.new_rows} new · {epochs_of(spec)} · rate {spec.learning_rate:g}\n"
        )
        parts.append((f"seed {spec.seed} · rank {spec.lora.r}, alpha {spec.lora.alpha}\n", "$text-muted"))
    if run.result and run.spec and run.result.checkpoint == run.spec.parent and run.result.why:
        parts.append((f"active {run.result.why}\n", "$text-warning"))
    if run.result and run.result.steps:
        parts.append((f"{counted(run.result.steps, 'step')}, in all {duration(run.result.seconds)}\n", "$text-muted"))
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
