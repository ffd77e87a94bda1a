"""The loop on a graphics card: `python -m bench.gpu [--model 1B 3B 8B 13B] [--card GB]` prints a table for each model.

Models of the true shapes with random NF4 weights, made on the card matrix by matrix: nothing is downloaded, and no model is ever there in 16
bits. What they write is noise; time and memory do not depend on it. Four epochs over 50 rows of 180 tokens by the program's own training
loop, 8 candidates of 150 tokens by its own sampler, the switch of adapters by its engine; then the same training on cards that are too
small. `--card` gives the process that much of the card only. `--model tiny` takes the same road with a small model on whatever is there.
Without CUDA there is nothing to measure, and the reason is printed.
"""

from __future__ import annotations

import argparse
import functools
import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from bench.shapes import SHAPES, build, parameters_of
from core.config import Lora, Sampling, Training
from core.errors import FlavorError
from core.protocol import Row
from core.worker.encoding import Curriculum
from core.worker.engine import Engine
from core.worker.memory import WAYS, StepMemory, free_memory
from core.worker.model import Base, hardware
from core.worker.sampling import Text
from core.worker.training import StepDone, train

ROWS, TOKENS, EPOCHS = 50, 180, 4
CANDIDATES, WRITTEN = 8, 150
SWITCHES = 20
PROMPT = [("# Heading\n\n", 0.0)]
PLENTY = 1 << 60
TORCHTUNE = 2413
"""Tokens a second of torchtune's QLoRA of an 8B llama on an RTX 4090, by its README."""
TARGETS: dict[tuple[str, str], tuple[str, float]] = {
    ("13B", "peak with checkpointing, GB"): ("at most", 12),
    ("13B", "peak, GB"): ("at most", 16),
    ("8B", "peak with checkpointing, GB"): ("at most", 7),
    ("8B", "tokens a second"): ("at least", 2 * TORCHTUNE),
    ("8B", "first candidate, s"): ("at most", 6),
    ("8B", "all 8 candidates, s"): ("at most", 10),
    **{(name, "adapter switch, ms"): ("at most", 50) for name in SHAPES},
}
"""What is to be reached, by model and figure. Times on an H200, memory on a card of 24 GB."""


@dataclass(frozen=True)
class Machine:
    """The device; whether it is a card; and bytes at the peak of what was done since `begin`, a card's only."""

    device: str
    compute: torch.dtype

    @property
    def card(self) -> bool:
        return self.device == "cuda"

    def wait(self) -> None:
        """Until all that was asked for is done."""
        if self.card:
            torch.cuda.synchronize()

    def begin(self) -> float:
        gc.collect()
        if self.card:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        self.wait()
        return time.perf_counter()

    def peak(self) -> float | None:
        """Gigabytes, with what the allocator holds."""
        return torch.cuda.max_memory_reserved() / 1e9 if self.card else None

    def limit(self, size: float) -> None:
        """Give this process `size` bytes of the card; a card only."""
        torch.cuda.set_per_process_memory_fraction(min(1.0, size / torch.cuda.mem_get_info()[1]))

    def rate(self) -> float:
        """Operations a second of a large product in the computing type: what the device can do at most."""
        size = 8192 if self.card else 512
        x, y = (torch.randn(size, size, device=self.device, dtype=self.compute) for _ in range(2))
        x @ y
        seconds = []
        for _ in range(5):
            self.wait()
            began = time.perf_counter()
            x @ y
            self.wait()
            seconds.append(time.perf_counter() - began)
        return 2 * size**3 / min(seconds)


class Resident:
    """An engine that holds a model of a shape, as after loading it."""

    def __init__(self, name: str, machine: Machine) -> None:
        self.name, self.machine = name, machine
        model, tokenizer = build(SHAPES[name], machine.device, machine.compute)
        self.base = Base(name, model, tokenizer, name, machine.device, True, machine.compute, "")
        self.engine = Engine()
        self.engine.hold(self.base, Lora())
        _, self.forms, self.sampler = self.engine._ready()
        text = "x" * (TOKENS - len(PROMPT[0][0]) - 1)
        self.rows = [Row(str(at), PROMPT, f"{at:03}{text[3:]}") for at in range(ROWS)]

    def train(self, memory: StepMemory, epochs: int = EPOCHS) -> tuple[float, int]:
        """Seconds and tokens of a fresh adapter's training."""
        self.forms.fresh_adapter(1)
        self.forms.train()
        settings = Training()
        curriculum = Curriculum(self.base.tokenizer, self.rows, settings, None, 1)
        began, tokens = self.machine.begin(), 0
        loop = train(
            self.base.model,
            self.forms.parameters(),
            curriculum,
            settings,
            epochs=epochs,
            peak=settings.learning_rate,
            seed=1,
            memory=memory,
        )
        for event in loop:
            tokens += event.tokens if isinstance(event, StepDone) else 0
        self.machine.wait()
        return time.perf_counter() - began, tokens

    def memory(self, free: int = PLENTY) -> StepMemory:
        """How steps are done with `free` bytes."""
        return StepMemory(self.base.model, self.forms.parameters(), TOKENS, Training().batch_size, free)

    def checkpointed(self) -> StepMemory:
        """The smallest way that there is."""
        return self.memory(self.memory().need(WAYS[-1]))

    def sample(self) -> tuple[float, float, int]:
        """Seconds to the first candidate and to all, and the tokens of all."""
        self.sampler.learn_examples([row.text for row in self.rows], Sampling())
        self.forms.sample(True, "bench")
        began, ends, tokens = self.machine.begin(), [], 0
        settings = Sampling(max_tokens=WRITTEN)
        for event in self.sampler.sample([PROMPT] * CANDIDATES, list(range(CANDIDATES)), settings):
            if isinstance(event, Text):
                tokens += event.tokens
                ends.append(time.perf_counter() - began)
        return ends[0], ends[-1], tokens

    def switch(self) -> float:
        """Milliseconds until another checkpoint's adapter can sample; both are in memory, as the last few are."""
        state = {key: tensor.detach().cpu().clone() for key, tensor in self.engine_state().items()}
        names = [Path("one"), Path("two")]
        for name in names:
            self.engine.adapters.keep(name, state)
        seconds = []
        for at in range(SWITCHES):
            self.machine.wait()
            began = time.perf_counter()
            self.engine.adapters.use(names[at % 2])
            self.forms.sample(True, str(names[at % 2]))
            self.machine.wait()
            seconds.append(time.perf_counter() - began)
        return 1000 * median(seconds)

    def engine_state(self) -> dict[str, torch.Tensor]:
        from peft import get_peft_model_state_dict

        found: dict[str, torch.Tensor] = get_peft_model_state_dict(self.forms.peft)
        return found


