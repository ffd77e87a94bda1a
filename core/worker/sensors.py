"""How warm the GPU is and how full its memory, as the driver's own tool tells; nothing where there is none. For the worker only.

A thread asks it, since an answer takes up to a second; whoever reads gets the last one.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
from typing import NamedTuple

EVERY = 3.0
"""Seconds between two questions."""
TOOL = "nvidia-smi"
QUESTION = ("--query-gpu=temperature.gpu,memory.used", "--format=csv,noheader,nounits")


class Felt(NamedTuple):
    """Degrees Celsius and bytes in use; None where the device does not say."""

    celsius: float | None = None
    memory: int | None = None


def parse(answer: str) -> Felt:
    """The tool's line, e.g. `61, 4021` (MiB); what it cannot say is `[N/A]`."""
    values: list[float | None] = []
    for word in answer.split("\n")[0].split(","):
        try:
            values.append(float(word))
        except ValueError:
            values.append(None)
    celsius, memory = (*values, None, None)[:2]
    return Felt(celsius, int(memory * (1 << 20)) if memory is not None else None)


class Sensors:
    """Of one GPU, by its UUID or number (as CUDA names it). Asks from the first `read` on, as long as the process lives."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._tool = shutil.which(TOOL)
        self._last = Felt()
        self._thread: threading.Thread | None = None

    def read(self) -> Felt:
        """What was felt last; nothing known at first, and where there is no tool."""
        if self._tool and self._thread is None:
            self._thread = threading.Thread(target=self._ask, daemon=True, name="sensors")
            self._thread.start()
        return self._last

    def _ask(self) -> None:
        failed = 0
        pause = threading.Event()
        while failed < 3:
            try:
                done = subprocess.run(
                    [self._tool or TOOL, "-i", self._device, *QUESTION], capture_output=True, text=True, timeout=10, check=True
                )
                self._last, failed = parse(done.stdout), 0
            except (OSError, subprocess.SubprocessError):
                self._last, failed = Felt(), failed + 1
            pause.wait(EVERY)


def of_this_machine() -> Sensors | None:
    """Those of the GPU that torch uses; None where there is none."""
    import torch

    if not torch.cuda.is_available():
        return None
    device = "0"
    with contextlib.suppress(AttributeError, RuntimeError):
        device = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
    return Sensors(device)
