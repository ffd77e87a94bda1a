"""What the worker can do, as generators of events: load, sample, train, evaluate. To cancel is to stop iterating.

One base stays resident; one adapter sits in it, and its content is switched between checkpoints. Nothing is ever reloaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import torch
from peft import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from core import runfiles
from core.encoding import encode_row
from core.errors import FlavorError
from core.evaluation import RowMeasure, mean, measure_rows
from core.files import now, publish_folder
from core.forms import ADAPTER, Forms
from core.model import STARTER_HUB_ID, Base, load
from core.protocol import (
    Candidate,
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
    Train,
    Trained,
)
from core.retraining import Retraining
from core.runfiles import CheckpointInfo, Result, RunSpec
from core.sampling import Sampler, Text, Tick
from core.taste import TasteRun
from core.training import MICRO_TOKENS, EpochDone

log = logging.getLogger(__name__)
ADAPTER_FILE = "adapter_model.safetensors"
KEPT_STATES = 4
"""Adapters kept in memory, so that switching back and forth reads no file."""


class Metrics:
    """`metrics.jsonl`: one line for each step and each measurement of a run."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "wb")

    def write(self, event: Event) -> None:
        self._file.write(msgspec.json.encode(event) + b"\n")
        self._file.flush()

    def close(self) -> None:
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
    """Training tokens a second to expect, from one timed matrix product: 4 operations per parameter and token (no gradient is
    needed for the frozen weights), at a third of the product's rate, which is what the starter reaches."""
    x = torch.randn(256, 1024, dtype=compute, device=device)
    w = torch.randn(1024, 1024, dtype=compute, device=device)
    x @ w
    began = time.perf_counter()
    for _ in range(10):
        y = x @ w
    y.sum().item()
    rate = 10 * 2 * 256 * 1024 * 1024 / (time.perf_counter() - began)
    return rate / 3 / (4 * parameters)


def expected_memory(base: Base, trainable: int) -> int:
    """Bytes that a step needs on top of the loaded model: 34 a token, layer and channel (Korthikanti et al. 2205.05198), 6 a token
    and word of the vocabulary, 16 a trained number; doubled, which is what the allocator makes of it on the starter."""
    config = base.model.config.get_text_config()
    activations = MICRO_TOKENS * (34 * config.num_hidden_layers * config.hidden_size + 6 * config.vocab_size)
    return 2 * (activations + 16 * trainable)


