"""What the worker can do, as generators of events: load, sample, train, evaluate, curve. To cancel is to stop iterating.

One base stays resident; one adapter sits in it, and its content is switched between checkpoints. Nothing is ever reloaded.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import psutil
import torch

from core import runfiles
from core.choices import check_strength
from core.config import Lora
from core.errors import FlavorError
from core.fit import IN_USE, of_a_step
from core.protocol import (
    Candidate,
    Curve,
    Epoch,
    Evaluate,
    Evaluated,
    Event,
    Gauges,
    Load,
    Loaded,
    Loading,
    Sample,
    Sampled,
    Step,
    Train,
    Trained,
    Usable,
)
from core.runfiles import Result, RunSpec
from core.worker import attention, products, sensors
from core.worker.adapters import Adapters
from core.worker.calibration import Progress
from core.worker.curve import LearningCurve
from core.worker.decoding import LlamaDecoder
from core.worker.encoding import encode_row, longest
from core.worker.evaluation import RowMeasure, mean, measure_rows
from core.worker.forms import Forms
from core.worker.memory import give_back_memory
from core.worker.model import Base, chosen, load, resident
from core.worker.retraining import Retraining
from core.worker.sampling import Sampler, Text, Tick
from core.worker.sinks import Sinks
from core.worker.taste import TasteRun
from core.worker.training import EpochDone

Made = TypeVar("Made")


class Metrics:
    """`metrics.jsonl`: one line for each step and each measurement of a run. Locked as long as the run goes on."""

    def __init__(self, path: Path) -> None:
        self._file = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb")
        with contextlib.suppress(OSError):
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, event: Event) -> None:
        self._file.write(msgspec.json.encode(event) + b"\n")
        self._file.flush()

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # in so many words: a child just born in another thread holds a copy of the file
            fcntl.flock(self._file, fcntl.LOCK_UN)
        self._file.close()


def peak_memory() -> int:
    """The most bytes this process ever held in memory (on the GPU, where there is one)."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    with contextlib.suppress(OSError, IndexError, ValueError), open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return psutil.Process().memory_info().rss


def expected_speed(parameters: int, device: str, compute: torch.dtype) -> float:
    """Training tokens a second to expect, from a timed matrix product: 4 operations per parameter and token (no gradient is
    needed for the frozen weights), at two fifths of the product's rate, which is what the starter reaches (`bench.performance`).
    The fastest of a few rounds counts: what else goes on while it is timed, a batch that is being sampled above all, does not last."""
    x = torch.randn(256, 1024, dtype=compute, device=device)
    w = torch.randn(1024, 1024, dtype=compute, device=device)
    (x @ w).sum().item()
    seconds = []
    for _ in range(6):
        began = time.perf_counter()
        for _ in range(3):
            y = x @ w
        y.sum().item()
        seconds.append(time.perf_counter() - began)
    return 0.4 * 3 * 2 * 256 * 1024 * 1024 / min(seconds) / (4 * parameters)


def expected_memory(base: Base, trainable: int) -> int:
    """Bytes that a step needs on top of the loaded model."""
    config = base.model.config.get_text_config()
    step = of_a_step(config.num_hidden_layers, config.hidden_size, config.vocab_size, trainable, number=base.compute.itemsize)
    return int(step * IN_USE) if base.device == "cpu" else step


def _told(command: Load, steps: Iterator[Progress | Made]) -> Generator[Event, None, Made]:
    """Tell how far the steps are, up to what they lead to."""
    for step in steps:
        if not isinstance(step, tuple):
            return step
        yield Loading(id=command.id, stage=step[0], share=step[1])
    raise AssertionError