def line(model: str, what: str, value: float | None, form: str = "{:.1f}") -> None:
    """One row of the table, with what is to be reached beside it."""
    how, bound = TARGETS.get((model, what), ("", 0.0))
    target = f"{how} {bound:g}" if how else ""
    met = "" if not how or value is None else "reached" if (value <= bound if how == "at most" else value >= bound) else "missed"
    print(f"| {what} | {target} | {form.format(value) if value is not None else 'not a card'} | {met} |", flush=True)


def measure(name: str, machine: Machine, rate: float) -> None:
    """The table of one model."""
    began = machine.begin()
    resident = Resident(name, machine)
    parameters = parameters_of(resident.base.model)
    print(
        f"\n## {name}\n\n{parameters / 1e9:.2f} billion parameters, made in {time.perf_counter() - began:.0f} s, {resident.forms.form}.\n"
    )
    print("| | to reach | measured | |\n|---|---|---|---|")
    resident.train(resident.memory(), 1)  # kernels are chosen and loaded
    for words, how in (("", resident.memory), (" with checkpointing", resident.checkpointed)):
        seconds, tokens = resident.train(how())
        line(name, f"{EPOCHS} epochs{words}, s", seconds)
        line(name, f"tokens a second{words}", tokens / seconds, "{:.0f}")
        line(name, f"share of a bare product{words}, %", 100 * 4 * parameters * tokens / seconds / rate)
        line(name, f"peak{words}, GB", machine.peak(), "{:.2f}")
    resident.sample()
    first, last, tokens = resident.sample()
    line(name, "first candidate, s", first, "{:.2f}")
    line(name, f"all {CANDIDATES} candidates, s", last, "{:.2f}")
    line(name, "sampled tokens a second", tokens / last, "{:.0f}")
    line(name, "adapter switch, ms", resident.switch())
    too_small(resident)


def too_small(resident: Resident) -> None:
    """Train with less memory than the plain way takes: predicted, met in the middle, and less than any way takes."""
    machine, tried = resident.machine, resident.memory()
    trials: list[tuple[Callable[[], None], int | None]]
    if machine.card:
        peaks = []
        for how in (resident.memory, resident.checkpointed):
            resident.train(how(), 1)
            peaks.append(torch.cuda.max_memory_allocated())
        machine.begin()
        held = torch.cuda.memory_allocated()
        sizes = [(sum(peaks) // 2, False), (sum(peaks) // 2, True), (held + (peaks[1] - held) // 4, True)]
        trials = [(functools.partial(machine.limit, size), PLENTY if blind else None) for size, blind in sizes]
    else:
        needs = [tried.need(way) for way in WAYS]
        trials = [(lambda: None, needs[-1]), (lambda: None, needs[-1] - 1)]
    for limit, free in trials:
        print(f"\n* {survived(resident, limit, free)}", flush=True)


def survived(resident: Resident, limit: Callable[[], Any], free: int | None) -> str:
    """What one epoch says under a limit; `free` bytes are believed in, by default what there is."""
    machine = resident.machine
    before = torch.cuda.memory.get_per_process_memory_fraction() if machine.card else 1.0
    limit()
    room = free_memory(resident.base.model.device) if free is None else free
    told = f"{room / 1e9:.3f} GB believed free" if room < PLENTY else "no prediction"
    try:
        memory = resident.memory(room)
        seconds, _ = resident.train(memory, 1)
        return f"{told}: an epoch in {seconds:.1f} s. {memory.foreseen or memory.note or 'In the plain way.'}"
    except FlavorError as error:
        return f"{told}: refused. {error}"
    finally:
        if machine.card:
            torch.cuda.set_per_process_memory_fraction(before)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", nargs="+", choices=list(SHAPES), default=[name for name in SHAPES if name != "tiny"])
    parser.add_argument("--card", type=float, help="gigabytes of the card that this process may have")
    asked = parser.parse_args(words)
    machine = Machine(*hardware())
    if not machine.card and asked.model != ["tiny"]:
        print("Skipped: torch finds no CUDA card here. `--model tiny` takes the same road without one.")
        return
    if machine.card and asked.card:
        machine.limit(asked.card * 1e9)
    rate = machine.rate()
    name = torch.cuda.get_device_name() if machine.card else machine.device
    cap = f", {asked.card:g} GB of it" if machine.card and asked.card else ""
    print(
        f"{name}{cap}: {rate / 1e12:.2f} TFLOP/s in a product of {machine.compute}; torch {torch.__version__}, Python {sys.version.split()[0]}"
    )
    for model in asked.model:
        measure(model, machine, rate)


if __name__ == "__main__":
    main()