def give_back_memory() -> None:
    """Return what was freed to the system: glibc keeps it else, and the peaks of loading, sampling and training add up."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class Engine:
    """Holds one base and one adapter. Every method that takes a command yields the events of that command."""

    def __init__(self) -> None:
        self._base: Base | None = None
        self._forms: Forms | None = None
        self._sampler: Sampler | None = None
        self._adapter = ""
        """What the adapter in the model holds: a checkpoint's folder, `base` (a silent one), or nothing known."""
        self._states: dict[str, dict[str, torch.Tensor]] = {}
        self._examples: list[str] = []

    # -- loading -------------------------------------------------------------------------------------------------------

    def load(self, command: Load) -> Iterator[Event]:
        """Make the base resident. Again with the same base: at once."""
        began = time.perf_counter()
        self._base = self._forms = self._sampler = None
        self._states.clear()
        for step in load(command.base, command.quantization):
            if isinstance(step, Base):
                self._base = step
            else:
                yield Loading(id=command.id, stage=step[0], share=step[1])
        assert self._base is not None
        base = self._base
        parameters = base.model.num_parameters() if not base.four_bit else _true_parameters(base)
        yield Loading(id=command.id, stage="preparing the adapter")
        self._forms = Forms(base, command.lora)
        self._sampler = Sampler(base.model, base.tokenizer)
        self._adapter = ""
        give_back_memory()
        yield Loaded(
            id=command.id,
            name=base.name,
            fingerprint=base.fingerprint,
            parameters=parameters,
            trainable=sum(tensor.numel() for tensor in self._forms.parameters()),
            device=base.device,
            form=self._forms.form,
            note=base.note,
            seconds=time.perf_counter() - began,
            memory=psutil.Process().memory_info().rss,
            train_speed=expected_speed(parameters, base.device, base.compute),
            train_memory=expected_memory(base, sum(tensor.numel() for tensor in self._forms.parameters())),
        )

    def _ready(self) -> tuple[Base, Forms, Sampler]:
        if not (self._base and self._forms and self._sampler):
            raise FlavorError("The model is not loaded.", "Load it first.", "order")
        return self._base, self._forms, self._sampler

    # -- adapters ------------------------------------------------------------------------------------------------------

    def _use(self, folder: Path | None) -> None:
        """Put the adapter of a checkpoint (None: a silent one) into the model."""
        _, forms, _ = self._ready()
        wanted = str(folder) if folder else runfiles.BASE
        if wanted == self._adapter:
            return
        self._adapter = ""
        if folder is None:
            forms.silence_adapter()
        else:
            self._copy_in(self._read_adapter(folder))
        self._adapter = wanted

    def _copy_in(self, state: dict[str, torch.Tensor]) -> None:
        _, forms, _ = self._ready()
        own = get_peft_model_state_dict(forms.peft, adapter_name=ADAPTER)
        if set(own) != set(state) or any(own[name].shape != tensor.shape for name, tensor in state.items()):
            raise FlavorError(
                "The adapter has other layers or another rank than this model.", "Was [lora] r changed? Retrain with T.", "foreign"
            )
        with torch.no_grad():
            for name, tensor in state.items():
                own[name].copy_(tensor)

    def _read_adapter(self, folder: Path) -> dict[str, torch.Tensor]:
        """A checkpoint's tensors, after its hash, its base and its numbers were checked: PEFT itself checks none of them."""
        base, _, _ = self._ready()
        key = str(folder)
        if key in self._states:
            return self._states[key]
        if not folder.is_dir():
            raise FlavorError(
                f"The checkpoint {folder.name} of run {folder.parent.parent.name} is missing.", "Choose another one.", "missing"
            )
        info = runfiles.read(folder / "checkpoint.json", CheckpointInfo)
        if info.fingerprint != base.fingerprint:
            raise FlavorError(
                f"{info.name} was trained on another base ({info.base}, not these weights of {base.name}).",
                "Set that base in flavor.toml, or retrain with T.",
                "foreign",
            )
        file = folder / ADAPTER_FILE
        if not file.exists() or runfiles.file_sha256(file) != info.sha256:
            raise FlavorError(f"{info.name} is damaged: its weights are not those that were saved.", "Choose another one.", "damaged")
        state = load_file(file)
        if not all(torch.isfinite(tensor).all() for tensor in state.values()):
            raise FlavorError(f"{info.name} holds numbers that are not finite.", "Choose another one.", "damaged")
        self._remember(key, state)
        return state

    def _remember(self, key: str, state: dict[str, torch.Tensor]) -> None:
        self._states[key] = state
        while len(self._states) > KEPT_STATES:
            self._states.pop(next(iter(self._states)))

    # -- sampling ------------------------------------------------------------------------------------------------------

    def sample(self, command: Sample) -> Iterator[Event | None]:
        """A `Candidate` for each text as it ends. Yields None at every token, so that a cancel is heard at once."""
        _, forms, sampler = self._ready()
        folder = Path(command.checkpoint) if command.checkpoint else None
        if not command.prompts or len(command.prompts) != len(command.seeds):
            raise FlavorError("Nothing to sample.", kind="order")
        if command.examples is not None:
            self._examples = command.examples
        sampler.learn_examples(self._examples, command.settings)
        if folder:
            self._use(folder)
        forms.sample(folder is not None, str(folder))
        began = time.perf_counter()
        first, tokens = 0.0, 0
        for event in sampler.sample(command.prompts, command.seeds, command.settings, command.free):
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
                    )
                case Tick():
                    first = first or event.first
                    yield None
        give_back_memory()
        yield Sampled(id=command.id, tokens=tokens, seconds=time.perf_counter() - began, first_token=first)

    # -- measuring -----------------------------------------------------------------------------------------------------

    def evaluate(self, command: Evaluate) -> Iterator[Event | None]:
        """Mean loss per token of the rows' texts, with a checkpoint or the base."""
        base, forms, _ = self._ready()
        self._use(Path(command.checkpoint) if command.checkpoint else None)
        rows = [encode_row(base.tokenizer, row, 1.0) for row in command.rows]
        forms.train()
        base.model.eval()
        found: list[RowMeasure] = []
        for part in measure_rows(base.model, rows, base.tokenizer.eos_token_id):
            found += part
            yield None
        if not found:
            raise FlavorError("There is no text to measure.", kind="empty")
        by_row = {row.row: row.total / row.tokens for row in found}
        yield Evaluated(
            id=command.id,
            loss=mean(found),
            tokens=sum(row.tokens for row in found),
            rows=len(found),
            losses=[by_row.get(row.id, 0.0) for row in command.rows],
        )

    # -- training ------------------------------------------------------------------------------------------------------

    def train(self, command: Train) -> Iterator[Event | None]:
        """Carry out a run. Its `result.json` is written last, whatever happened; a cancelled or failed run leaves no more than that."""
        folder = Path(command.run)
        spec = runfiles.read(folder / "run.json", RunSpec)
        began = time.perf_counter()
        metrics = Metrics(folder / "metrics.jsonl")
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
                    )
                    runfiles.write(folder / "result.json", result)
                elif event:
                    metrics.write(event)
                    if isinstance(event, Epoch) and event.epoch == 0:
                        base_loss, parent_loss = event.base_loss, event.held_out_loss if spec.parent else None
                yield event
        except Exception as error:
            reason = error.message if isinstance(error, FlavorError) else f"{type(error).__name__}: {error}"[:300]
            result = Result("failed", reason=reason, seconds=time.perf_counter() - began)
            raise
        finally:
            metrics.close()
            give_back_memory()
            if result.status != "done":
                self._adapter = ""  # half-trained: the next use puts a whole one in
                with contextlib.suppress(OSError):
                    runfiles.write(folder / "result.json", result)

    def _train(self, number: int, folder: Path, spec: RunSpec, began: float) -> Iterator[Event | None]:
        base, forms, _ = self._ready()
        rows = runfiles.read_rows(folder / "rows.jsonl", spec.rows_sha256)
        if spec.fingerprint and spec.fingerprint != base.fingerprint:
            raise FlavorError(f"Run {spec.name} was made for another base.", "Start a new run.", "foreign")

        def save(event: EpochDone, gauges: Gauges, seen: float) -> str:
            name = f"{spec.name}/epoch-{event.epoch:02}"
            self._save(folder, name, event, spec, gauges, seen)
            return name

        if spec.kind == "taste":
            run: Retraining = TasteRun(base, forms, spec, rows, runfiles.read_pairs(folder / "pairs.jsonl", spec.pairs_sha256), save)
        else:
            run = Retraining(base, forms, spec, rows, save)
        self._use(folder.parent / Path(spec.parent.replace("/", "/checkpoints/")) if spec.parent else None)
        self._adapter = ""
        if spec.parent is None:
            forms.fresh_adapter(spec.seed)
        elif spec.shrink < 1:
            forms.shrink_adapter(spec.shrink)
        yield from run.run(number, began)

    def _save(self, folder: Path, name: str, event: EpochDone, spec: RunSpec, gauges: Gauges, seen: float) -> None:
        """Publish a checkpoint: staged, synced, renamed. It is whole or absent."""
        base, forms, _ = self._ready()
        checkpoints = folder / "checkpoints"
        checkpoints.mkdir(exist_ok=True)
        staging = checkpoints / f".tmp-{os.getpid()}-{event.epoch}"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            state = {
                key: tensor.detach().cpu().clone() for key, tensor in get_peft_model_state_dict(forms.peft, adapter_name=ADAPTER).items()
            }
            save_file(state, staging / ADAPTER_FILE)
            config = forms.peft.peft_config[ADAPTER]
            config.base_model_name_or_path = STARTER_HUB_ID if spec.base == "starter" else spec.base
            config.inference_mode = True
            config.save_pretrained(str(staging))
            config.inference_mode = False
            info = CheckpointInfo(
                name=name, epoch=event.epoch, base=spec.base, fingerprint=base.fingerprint,
                sha256=runfiles.file_sha256(staging / ADAPTER_FILE), loss=event.loss, created=now(), seen=seen,
                **msgspec.structs.asdict(gauges),
            )  # fmt: skip
            runfiles.write(staging / "checkpoint.json", info)
            final = checkpoints / f"epoch-{event.epoch:02}"
            publish_folder(staging, final)
        except OSError as error:
            raise FlavorError(
                f"The checkpoint could not be written: {error.strerror}.", "Make room; the old checkpoint still serves.", "disk"
            ) from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        self._remember(str(final), state)


def _true_parameters(base: Base) -> int:
    """Parameters of the base, 4-bit weights counted unpacked."""
    total = 0
    for parameter in base.model.parameters():
        state = getattr(parameter, "quant_state", None)
        total += state.shape.numel() if state is not None else parameter.numel()
    return total
