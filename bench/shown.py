"""What guidance and examples in the prompt bring: `python -m bench.shown [--task checks ...] [--count 24]`.

An adapter is trained on the twelve written rows of a task; of its epochs the one with the lowest loss on rows that nothing is trained on
writes texts for prompts of those rows, with and without guidance and shown examples, on the same seeds. The judge of the evening
bench decides. One seed, so a difference of four texts in 24 is noise.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import torch

from bench import cases
from bench.cases import Case, Try
from bench.contenders import engine
from core.config import Sampling, Training
from core.encoding import Curriculum, encode_row
from core.evaluation import mean, measure_rows
from core.protocol import Row
from core.sampling import Text
from core.task import Segment
from core.training import EpochDone, train
from dataset.rows import Parsed

EPOCHS, SEED, BATCH = 6, 1, 8
WAYS = [(0, 0.0), (0, 1.0), (3, 0.0), (3, 1.0)]
"""Examples shown, and guidance."""


def loss(made: Any, rows: Sequence[Row]) -> float:
    """Nats a token of the rows' texts."""
    base = made._base
    made._forms.train()
    base.model.eval()
    found = []
    for part in measure_rows(base.model, [encode_row(base.tokenizer, row, 1.0) for row in rows], base.tokenizer.eos_token_id):
        found += part
    return mean(found)


def bake(made: Any, case: Case) -> list[float]:
    """Train on the written rows and leave the best epoch in the model; the losses of all of them."""
    forms, task, settings = made._forms, case.task, Training()
    rows = [Row(str(at), task.segments(fields), text, fields=fields) for at, (text, fields) in enumerate(case.written)]
    unseen = [Row(str(at), task.segments(fields), text) for at, (text, fields) in enumerate(case.measured)]
    forms.fresh_adapter(SEED)
    forms.train()
    curriculum = Curriculum(made._base.tokenizer, rows, settings, task, SEED)
    losses: list[float] = []
    best: list[torch.Tensor] = []
    loop = train(made._base.model, forms.parameters(), curriculum, settings, epochs=EPOCHS, peak=settings.learning_rate, seed=SEED)
    for event in loop:
        if isinstance(event, EpochDone):
            losses.append(loss(made, unseen))
            if losses[-1] == min(losses):
                best = [tensor.detach().clone() for tensor in forms.parameters()]
            forms.train()
            made._base.model.train()
    with torch.no_grad():
        for tensor, kept in zip(forms.parameters(), best, strict=True):
            tensor.copy_(kept)
    return losses


def beginning(case: Case, rows: Sequence[Parsed], count: int, seed: int) -> list[Segment]:
    """Examples before a prompt, as a session shows them."""
    chosen = random.Random(seed).sample(list(rows), min(count, len(rows)))
    return [part for text, fields in chosen for part in (*case.task.segments(fields), (text + "\n\n", 0.0))]


def texts(made: Any, case: Case, asked: Sequence[Mapping[str, str]], shown: int = 0, guidance: float = 0.0) -> list[Try]:
    """What the adapter in the model writes for these values."""
    cut = cases.token_ends()
    settings = msgspec.structs.replace(Sampling(), guidance=guidance, max_tokens=2 * max(len(cut(text)) for text, _ in case.written))
    made._sampler.learn_examples([text for text, _ in case.written], settings)
    made._forms.sample(True, "bench")
    found = []
    for start in range(0, len(asked), BATCH):
        some = asked[start : start + BATCH]
        before = beginning(case, case.written, shown, SEED + start)
        prompts = [before + case.task.segments(fields) for fields in some]
        without = [before + case.task.segments({}) for _ in some]
        free = [value for fields in some for value in fields.values()]
        seeds = list(range(1000 * SEED + start, 1000 * SEED + start + len(some)))
        done = {text.index: text for text in made._sampler.sample(prompts, seeds, settings, free, without) if isinstance(text, Text)}
        found += [Try(done[at].text, dict(fields), done[at].finish == "stop", free) for at, fields in enumerate(some)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", nargs="+", choices=cases.SOURCES, default=list(cases.SOURCES))
    parser.add_argument("--count", type=int, default=24)
    args = parser.parse_args()
    made = engine(four_bit=True)
    print(
        "| task | loss of the epoch | examples shown | guidance | accepted | form | subject | attributes |\n|---|---|---|---|---|---|---|---|"
    )
    for name in args.task:
        case = cases.load(name)
        best = min(bake(made, case))
        asked = [case.held_out[at % len(case.held_out)][1] for at in range(args.count)]
        for shown, guidance in WAYS:
            judged = cases.assess(case, texts(made, case, asked, shown, guidance), [text for text, _ in case.written], cases.token_ends())
            passed = [sum(each not in one.failed for one in judged) for each in ("form", "subject", "attributes")]
            counts = " | ".join(f"{count} of {len(judged)}" for count in (sum(not one.failed for one in judged), *passed))
            print(f"| {name} | {best:.3f} | {shown} | {guidance:g} | {counts} |", flush=True)


if __name__ == "__main__":
    main()
