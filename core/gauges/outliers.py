"""Rows whose held-out loss stands out: a typo, another style, or the most original of all. For the person to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

FEWEST = 8
"""Among fewer rows nothing stands out."""
FAR = 2.5
"""Standard deviations, told from the median distance, beyond which a row is named."""
OF_NORMAL = 1.4826
"""A normal distribution's standard deviation over its median distance from the median."""


@dataclass(frozen=True)
class Outlier:
    """A row, its loss (nats a token) and by how many standard deviations it is above the median."""

    row: str
    loss: float
    far: float


def outliers(losses: Mapping[str, float]) -> list[Outlier]:
    """The rows whose loss is far above the others', the farthest first."""
    if len(losses) < FEWEST:
        return []
    middle = median(losses.values())
    spread = OF_NORMAL * median(abs(loss - middle) for loss in losses.values())
    found = [Outlier(row, loss, (loss - middle) / spread) for row, loss in losses.items() if spread and loss - middle > FAR * spread]
    return sorted(found, key=lambda outlier: -outlier.far)
