"""Whether taste may replace the checkpoint it started from: it must have lost nothing that the gauges can see. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.stopping import Baked

LOSS = 1.02
"""Held-out loss may be this much of the parent's: what is preferred need not be likelier in all, but no less well known."""
END = 0.1
"""The probability of the end token at the true end may fall by so much."""
GAP = 0.1
"""What is recited of the trained texts, over the held-out ones, may rise by so much."""


@dataclass
class Gate:
    """The parent, and the last pass that lost nothing against it."""

    parent: Baked
    passed: int = 0
    refused: str = ""
    """Why a pass was refused."""

    def add(self, baked: Baked) -> str:
        """Take a pass in; the reason to stop now, or nothing."""
        self.refused = self.refused or self._fault(baked)
        if not self.refused:
            self.passed = baked.epoch
        return "taste went too far" if self.refused else ""

    def _fault(self, now: Baked) -> str:
        """What is worse than before, or nothing."""
        before = self.parent
        if before.held_out_loss is not None and now.held_out_loss is not None:
            if not math.isfinite(now.held_out_loss):
                return "the held-out loss is no longer a number"
            if now.held_out_loss > before.held_out_loss * LOSS:
                return f"held-out loss rose from {before.held_out_loss:.3f} to {now.held_out_loss:.3f}"
        if before.p_end is not None and now.p_end is not None and now.p_end < before.p_end - END:
            return f"it knows less well where a text ends ({now.p_end:.0%}, before {before.p_end:.0%})"
        if now.gap > before.gap + GAP:
            return f"{now.recall:.0%} of the rows is recited, before {before.recall:.0%}"
        return ""

    def best(self) -> tuple[int, str]:
        """The pass to use (0: the parent stays), and why."""
        if not self.passed:
            return 0, f"as before: taste was refused, {self.refused}"
        return self.passed, "the last pass of taste" + (f" before one that was refused: {self.refused}" if self.refused else "")
