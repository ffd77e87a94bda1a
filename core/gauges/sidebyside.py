"""Settings side by side: the same folds under each, and whether any difference is larger than its noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, variance
from typing import Literal

from core.gauges.statistics import LEVEL, Interval, t_quantile

FEWEST_PAIRS = 3
"""With fewer folds in common nothing can be said of the noise."""

Word = Literal["the present settings", "lower", "higher", "within the noise", "cannot tell yet"]


@dataclass(frozen=True)
class Trial:
    """One training under a setting, measured on a fold that it did not see: nats a token, and after how many epochs the loss was lowest."""

    setting: str
    fold: int
    seed: int
    loss: float
    epoch: float


@dataclass(frozen=True)
class Compared:
    """A setting against the present one. `loss` is as if it had been measured on all folds that the present one was."""

    setting: str
    loss: float | None
    epoch: float | None
    """The median of those of the lowest loss."""
    trials: int
    difference: float | None
    interval: Interval | None
    word: Word


def losses_of(found: Mapping[str, tuple[float, int]]) -> float:
    """Nats a token over all rows of a fold, from each row's summed loss and tokens."""
    return sum(loss for loss, _ in found.values()) / max(1, sum(tokens for _, tokens in found.values()))


def compare(trials: Sequence[Trial], settings: Sequence[str], folds: int) -> list[Compared]:
    """Every setting, the first of `settings` being the present one. `folds`: into how many the rows are parted.

    Differences within a fold and seed only, since folds differ by more than settings do. The interval is that of the corrected
    resampled t-test (Nadeau and Bengio, Inference for the Generalization Error, 2003): the trainings share most of their rows, and the plain one
    would take noise for a finding. It is widened for the number of comparisons (Bonferroni), so that among equal settings none is named nine times
    out of ten.
    """
    by_setting = {name: {(trial.fold, trial.seed): trial for trial in trials if trial.setting == name} for name in settings}
    present = by_setting[settings[0]]
    mean = fmean(trial.loss for trial in present.values()) if present else None
    level = 1 - (1 - LEVEL) / max(1, len(settings) - 1)
    return [_compared(name, by_setting[name], present, mean, level, folds, name == settings[0]) for name in settings]


def _compared(
    name: str,
    own: Mapping[tuple[int, int], Trial],
    present: Mapping[tuple[int, int], Trial],
    mean: float | None,
    level: float,
    folds: int,
    is_present: bool,
) -> Compared:
    epoch = median(trial.epoch for trial in own.values()) if own else None
    if is_present:
        return Compared(name, mean, epoch, len(own), None, None, "the present settings")
    gaps = [own[place].loss - present[place].loss for place in sorted(own.keys() & present.keys())]
    if not gaps or mean is None:
        return Compared(name, None, epoch, len(own), None, None, "cannot tell yet")
    difference = fmean(gaps)
    if len(gaps) < FEWEST_PAIRS:
        return Compared(name, mean + difference, epoch, len(own), difference, None, "cannot tell yet")
    spread = math.sqrt(variance(gaps) * (1 / len(gaps) + 1 / (folds - 1)))
    away = t_quantile(1 - (1 - level) / 2, len(gaps) - 1) * spread
    interval = difference - away, difference + away
    word: Word = "lower" if interval[1] < 0 else "higher" if interval[0] > 0 else "within the noise"
    return Compared(name, mean + difference, epoch, len(own), difference, interval, word)


def sentence(found: Sequence[Compared]) -> str:
    """What the comparison says, in one sentence."""
    lower = [each for each in found if each.word == "lower" and each.difference is not None]
    if lower:
        best = min(lower, key=lambda each: each.difference or 0.0)
        low, high = best.interval or (0.0, 0.0)
        return (
            f"{best.setting} lowers the held-out loss by {-(best.difference or 0.0):.3f} ({-high:.3f} to {-low:.3f}), more than its noise."
        )
    if any(each.word == "cannot tell yet" for each in found):
        return f"Cannot tell yet: each setting needs {FEWEST_PAIRS} folds at least."
    if len(found) < 2:
        return "There is nothing to compare."
    return "No setting is better by more than the noise: keep what you have."
