"""Other tools' shipped defaults as hyper-parameters, through plain peft on the same 4-bit base, measured and sampled as ours is.

Read in the tools' sources: text-generation-webui 1dcde41 (modules/training.py), LLaMA-Factory ff6d4d1 (webui/components/train.py),
mlx-lm d78bf58 (lora.py, tuner/trainer.py). `python -m bench.peers` carries out one job, given on its standard input.
"""

from __future__ import annotations

import math
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from bench import cases
from bench.cases import Case, Try
from bench.results import Evening, Given, Peer
from core.config import Model, Sampling
from core.protocol import Row
from core.task import Segment

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from core.worker.encoding import Encoded
    from core.worker.model import Base

LOOKS = 5
"""How often the held-out loss is measured on the way, its end included."""


@dataclass(frozen=True)
class Recipe:
    """A tool's defaults. All of them: AdamW (mlx-lm: Adam, the same without decay), 16-bit computing, r 8, every linear layer, no dropout."""

    batch: int
    micro: int
    rate: float
    alpha: int = 16
    r: int = 8
    epochs: int = 0
    iterations: int = 0
    warmup: int = 0
    cosine: bool = False
    layers: int = 0
    """Only so many of the last layers; 0: all."""
    whole_row: bool = False
    """The loss counts the prompt as well."""
    clip: float = 1.0
    by_length: bool = False
    """Batches are neighbours in length, and the longest rows that fill none are dropped."""

    def steps(self, rows: int) -> int:
        """Updates on so many rows."""
        return self.iterations or math.ceil(rows / self.batch) * self.epochs

    def rate_at(self, step: int, steps: int) -> float:
        """The learning rate of update `step`, from 0 on."""
        if step < self.warmup:
            return self.rate * step / self.warmup
        if not self.cosine:
            return self.rate
        return self.rate * (1 + math.cos(math.pi * (step - self.warmup) / max(1, steps - self.warmup))) / 2


RECIPES = {
    "text-generation-webui": Recipe(batch=32, micro=4, rate=3e-4, epochs=3, warmup=13, cosine=True),
    "LLaMA-Factory": Recipe(batch=16, micro=2, rate=5e-5, epochs=3, cosine=True),
    # Its scale of 20 is peft's alpha / r.
    "mlx-lm": Recipe(batch=4, micro=4, rate=1e-5, alpha=160, iterations=1000, layers=16, whole_row=True, clip=math.inf, by_length=True),
}


class Job(msgspec.Struct, frozen=True):
    tool: str
    rows: list[Row]
    held_out: list[Row]
    prompts: list[list[list[Segment]]]
    seeds: list[list[int]]
    free: list[list[str]]
    settings: Sampling
    budget: float
    seed: int


class Done(msgspec.Struct, frozen=True):
    """`losses` is the held-out loss by update; `texts` holds text, finish (stop or length) and whether it was cut at a new heading."""

    steps: int
    planned: int
    losses: list[tuple[int, float]]
    texts: list[tuple[str, str, bool]]
    seconds: dict[str, float]


