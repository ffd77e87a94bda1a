"""Rounds of an evening: what a person decided of the candidates of one checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from core.gauges.edits import edit_distance
from core.gauges.statistics import Interval, mean_interval, share_interval
from dataset.rows import IMPORTED, Decision


@dataclass(frozen=True)
class Round:
    """The decisions on one checkpoint's candidates; skipped ones do not count."""

    checkpoint: str
    accepted: int
    """As they were."""
    edited: int
    rejected: int
    edits: float | None = None
    """How much the edited ones were changed, 0 to 1, the mean; None where none was."""
    changes: tuple[float, ...] = ()
    """The same of each of them."""

    @property
    def kept(self) -> int:
        """Accepted or edited."""
        return self.accepted + self.edited

    @property
    def decided(self) -> int:
        return self.kept + self.rejected

    @property
    def share(self) -> float:
        """Kept of decided, 0 to 1."""
        return self.kept / self.decided if self.decided else 0.0

    def interval(self) -> Interval:
        """Where the true share lies, nine times out of ten."""
        return share_interval(self.kept, self.decided)

    def edits_interval(self) -> Interval | None:
        """Where the true mean of the changes lies; None where fewer than four were edited, or all by as much: that says nothing of their spread."""
        return mean_interval(self.changes) if len(set(self.changes)) > 1 else None


def rounds(decisions: Iterable[Decision]) -> list[Round]:
    """The rounds in the order in which they were begun."""
    found: dict[str, list[Decision]] = {}
    for decision in decisions:
        if decision.verdict != "skip" and decision.checkpoint != IMPORTED:
            found.setdefault(decision.checkpoint, []).append(decision)
    made = []
    for checkpoint, of_round in found.items():
        verdicts = [decision.verdict for decision in of_round]
        changed = [edit_distance(decision.before, decision.after) for decision in of_round if decision.after not in ("", decision.before)]
        counts = (verdicts.count("accept"), verdicts.count("edit"), verdicts.count("reject"))
        made.append(Round(checkpoint, *counts, fmean(changed) if changed else None, tuple(changed)))
    return made