class Engine:
    """Holds one base and one adapter. Every method that takes a command yields the events of that command."""

    def __init__(self) -> None:
        self._base: Base | None = None
        self._forms: Forms | None = None
        self._lora = Lora()
        self._sampler: Sampler | None = None
        self._adapters: Adapters | None = None
        self._examples: list[str] = []
        self._sensors = sensors.of_this_machine()

    # -- loading -------------------------------------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether texts can be sampled."""
        return self._sampler is not None

    def load(self, command: Load) -> Iterator[Event]:
        """Make the base resident, in the place of the one that was there. Where its 4-bit codes are still to be chosen, and `early` is asked for,
        it can be sampled meanwhile, with rounded ones."""
        began = time.perf_counter()
        self._let_go()
        make = resident if command.early else load
        base = yield from _told(command, make(command.base, command.quantization, command.calibrate))
        if base.rounded:
            yield Usable(id=command.id, loaded=self._take(command, base, began))
            codes = yield from _told(command, chosen(base))
            del base
            self._let_go()
            give_back_memory()  # its modules hold each other: without this the old base would stand beside the new one
            base = yield from _told(command, resident(command.base, command.quantization, command.calibrate, codes))
            del codes
        yield Loading(id=command.id, stage="preparing the adapter")
        yield self._take(command, base, began)

    def _let_go(self) -> None:
        self._base = self._forms = self._sampler = self._adapters = None

    def _take(self, command: Load, base: Base, began: float) -> Loaded:
        """Take a base that was loaded into use."""
        parameters = base.model.num_parameters() if not base.four_bit else _true_parameters(base)
        forms = self.hold(base, command.lora)
        trainable = sum(tensor.numel() for tensor in forms.parameters())
        give_back_memory()
        return Loaded(
            id=command.id,
            name=base.name,
            fingerprint=base.fingerprint,
            parameters=parameters,
            trainable=trainable,
            device=base.device,
            form=forms.form,
            note=base.note,
            seconds=time.perf_counter() - began,
            memory=psutil.Process().memory_info().rss + forms.to_come,
            train_speed=expected_speed(parameters, base.device, base.compute),
            train_memory=expected_memory(base, trainable),
            rounded=base.rounded,
        )

    def hold(self, base: Base, lora: Lora) -> Forms:
        """Put an adapter into a loaded base, and make ready what trains and samples."""
        self._base, self._lora = base, lora
        self._forms = forms = Forms(base, lora)
        self._adapters = Adapters(base, forms, lora)
        decoder = LlamaDecoder.of(base.model, forms)
        if decoder and base.device == "cpu":
            attention.install(base.model)
            products.take_over_output(base.model)
        self._sampler = Sampler(base.model, base.tokenizer, decoder)
        return forms

    def _ready(self) -> tuple[Base, Forms, Sampler]:
        if not (self._base and self._forms and self._sampler):
            raise FlavorError("The model is not loaded.", "Load it first.", "order")
        return self._base, self._forms, self._sampler

    @property
    def adapters(self) -> Adapters:
        """Those of the loaded base. Raises FlavorError where none is loaded."""
        self._ready()
        assert self._adapters
        return self._adapters

    # -- sampling ------------------------------------------------------------------------------------------------------

    def sample(self, command: Sample) -> Iterator[Event | None]:
        """A `Candidate` for each text as it ends. Yields None at every token, so that a cancel is heard at once."""
        base, forms, sampler = self._ready()
        folder = Path(command.checkpoint) if command.checkpoint else None
        if folder and base.rounded:
            raise FlavorError("The model is still being prepared: its checkpoints can be sampled after that.", "Wait for it.", "order")
        if not command.prompts or len(command.prompts) != len(command.seeds) or len(command.without) not in (0, len(command.prompts)):
            raise FlavorError("Nothing to sample.", kind="order")
        if command.examples is not None:
            self._examples = command.examples
        sampler.learn_examples(self._examples, command.settings)
        if folder:
            self.adapters.use(folder)
        forms.sample(folder is not None, str(folder), check_strength(command.strength))
        began = time.perf_counter()
        first, tokens = 0.0, 0
        for event in sampler.sample(command.prompts, command.seeds, command.settings, command.free, command.without):
            match event:
                case Text():
                    tokens += event.tokens
                    yield Candidate(
                        id=command.id,
                        index=event.index,
                        text=event.text,
                        finish=event.finish,
                        tokens=event.tokens,
                        cut_at_heading=event.cut_at_heading,
                        own=event.own,
                        weakest=event.weakest,
                    )
                case Tick():
                    first = first or event.first
                    yield None
        give_back_memory()
        yield Sampled(id=command.id, tokens=tokens, seconds=time.perf_counter() - began, first_token=first)

    def between(self, command: Sample) -> Iterator[Event | None]:
        """The same between two steps of a run, which goes on afterwards as if nothing had been."""
        base, forms, _ = self._ready()
        training = base.model.training
        try:
            with forms.set_aside():
                base.model.eval()
                yield from self.sample(command)
        finally:
            base.model.train(training)
            self.adapters.changed()  # the run's own is in the model again

    # -- measuring -----------------------------------------------------------------------------------------------------

    def evaluate(self, command: Evaluate) -> Iterator[Event | None]:
        """Mean loss per token of the rows' texts, with a checkpoint or the base. Rows that a run would leave out are left out."""
        base, forms, _ = self._ready()
        self.adapters.use(Path(command.checkpoint) if command.checkpoint else None)
        encoded = [encode_row(base.tokenizer, row, 1.0) for row in command.rows]
        limit = longest(base.model, command.max_tokens)
        rows = [row for row in encoded if len(row.ids) <= limit]
        if encoded and not rows:
            raise FlavorError(f"Every row is longer than {limit} tokens.", "Shorten them, or raise max_tokens in flavor.toml.", "empty")
        forms.train()
        base.model.eval()
        found: list[RowMeasure] = []
        for part in measure_rows(base.model, rows, base.tokenizer.eos_token_id):
            found += part
            yield Loading(id=command.id, stage="measuring", share=len(found) / len(rows))
        if not found:
            raise FlavorError("There is no text to measure.", kind="empty")
        by_row = {row.row: row.total / row.tokens for row in found}
        yield Evaluated(
            id=command.id,
            loss=mean(found),
            tokens=sum(row.tokens for row in found),
            rows=len(found),
            losses=[by_row.get(row.id, 0.0) for row in command.rows],
            skipped=[row.row for row in encoded if len(row.ids) > limit],
        )

    def curve(self, command: Curve) -> Iterator[Event | None]:
        """Points of the learning curve. The adapter in the model is not that of any checkpoint afterwards: the next use puts one in."""
        base, forms, _ = self._ready()
        self.adapters.changed()
        try:
            yield from LearningCurve(base, forms, command).run()
        finally:
            give_back_memory()

    # -- training ------------------------------------------------------------------------------------------------------

    def train(self, command: Train) -> Iterator[Event | None]:
        """Carry out a run. Its `result.json` is written last, whatever happened; a cancelled or failed run leaves that and the
        checkpoints that were whole."""
        folder = Path(command.run)
        spec = runfiles.read(folder / "run.json", RunSpec)
        began = time.perf_counter()
        metrics = Metrics(folder / "metrics.jsonl")
        sinks = Sinks(command.sinks, folder, spec)
        result = Result("cancelled", seconds=0.0)
        base_loss = parent_loss = None
        try:
            for event in self._train(command.id, folder, spec, began):
                if isinstance(event, Trained):
                    result = Result(
                        "done",
                        checkpoint=event.checkpoint,
                        steps=event.steps,
                        tokens=event.tokens,
                        seconds=event.seconds,
                        train_seconds=event.train_seconds,
                        skipped=event.skipped,
                        peak_memory=peak_memory(),
                        why=event.why,
                        stopped=event.stopped,
                        base_loss=base_loss,
                        parent_loss=parent_loss,
                        best_steps=event.best_steps,
                    )
                    runfiles.write(folder / "result.json", result)
                    event = msgspec.structs.replace(event, note=f"{event.note} {sinks.note}".strip())
                elif event and not isinstance(event, Loading):
                    if isinstance(event, Step) and self._sensors:
                        felt = self._sensors.read()
                        event = msgspec.structs.replace(event, celsius=felt.celsius, device_memory=felt.memory)
                    metrics.write(event)
                    sinks.write(event)
                    if isinstance(event, Epoch) and event.epoch == 0:
                        base_loss, parent_loss = event.base_loss, event.held_out_loss if spec.parent else None
                yield event
        except Exception as error:
            reason = error.message if isinstance(error, FlavorError) else f"{type(error).__name__}: {error}"[:300]
            result = Result("failed", reason=reason, seconds=time.perf_counter() - began)
            raise
        finally:
            sinks.close()
            give_back_memory()
            if result.status != "done":
                if self._adapters:
                    self._adapters.changed()  # half-trained: the next use puts a whole one in
                with contextlib.suppress(OSError):
                    runfiles.write(folder / "result.json", result)
            metrics.close()  # only now: whoever looked before would take the run for one that was interrupted

    def _train(self, number: int, folder: Path, spec: RunSpec, began: float) -> Iterator[Event | None]:
        base, forms, _ = self._ready()
        rows = runfiles.read_rows(folder / "rows.jsonl", spec.rows_sha256)
        if spec.fingerprint and spec.fingerprint != base.fingerprint:
            raise FlavorError(f"Run {spec.name} was made for another base.", "Start a new run.", "foreign")
        if spec.lora != self._lora:
            raise FlavorError(
                f"Run {spec.name} was made with another [lora].", "Put it back in flavor.toml, or start a new run.", "foreign"
            )

        runfiles.check_parent(spec.parent)

        def save(event: EpochDone, gauges: Gauges, seen: float, refit: bool) -> str:
            name = f"{spec.name}/{'refit' if refit else 'epoch'}-{event.epoch:02}"
            self.adapters.save(folder, name, event, spec, gauges, seen)
            return name

        if spec.kind == "taste":
            run: Retraining = TasteRun(base, forms, spec, rows, runfiles.read_pairs(folder / "pairs.jsonl", spec.pairs_sha256), save)
        else:
            run = Retraining(base, forms, spec, rows, save)
        self.adapters.use(runfiles.checkpoint_folder(folder.parent, spec.parent) if spec.parent else None)
        self.adapters.changed()
        if spec.parent is None:
            forms.fresh_adapter(spec.seed)
        yield from run.run(number, began)


def _true_parameters(base: Base) -> int:
    """Parameters of the base, 4-bit weights counted unpacked."""
    total = 0
    for parameter in base.model.parameters():
        state = getattr(parameter, "quant_state", None)
        total += state.shape.numel() if state is not None else parameter.numel()
    return total
