"""Where the time of a token and of a training step goes: `python -m bench.profile sampling|training`, by torch's own profiler.

Prints shares of the time on the processor by kind of operation, for 16 texts at once, or a batch of two rows of the demo.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import torch
from torch.profiler import ProfilerActivity, profile

from bench.contenders import RANK, ROWS, engine, noise, prompts_of, rows_of
from core.config import Sampling, Training, template
from core.worker.encoding import Curriculum
from core.worker.forms import Group
from core.worker.training import token_losses

TEXTS, STEPS = 16, 24
SHOWN = 12
VOCABULARY = 49152
"""Words of the starter's."""


def sampling() -> Callable[[], None]:
    """The steps after the prompts are read. The packed product is no operation of torch's, so it is named here."""
    made = engine(True)
    noise(made._forms.parameters())
    whole = Group.product

    def named(group: Group, strength: float | None):  # type: ignore[no-untyped-def]  # noqa: ANN202
        product, views = whole(group, strength)

        def work(x: torch.Tensor) -> torch.Tensor:
            with torch.profiler.record_function("packed weights, and the adapter's calls"):
                return product(x)

        return work, views

    Group.product = named  # type: ignore[assignment, method-assign]
    made._forms.sample(True, "bench")
    sampler, rows = made._sampler, prompts_of(TEXTS)
    sampler.learn_examples([row.text for row in rows_of(ROWS)[0]], Sampling())
    sampler.end = 0
    events = sampler.sample([row.prompt for row in rows], list(range(TEXTS)), Sampling(max_tokens=2 * STEPS))

    def work() -> None:
        with suppress(StopIteration):
            for _ in range(STEPS):
                next(events)

    next(events)
    next(events)
    return work


def training() -> Callable[[], None]:
    made = engine(True)
    base, forms = made._base, made._forms
    forms.fresh_adapter(1)
    forms.train()
    rows = Curriculum(base.tokenizer, rows_of(ROWS)[0], Training(), template("alien-empires"), 1).epoch(1)
    base.model.train()

    def work() -> None:
        for start in range(0, 6, 2):
            batch = rows[start : start + 2]
            losses, weights = token_losses(base.model, batch, [row.weights for row in batch], spare=True)
            (losses * weights).sum().backward()

    work()
    return work


def kind_of(operation: str, shapes: Sequence[Sequence[int]]) -> str:
    """An operation's name; of a product, what it multiplies by, as its narrowest and its widest side tell."""
    name = operation.removeprefix("aten::").rstrip("_")
    sides = [side for shape in shapes for side in shape if side > 1]
    if name not in ("mm", "addmm") or not sides:
        return name
    if max(sides) == VOCABULARY:
        return f"{name}, output matrix"
    return f"{name}, adapter" if min(sides) <= 4 * RANK else f"{name}, frozen weights"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["sampling", "training"])
    work = sampling() if parser.parse_args().what == "sampling" else training()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as found:
        work()
    spent: Counter[str] = Counter()
    for event in found.key_averages(group_by_input_shape=True):
        spent[kind_of(event.key, event.input_shapes)] += event.self_cpu_time_total
    whole = sum(spent.values())
    print("| operation | share |\n|---|---|")
    for name, time in spent.most_common(SHOWN):
        print(f"| `{name}` | {time / whole:.0%} |")


if __name__ == "__main__":
    main()
