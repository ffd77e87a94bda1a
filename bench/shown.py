"""What guidance and examples in the prompt bring: `python -m bench.shown [--task checks ...] [--count 64]`.

An adapter is trained on the twelve written rows of a task; of its epochs the one with the lowest loss on rows that nothing is trained on
writes texts for values as a session draws them: by itself, with guidance, with three examples before the prompt (drawn by chance, or those
most like what is asked for, as the program does it), on the same seeds. The judge of the evening bench decides. One seed: of 64 texts a
difference of eight is noise.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import torch

from bench import cases
from bench.cases import Case, Try
from bench.contenders import engine
from bench.results import Judged
from core.config import Sampling, Training
from core.protocol import Row
from core.worker.encoding import Curriculum, encode_row
from core.worker.evaluation import mean, measure_rows
from core.worker.sampling import Text
from core.worker.training import EpochDone, train
from dataset.rows import Example
from tui.session.shown import few_shot, nearest

EPOCHS, SEED, BATCH = 6, 1, 8
BY_CHANCE = "3 shown, by chance"
WAYS = (("alone", 0, 0.0), ("guidance 1", 0, 1.0), (BY_CHANCE, 3, 0.0), ("3 shown, the nearest", 3, 0.0))
"""A name, examples shown, and guidance."""
DRAWN = 5000
"""The first seed of the values that are drawn for texts to be judged."""


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


def texts(
    made: Any, case: Case, asked: Sequence[Mapping[str, str]], way: str = "", shown: int = 0, guidance: float = 0.0,
    trained: Sequence[str] = (),
) -> list[Try]:  # fmt: skip
    """What the adapter in the model writes for these values; it learned the texts `trained`, else the written ones."""
    cut = cases.token_ends()
    settings = msgspec.structs.replace(Sampling(), guidance=guidance, max_tokens=2 * max(len(cut(text)) for text, _ in case.written))
    made._sampler.learn_examples(trained or [text for text, _ in case.written], settings)
    made._forms.sample(True, "bench")
    examples = [Example(str(at), text, fields, "written", "") for at, (text, fields) in enumerate(case.written)]
    found = []
    for start in range(0, len(asked), BATCH):
        some = asked[start : start + BATCH]
        seeds = list(range(1000 * SEED + start, 1000 * SEED + start + len(some)))
        same = few_shot(case.task, examples, shown, SEED + start)
        own = [nearest(case.task, examples, shown, seed, fields) if shown else [] for seed, fields in zip(seeds, some, strict=True)]
        before = [same] * len(some) if way == BY_CHANCE else own
        prompts = [first + case.task.segments(fields) for first, fields in zip(before, some, strict=True)]
        without = [case.task.segments({}) for _ in some]
        free = [value for fields in some for value in fields.values()]
        done = {text.index: text for text in made._sampler.sample(prompts, seeds, settings, free, without) if isinstance(text, Text)}
        found += [Try(done[at].text, dict(fields), done[at].finish == "stop", free) for at, fields in enumerate(some)]
    return found


def drawn(case: Case, known: Sequence[Mapping[str, str]], count: int) -> list[dict[str, str]]:
    """Values for `count` texts, as a session with examples of the fields `known` draws them."""
    batches = [range(DRAWN + start, DRAWN + min(start + BATCH, count)) for start in range(0, count, BATCH)]
    return [values for seeds in batches for values in case.task.draw({}, known, seeds)]


def unseen(case: Case, count: int) -> list[dict[str, str]]:
    """Values for `count` texts from rows that nothing is trained on, in turn: there are some two dozen, so they come several times, and the judge
    holds each text against those accepted before it."""
    return [case.held_out[at % len(case.held_out)][1] for at in range(count)]


def alone(made: Any, case: Case, asked: Sequence[Mapping[str, str]], trained: Sequence[str]) -> list[Judged]:
    """The judge's word on a text for each of these values, written by the adapter in the model by itself; it learned the texts `trained`."""
    tries = texts(made, case, asked, trained=trained)
    made._forms._state = ""  # the fast form holds casts of this adapter
    return cases.assess(case, tries, trained, cases.token_ends())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", nargs="+", choices=cases.SOURCES, default=list(cases.SOURCES))
    parser.add_argument("--count", type=int, default=64)
    args = parser.parse_args()
    made = engine(four_bit=True)
    print(
        "| task | loss of the epoch | sampled | accepted | form | subject | attributes | new | seconds |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name in args.task:
        case = cases.load(name)
        best = min(bake(made, case))
        asked = case.task.draw({}, [fields for _, fields in case.written], range(args.count))
        for way, shown, guidance in WAYS:
            began = time.perf_counter()
            tries = texts(made, case, asked, way, shown, guidance)
            spent = time.perf_counter() - began
            judged = cases.assess(case, tries, [text for text, _ in case.written], cases.token_ends())
            passed = [sum(each not in one.failed for one in judged) for each in ("form", "subject", "attributes", "new")]
            counts = " | ".join(str(count) for count in (sum(not one.failed for one in judged), *passed))
            print(f"| {name} | {best:.3f} | {way} | {counts} | {spent:.0f} |", flush=True)


if __name__ == "__main__":
    main()
