"""How large a difference between settings must be to be found by a sweep: simulated, in units of the standard deviation of a difference.

python -m bench.sweep            (prints a table; no model is needed)
"""

from __future__ import annotations

import math
import random

from core.gauges.sidebyside import Trial, compare
from dataset.folds import FOLDS

NAMES = ("present", "other", "a", "b", "c", "d")
TIMES = 300


def found(effect: float, seeds: int) -> float:
    """How often a setting that is worse by `effect` is told apart, the other four being equal."""
    draw, hits = random.Random(1), 0
    for _ in range(TIMES):
        trials = [
            Trial(name, fold, seed, 3 + fold + (effect if name == "other" else 0.0) + draw.gauss(0, math.sqrt(0.5)), 1)
            for fold in range(FOLDS)
            for seed in range(seeds)
            for name in NAMES
        ]
        hits += compare(trials, NAMES, FOLDS)[1].word == "higher"
    return hits / TIMES


def false_alarms(seeds: int) -> float:
    """How often any of five equal settings is told apart."""
    draw, hits = random.Random(2), 0
    for _ in range(TIMES):
        trials = [
            Trial(name, fold, seed, 3 + fold + draw.gauss(0, math.sqrt(0.5)), 1)
            for fold in range(FOLDS)
            for seed in range(seeds)
            for name in NAMES
        ]
        hits += any(each.word in ("higher", "lower") for each in compare(trials, NAMES, FOLDS))
    return hits / TIMES


def main() -> None:
    print("| seeds | equal | " + " | ".join(f"{effect} sd" for effect in range(1, 6)) + " |")
    print("|---" * 7 + "|")
    for seeds in (1, 2, 3):
        cells = [f"{false_alarms(seeds):.0%}", *(f"{found(effect, seeds):.0%}" for effect in range(1, 6))]
        print(f"| {seeds} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