def run(tool: str, given: Given, case: Case, evening: Evening, budget: float) -> Peer:
    """Train and sample with a tool's defaults in a process of its own, and judge what came of it."""
    held = [Row(str(at), case.task.segments(fields), text) for at, (text, fields) in enumerate(case.measured)]
    job = Job(tool, given.rows, held, given.prompts, given.seeds, given.free, evening.settings, budget, evening.seed)
    done = subprocess.run([sys.executable, "-m", "bench.peers"], input=msgspec.json.encode(job), capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{tool} failed:\n{done.stderr.decode()[-2000:]}")
    found = msgspec.json.decode(done.stdout.splitlines()[-1], type=Done)
    fields = [values for batch in given.fields for values in batch]
    free = [texts for batch, texts in zip(given.seeds, given.free, strict=True) for _ in batch]
    tries = [Try(t, v, f == "stop" and not cut, x) for (t, f, cut), v, x in zip(found.texts, fields, free, strict=True)]
    judged = cases.assess(case, tries, [row.text for row in given.rows], cases.token_ends())
    return Peer(
        texts=judged, held_out=min(loss for _, loss in found.losses), seconds=found.seconds, tool=tool, rows=len(given.rows),
        after=given.after, steps=found.steps, planned=found.planned, last=found.losses[-1][1],
    )  # fmt: skip


# -- the process -----------------------------------------------------------------------------------------------------------


def load_base() -> Base:
    """The starter in 4 bits, as the program loads it, its linear layers then plain ones that hold the dequantised weights: the same
    numbers, and none of the layer's pitfalls on a CPU (see `core/worker/forms.py`)."""
    import torch
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit

    from core.worker.model import Base, load

    base = next(step for step in load("starter", "nf4", Model().calibrate) if isinstance(step, Base))
    for name, module in list(base.model.named_modules()):
        if isinstance(module, Linear4bit):
            plain = torch.nn.Linear(module.in_features, module.out_features, bias=module.bias is not None, device="meta")
            weight = dequantize_4bit(module.weight.data, module.weight.quant_state).to(base.compute)
            plain.weight = torch.nn.Parameter(weight, requires_grad=False)
            plain.bias = module.bias
            parent, _, leaf = name.rpartition(".")
            setattr(base.model.get_submodule(parent), leaf, plain)
    return base


def add_lora(base: Base, recipe: Recipe, seed: int) -> list[torch.Tensor]:
    """Plain peft. Returns what is trained."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    count = base.model.config.num_hidden_layers
    leaves = {name.rpartition(".")[2] for name, module in base.model.named_modules() if isinstance(module, torch.nn.Linear)}
    config = LoraConfig(
        r=recipe.r, lora_alpha=recipe.alpha, lora_dropout=0.0, target_modules=sorted(leaves - {"lm_head"}), task_type="CAUSAL_LM",
        layers_to_transform=list(range(count - recipe.layers, count)) if recipe.layers else None,
    )  # fmt: skip
    get_peft_model(base.model, config)
    return [parameter for parameter in base.model.parameters() if parameter.requires_grad]


def batches(recipe: Recipe, rows: Sequence[Encoded], seed: int) -> Iterator[list[Encoded]]:
    """Batches without end, epoch after epoch."""
    chance = random.Random(seed)
    order = sorted(rows, key=lambda row: len(row.ids)) if recipe.by_length else list(rows)
    while True:
        if not recipe.by_length:
            chance.shuffle(order)
        groups = [order[start : start + recipe.batch] for start in range(0, len(order), recipe.batch)]
        if recipe.by_length:
            groups = [group for group in groups if len(group) == recipe.batch]
            chance.shuffle(groups)
        yield from groups


def update(model: PreTrainedModel, recipe: Recipe, batch: Sequence[Encoded]) -> None:
    """The gradient of the mean loss over all tokens that count, in micro-batches."""
    from core.worker.training import token_losses

    weights = [[1.0 if recipe.whole_row or at >= row.start else 0.0 for at in range(len(row.ids))] for row in batch]
    mass = sum(sum(row[1:]) for row in weights)
    for start in range(0, len(batch), recipe.micro):
        losses, counted = token_losses(model, batch[start : start + recipe.micro], weights[start : start + recipe.micro])
        ((losses * counted).sum() / mass).backward()


def work(job: Job) -> Done:
    """Train until the recipe or the budget ends, measuring on the way; then sample."""
    import torch

    from core.worker.encoding import encode_row
    from core.worker.evaluation import mean, measure_rows

    recipe = RECIPES[job.tool]
    base = load_base()
    parameters = add_lora(base, recipe, job.seed)
    rows, held = ([encode_row(base.tokenizer, row, 1.0) for row in part] for part in (job.rows, job.held_out))
    planned, spent, began = recipe.steps(len(rows)), 0.0, time.perf_counter()
    optimiser = torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=0.0)
    losses: list[tuple[int, float]] = []
    steps = looked = 0
    for batch in batches(recipe, rows, job.seed):
        mark = time.perf_counter()
        base.model.train()
        update(base.model, recipe, batch)
        torch.nn.utils.clip_grad_norm_(parameters, recipe.clip)
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate_at(steps, planned)
        optimiser.step()
        optimiser.zero_grad()
        steps += 1
        spent += time.perf_counter() - mark
        share = min(1.0, max(steps / planned, spent / job.budget))
        if int(share * LOOKS) > looked:
            looked = int(share * LOOKS)
            base.model.eval()
            measures = [row for part in measure_rows(base.model, held, base.tokenizer.eos_token_id) for row in part]
            losses.append((steps, mean(measures)))
        if share == 1.0:
            break
    trained = time.perf_counter()
    texts = sample(base, job)
    return Done(
        steps, planned, losses, texts, {"train": spent, "measure": trained - began - spent, "sample": time.perf_counter() - trained}
    )


def sample(base: Base, job: Job) -> list[tuple[str, str, bool]]:
    """The same prompts, seeds and settings as ours, with the adapter as it is at the end."""
    from core.worker.sampling import Sampler, Text

    base.model.eval()
    sampler = Sampler(base.model, base.tokenizer)
    sampler.learn_examples([row.text for row in job.rows], job.settings)
    found: list[tuple[str, str, bool]] = []
    for prompts, seeds, free in zip(job.prompts, job.seeds, job.free, strict=True):
        texts: dict[int, Any] = {e.index: e for e in sampler.sample(prompts, seeds, job.settings, free) if isinstance(e, Text)}
        found += [(texts[at].text.strip(), texts[at].finish, texts[at].cut_at_heading) for at in range(len(prompts))]
    return found


if __name__ == "__main__":
    print(msgspec.json.encode(work(msgspec.json.decode(sys.stdin.buffer.read(), type=Job))).decode())
