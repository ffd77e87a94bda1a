"""When a run has baked long enough: held-out loss has turned and more of the rows is recited. Pure; the engine asks after every epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

TURNED = 1.005
"""Held-out loss above the best by this factor has turned; less is the noise of one epoch."""
EQUAL = 1.01
"""Of epochs whose held-out loss is the lowest within this factor the last is taken: on the starter the form of the texts comes all at once,
around the lowest loss, and of two epochs that are as good by their loss the later one writes twice as many texts of the right form."""
RECITED = 0.5
"""Without held-out rows: the share of the trained texts' places recited from which on it is enough."""

FORM_STEPS, FORM_PASSES = 40, 5
"""A refit makes twice as many steps as were best, but no more than these, no more than so many passes over the rows, and never fewer than were best: so long the form of the
texts is still being learned, which comes later than unseen texts are lost. More only recite (`docs/learning.md`)."""


def steps_of(rows: int, batch_size: int, epochs: int) -> int:
    """Optimiser steps of `epochs` over `rows`, repeats counted."""
    return math.ceil(rows / min(batch_size, rows)) * epochs


def refit_steps(best: int, of_a_pass: int) -> int:
    """The steps of a refit, where so many were best on the held-out rows, and a pass over all rows has `of_a_pass`."""
    return max(best, min(2 * best, FORM_PASSES * of_a_pass, FORM_STEPS))


@dataclass(frozen=True)
class Baked:
    """An epoch's measures: held-out loss (nats a token; None where no row is held out), and the recited share of the trained and of
    the held-out texts."""

    epoch: int
    held_out_loss: float | None
    recall: float
    recall_held_out: float | None
    p_end: float | None = None
    """Mean probability of the end token at the true end of texts."""

    @property
    def gap(self) -> float:
        """How much more of the trained texts is recited than of unseen ones: memory, as against form."""
        return self.recall - (self.recall_held_out or 0.0)


@dataclass
class Watch:
    """The epochs of a run so far."""

    epochs: list[Baked] = field(default_factory=list)
    parent: Baked | None = None
    """What a run goes on from that has no new rows to teach: it stays where every epoch is the worse one, or without held-out rows recites.
    With new rows a loss that rises a little is their price."""

    def best(self) -> tuple[int, str]:
        """The epoch to use (0: the parent stays), and why."""
        losses = [baked.held_out_loss for baked in self.epochs if baked.held_out_loss is not None]
        before = self.parent.held_out_loss if self.parent else None
        if losses and before is not None and min(losses) > before * EQUAL:
            return 0, f"as before: there was nothing new to learn, and held-out loss rose from {before:.3f} to {min(losses):.3f}"
        if not losses:
            if fresh := [baked for baked in self.epochs if baked.recall < RECITED]:
                return fresh[-1].epoch, "the last one that does not recite its rows; none is held out"
            if self.parent:
                return 0, "as before: there was nothing new to learn, and every epoch recites its rows; none is held out"
            return self.epochs[0].epoch, "the first one, since every epoch recites its rows; none is held out"
        good = [b for b in self.epochs if b.held_out_loss is not None and b.held_out_loss <= min(losses) * EQUAL][-1]
        lowest = good.held_out_loss == min(losses)
        return good.epoch, "the lowest held-out loss" if lowest else "the last within 1 % of the lowest held-out loss"

    def as_good(self, epoch: int) -> bool:
        """Whether an epoch's held-out loss is the lowest within `EQUAL`."""
        losses = {b.epoch: b.held_out_loss for b in self.epochs if b.held_out_loss is not None}
        return epoch in losses and losses[epoch] <= min(losses.values()) * EQUAL

    def add(self, baked: Baked) -> str:
        """Take an epoch in; the reason to stop now, or nothing."""
        self.epochs.append(baked)
        if baked.held_out_loss is None:
            return f"{baked.recall:.0%} of the rows' tokens are recited" if baked.recall >= RECITED else ""
        losses = [b.held_out_loss for b in self.epochs if b.held_out_loss is not None]
        lowest = min(losses)
        turned = baked.held_out_loss > lowest * TURNED
        rise = f"held-out loss rose from {lowest:.3f} to {baked.held_out_loss:.3f}"
        best = self.epochs[losses.index(lowest)]
        if turned and baked.gap > best.gap:
            return f"{rise}; of the rows' tokens {baked.recall:.1%} are recited, {best.recall:.1%} when it was lowest"
        if turned and len(losses) > 2 and losses[-1] > losses[-2] > losses[-3]:
            return f"{rise}, two epochs in a row"
        return ""
