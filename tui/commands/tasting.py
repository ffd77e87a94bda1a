"""`flavor-tui runs`, `gauges`, `evaluate`, `status` and `use`: what the checkpoints are like, and which one is active."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from core.gauges.reading import Reading
from core.gauges.verdict import Verdict
from core.runfiles import BASE, is_refit, measured_by
from core.text import clean_line, counted
from runs.registry import Run
from tui.commands.output import Line, Output, at_once, left_out, opened, start
from tui.session.advice import next_step
from tui.session.intake import read_source
from tui.session.tasting import MARKS, SIGNS, against


async def evaluate(workspace: Path, source: str, checkpoint: str | None) -> Output:
    """`source`: a file, hf://datasets/OWNER/NAME, or - for standard input, as of `import`."""
    with opened(workspace, read_only=True) as session:
        with at_once():
            rows = read_source(source, session.task).parsed()
        name = checkpoint or session.registry.current()
        session.registry.checkpoint_folder(name)
        try:
            async for progress in start(session):
                yield progress
            result = await session.evaluate(rows, checkpoint)
        finally:
            await session.stop_worker()
        own = set(session.store.texts().values())
        known = sum(text in own for text, _ in rows)
        data = {
            "loss": result.loss, "tokens": result.tokens, "rows": result.rows, "checkpoint": name, "skipped": result.skipped, "examples": known
        }  # fmt: skip
        said = f"{name}: {result.loss:.4f} nats a token over {result.tokens} tokens of {counted(result.rows, 'text')}"
        if known and name != BASE:
            if known == 1:
                said += " (1 of them is an example here; if it was trained on, it tells nothing of unseen texts)"
            else:
                said += f" ({known} of them are examples here; those that were trained on tell nothing of unseen texts)"
        yield Line(data, said + left_out(result.skipped))


def _run_line(run: Run, current: str, verdicts: dict[str, Verdict]) -> Line:
    data = {
        "run": run.name,
        "status": run.status,
        "reason": run.reason,
        "parent": run.spec.parent if run.spec else None,
        "rows": run.spec.rows if run.spec else None,
        "new": run.spec.new_rows if run.spec else None,
        "checkpoints": [
            {
                "checkpoint": c.name,
                "held_out_loss": c.held_out_loss,
                "measured_by": measured_by(c.name),
                "active": c.name == current,
                "verdict": verdicts[c.name].word,
                "why": verdicts[c.name].sentence,
            }
            for c in run.checkpoints
        ],
    }
    text = f"{run.name}  {run.status}" + (f": {run.reason}" if run.reason else "")
    if run.spec:
        text += f"  {counted(run.spec.rows, 'row')}, {run.spec.new_rows} new, from {run.spec.parent or 'the base'}"
    for info in run.checkpoints:
        loss = f"held-out loss {info.held_out_loss:.3f}" if info.held_out_loss is not None else ""
        loss += f" of {measured_by(info.name)}, on all rows" if loss and is_refit(info.name) else ""
        text += f"\n  {'*' if info.name == current else ' '} {info.name}  {SIGNS[verdicts[info.name].word]:13}  {loss}"
    return Line(data, text)


async def runs(workspace: Path) -> Output:
    with opened(workspace, read_only=True) as session:
        current = session.registry.current()
        found = session.registry.runs()
        known = {run.name: run for run in found}
        for run in found:
            verdicts = {info.name: session.tasting.readings(info.name, known).verdict for info in run.checkpoints}
            yield _run_line(run, current, verdicts)
        yield Line({"runs": len(found), "checkpoint": current}, f"active: {current}")


async def gauges(workspace: Path, checkpoint: str | None) -> Output:
    with opened(workspace, read_only=True) as session:
        name = checkpoint or session.registry.current()
        judgement = session.tasting.readings(name)
        for reading in judgement.readings:
            yield Line(asdict(reading), _reading_text(reading))
        verdict, step = judgement.verdict, next_step(session)
        data = {
            "checkpoint": name,
            "verdict": verdict.word,
            "why": verdict.sentence,
            "decided": list(verdict.decided),
            "next": step.action,
            "next_sentence": step.sentence,
            "next_reasons": list(step.reasons),
        }
        yield Line(data, f"{name}: {SIGNS[verdict.word]}. {verdict.sentence}\nnext: {step.sentence}")


def _reading_text(reading: Reading) -> str:
    """A reading and its evidence, for a person."""
    proof = "".join(f"\n    {clean_line(piece.line())}" for piece in reading.evidence)
    return f"{MARKS[reading.says]} {reading.name}  {against(reading)}\n  {reading.sentence}{proof}"


async def use(workspace: Path, checkpoint: str, strength: float | None = None) -> Output:
    with opened(workspace) as session:
        session.must_write()
        session.registry.checkpoint_folder(checkpoint)
        if strength is not None:
            session.choices.set_strength(checkpoint, strength)
        session.use(checkpoint)
        yield Line({"checkpoint": checkpoint, "strength": session.strength(checkpoint)}, f"{session.active()} is active.")


async def status(workspace: Path) -> Output:
    with opened(workspace, read_only=True) as session:
        data = session.status()
        counts = "  ".join(f"{name} {value}" for name, value in data.items())
        yield Line({**data, "ranking": session.ranking.report()}, f"{counts}\n{session.ranking.state()}")
