"""The rows of Runs: every run with its checkpoints under it, what was measured and decided of each, the newest first. Knows no Textual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

from core.choices import Choice
from core.runfiles import BASE, is_refit
from core.text import counted
from runs.registry import Run
from runs.tree import lanes

if TYPE_CHECKING:
    from tui.session.session import Session

STATUS = {
    "done": "✓ done",
    "running": "● running",
    "failed": "✗ failed",
    "cancelled": "· cancelled",
    "interrupted": "! interrupted",
    "unreadable": "! unreadable",
    "newer": "! newer",
}
OPEN = 60
"""Rows up to which every run shows its checkpoints from the start."""
LANES = 8
"""Columns of the tree at most."""


class Line(NamedTuple):
    """A row of the table. `key` is a checkpoint's name, a run's name with a slash, or a stranger's with two."""

    key: str
    tree: str
    name: str
    rows: str = ""
    time: str = ""
    held: str = ""
    verdict: str = ""
    kept: str = ""
    note: str = ""


def run_of(key: str) -> str:
    """The run that a row belongs to; empty for the base and for what is no run."""
    return "" if key == BASE or key.endswith("//") else key.split("/")[0]


def unfolded(runs: Collection[Run], current: str) -> set[str]:
    """The runs that show their checkpoints at first: all where they are few, else the active one's and the newest three."""
    if sum(1 + len(run.epochs) for run in runs) <= OPEN:
        return {run.name for run in runs}
    active = {run_of(current)} - {""}  # the base is of no run
    return active | {run.name for run in list(runs)[-3:]}


def _kept(session: Session) -> dict[str, str]:
    """Kept of decided, by checkpoint and by run."""
    kept: Counter[str] = Counter()
    decided: Counter[str] = Counter()
    for decision in session.store.decisions.values():
        if decision.verdict != "skip":
            for name in {decision.checkpoint, f"{run_of(decision.checkpoint)}/"}:
                decided[name] += 1
                kept[name] += decision.verdict != "reject"
    return {name: f"{kept[name]}/{count}" for name, count in decided.items()}


def clock(seconds: float) -> str:
    """A run's time in at most five characters: 0:41, 12:05, 3h07."""
    whole = round(seconds)
    return f"{whole // 3600}h{whole % 3600 // 60:02}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02}"


def felt(celsius: float | None, memory: int | None) -> str:
    """How warm the GPU is and how much of its memory is in use, in words; empty where nothing is known."""
    parts = [f"{celsius:.0f} °C"] if celsius is not None else []
    return "  ".join([*parts, *([f"{memory / 1e9:.1f} GB"] if memory is not None else [])])


def build(session: Session, runs: Collection[Run], open_: Collection[str], words: Mapping[str, str]) -> list[Line]:
    """All rows. `open_` are the runs that show their checkpoints, `words` the verdicts known so far."""
    newest_first = [run.name for run in reversed(list(runs))]
    by_name = {run.name: run for run in runs}
    parents = {run.name: run_of(run.spec.parent or BASE) if run.spec else None for run in runs}
    drawn = lanes(parents, newest_first)
    kept, current, chosen = _kept(session), session.registry.current(), session.choices.all()
    found: list[Line] = []
    for name in newest_first:
        beside, beneath = (lane[:LANES] for lane in drawn[name])
        found.append(_run_line(by_name[name], beside, name in open_, kept, chosen))
        if name in open_:
            found += _checkpoint_lines(by_name[name], beneath, current, kept, words, chosen)
    found += [Line(f"{name}//", " ", name, verdict="! foreign") for name in session.registry.strangers()]
    note = chosen.get(BASE, Choice()).note
    found.append(Line(BASE, "▶" if current == BASE else " ", BASE, kept=kept.get(BASE, ""), note=note))
    return found


def _run_line(run: Run, beside: str, is_open: bool, kept: Mapping[str, str], chosen: Mapping[str, Choice]) -> Line:
    spec, result = run.spec, run.result
    best = run.checkpoint(result.checkpoint) if result and not is_open else None
    in_use = any(is_refit(info.name) for info in run.checkpoints)  # what was stopped is its measuring
    verdict = "✓ trained" if run.status == "cancelled" and in_use else STATUS[run.status]
    if best:
        verdict = f"→ {best.name.split('/')[1]}"
    fold = ("▾" if is_open else "▸") if run.epochs else " "
    return Line(
        f"{run.name}/",
        f"{fold}{beside}",
        run.name,
        f"{spec.rows}, {spec.new_rows} new" if spec and spec.kind == "train" else counted(spec.pairs, "pair") if spec else "",
        clock(result.seconds) if result and result.seconds else "",
        held(best.name, best.held_out_loss) if best else "",
        verdict,
        kept.get(f"{run.name}/", ""),
        chosen.get(run.name, Choice()).note,
    )


def held(name: str, loss: float | None) -> str:
    """A checkpoint's held-out loss; in brackets where it is that of its epoch, since it was trained on those rows itself."""
    if loss is None:
        return ""
    return f"({loss:.3f})" if is_refit(name) else f"{loss:.3f}"


def _checkpoint_lines(
    run: Run, beneath: str, current: str, kept: Mapping[str, str], words: Mapping[str, str], chosen: Mapping[str, Choice]
) -> list[Line]:
    known = {info.name: info for info in run.checkpoints}
    found = []
    for epoch in reversed(run.epochs):
        name = f"{run.name}/{epoch}"
        info, choice = known.get(name), chosen.get(name, Choice())
        loss = (held(name, info.held_out_loss) or "-") if info else ""
        strength = f"×{choice.strength:g} " if choice.strength != 1 else ""
        found.append(
            Line(
                name, ("▶" if name == current else " ") + beneath, f" {epoch}", held=loss,
                verdict=words.get(name, "…") if info else "! unreadable", kept=kept.get(name, ""), note=strength + choice.note,
            )
        )  # fmt: skip
    return found
