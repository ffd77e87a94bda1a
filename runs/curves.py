"""The losses of runs as curves: training loss by step, held-out loss at the step where its epoch ended. Read as the files grow."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import msgspec

from core.files import read_bytes, signature

Points = list[tuple[float, float]]
"""Steps and losses (nats a token)."""


class _Line(msgspec.Struct):
    """What a line of `metrics.jsonl` may tell of a curve."""

    type: str = ""
    step: int | None = None
    loss: float | None = None
    epoch: int | None = None
    held_out_loss: float | None = None
    celsius: float | None = None
    device_memory: int | None = None


@dataclass
class Curve:
    """One run's losses so far."""

    train: Points = field(default_factory=list)
    held: Points = field(default_factory=list)
    celsius: float | None = None
    """The device's temperature at the last step, where it has a sensor."""
    device_memory: int | None = None
    """Bytes in use on the device then."""

    def add(self, line: _Line) -> None:
        if line.type == "step" and line.step is not None and _sound(line.loss):
            self.train.append((line.step, line.loss or 0.0))
            self.celsius, self.device_memory = line.celsius, line.device_memory
        elif line.type == "epoch" and line.epoch is not None and _sound(line.held_out_loss):
            self.held.append((self.train[-1][0] if self.train and line.epoch else 0.0, line.held_out_loss or 0.0))


def _sound(loss: float | None) -> bool:
    return loss is not None and math.isfinite(loss)


class Curves:
    """The curves of a workspace's runs. A line is read once, and one that is not whole yet when it is."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int, int], int, Curve]] = {}
        self._decoder = msgspec.json.Decoder(_Line)

    def of(self, folder: Path) -> Curve:
        """The curve of the run in `folder`; an empty one where there are no metrics that can be read."""
        path = folder / "metrics.jsonl"
        seen = signature(path)
        if seen is None:
            self._known.pop(folder, None)
            return Curve()
        before, offset, curve = self._known.get(folder, ((0, 0, 0), 0, Curve()))
        if before == seen:
            return curve
        if before[0] != seen[0] or seen[1] < offset:  # another file
            offset, curve = 0, Curve()
        with contextlib.suppress(OSError):
            data = read_bytes(path)
            end = data.rfind(b"\n") + 1
            for line in data[offset:end].split(b"\n"):
                with contextlib.suppress(msgspec.MsgspecError):
                    curve.add(self._decoder.decode(line))
            self._known[folder] = seen, end, curve
        return curve


def thin(points: Sequence[tuple[float, float]], most: int) -> Points:
    """At most `most` points: the means of neighbours, which also shows the course of a noisy curve."""
    if len(points) <= most:
        return list(points)
    ends = [round(place * len(points) / most) for place in range(most + 1)]
    parts = [points[start:end] for start, end in pairwise(ends)]
    return [(sum(step for step, _ in part) / len(part), sum(loss for _, loss in part) / len(part)) for part in parts]
