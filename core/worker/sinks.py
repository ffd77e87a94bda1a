"""A run's figures for other tools: TensorBoard, Trackio, Weights & Biases, each only where it was asked for. They never fail a run, and never
leave this machine."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from core.files import make_folder
from core.protocol import Epoch, Event, Step
from core.runfiles import RunSpec
from core.text import short

log = logging.getLogger(__name__)
FOLDER = "metrics"
"""In the workspace."""


class Sink(Protocol):
    """One tool. Either method may raise anything."""

    def write(self, figures: dict[str, float], step: int) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """Event files, a folder a run."""

    def __init__(self, folder: Path, spec: RunSpec) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder / spec.name), flush_secs=5)

    def write(self, figures: dict[str, float], step: int) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class Trackio:
    """Trackio's own files, no server."""

    def __init__(self, folder: Path, spec: RunSpec) -> None:
        os.environ["TRACKIO_DIR"] = str(folder)  # read when it is imported
        import trackio

        self._trackio = trackio
        trackio.init(project=folder.parent.parent.name, name=spec.name, config=_config(spec))

    def write(self, figures: dict[str, float], step: int) -> None:
        self._trackio.log(figures, step=step)

    def close(self) -> None:
        self._trackio.finish()


class Wandb:
    """An offline run, which `wandb sync` may send away."""

    def __init__(self, folder: Path, spec: RunSpec) -> None:
        import wandb

        settings = wandb.Settings(silent=True, console="off", disable_git=True, save_code=False)
        self._run: Any = wandb.init(
            mode="offline", dir=str(folder), project=folder.parent.parent.name, name=spec.name, config=_config(spec), settings=settings
        )

    def write(self, figures: dict[str, float], step: int) -> None:
        self._run.log(figures, step=step)

    def close(self) -> None:
        self._run.finish()


KINDS: dict[str, type[TensorBoard | Trackio | Wandb]] = {"tensorboard": TensorBoard, "trackio": Trackio, "wandb": Wandb}


def _config(spec: RunSpec) -> dict[str, Any]:
    """What a run was made with: settings and counts, no text."""
    told = ("base", "quantization", "lora", "training", "seed", "epochs", "learning_rate", "parent", "rows", "new_rows", "kind")
    values: dict[str, Any] = msgspec.to_builtins(spec)
    return {name: values[name] for name in told if name in values}


def figures_of(event: Event) -> dict[str, float]:
    """The figures of a step or an epoch by the names that the tools show."""
    match event:
        case Step():
            return {"train/loss": event.loss, "train/rate": event.rate, "train/tokens": event.tokens, "train/epoch": event.epoch}
        case Epoch():
            gauges = {f"gauges/{name}": value for name, value in msgspec.structs.asdict(event.gauges).items() if name != "held_out_loss"}
            named = {"held_out/loss": event.held_out_loss, "held_out/base": event.base_loss, "train/epoch_loss": event.loss, **gauges}
            return {name: value for name, value in named.items() if value is not None}
        case _:
            return {}


class Sinks:
    """Those that were asked for. One that fails is let go, and `note` says so."""

    def __init__(self, names: list[str], run: Path, spec: RunSpec) -> None:
        self.note = ""
        self._open: dict[str, Sink] = {}
        self._step = 0
        for name in names:
            with self._guarded(name):
                folder = run.parent.parent / FOLDER / name
                make_folder(folder.parent)
                make_folder(folder)
                self._open[name] = KINDS[name](folder, spec)

    @contextlib.contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        """Whatever goes wrong in somebody else's code is said once."""
        try:
            yield
        except ImportError as error:
            self._open.pop(name, None)
            self._say(f"{name} is not installed ({short(str(error), 80)}): pip install {name}, or switch it off under [metrics].")
        except Exception as error:
            self._open.pop(name, None)
            log.exception("the figures for %s", name)
            self._say(f"{name} took no figures: {type(error).__name__}: {short(str(error), 120)}.")

    def _say(self, said: str) -> None:
        self.note = f"{self.note} {said}".strip()

    def write(self, event: Event) -> None:
        """Hand the figures of an event on; an epoch's stand at the step that ended it."""
        if isinstance(event, Step):
            self._step = event.step
        if figures := figures_of(event):
            for name, sink in list(self._open.items()):
                with self._guarded(name):
                    sink.write(figures, self._step)

    def close(self) -> None:
        for name, sink in list(self._open.items()):
            with self._guarded(name):
                sink.close()
