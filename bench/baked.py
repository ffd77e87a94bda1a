"""What the benches of training and sampling share: an adapter trained as a run's refit, the loss of unseen rows with it, what it writes for values as a
session draws them or for those of unseen rows, and the judge's word on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bench import cases
from bench.cases import Case, Try
from bench.results import Judged
from core.config import Sampling, Training
from core.protocol import Row
from core.task import Task
from core.worker.encoding import Curriculum, encode_row
from core.worker.evaluation import mean, measure_rows
from core.worker.sampling import Text
from core.worker.training import StepDone, train
from dataset.rows import Example
from tui.session.shown import few_shot, nearest

SEED, BATCH = 1, 8
DRAWN = 5000
"""The first seed of the values that are drawn for texts to be judged."""


def refit(made: Any, rows: Sequence[Row], task: Task, training: Training, seed: int, rate: float, steps: int, slow: float) -> None:
    """Leave the adapter in the model that a run would have after so many steps on all its rows."""
    base, forms = made._base, made._forms
    forms.fresh_adapter(seed)
    forms.train()
    curriculum = Curriculum(base.tokenizer, rows, training, task, seed)
    loop = train(
        base.model, forms.parameters(), curriculum, training, epochs=steps, peak=rate, seed=seed, planned=steps, slow_end=slow,
    )  # fmt: skip
    for event in loop:
        if isinstance(event, StepDone) and event.step == steps:
            break
    loop.close()
    forms._state = ""  # the fast form may hold casts of the adapter before


def loss(made: Any, rows: Sequence[Row]) -> float:
    """Nats a token of the rows' texts."""
    base = made._base
    made._forms.train()
    base.model.eval()
    found = []
    for part in measure_rows(base.model, [encode_row(base.tokenizer, row, 1.0) for row in rows], base.tokenizer.eos_token_id):
        found += part
    return mean(found)


def texts(
    made: Any, case: Case, asked: Sequence[Mapping[str, str]], trained: Sequence[str], *, examples: Sequence[Example] = (), shown: int = 0,
    by_chance: bool = False, guidance: float = 0.0, from_none: bool = False, temperature: float = 1.0,
) -> list[Try]:  # fmt: skip
    """What the adapter in the model writes for these values; it learned the texts `trained`. `shown` of the `examples` stand before the prompt:
    those most like what is asked for, or such as are drawn `by_chance`. Guidance leads away from other values, or `from_none`."""
    cut = cases.token_ends()
    longest = max(len(cut(text)) for text, _ in case.written)
    settings = msgspec.structs.replace(Sampling(), guidance=guidance, temperature=temperature, max_tokens=2 * longest)
    made._sampler.learn_examples(list(trained), settings)
    made._forms.sample(True, "bench")
    found = []
    for start in range(0, len(asked), BATCH):
        some = asked[start : start + BATCH]
        seeds = list(range(1000 * SEED + start, 1000 * SEED + start + len(some)))
        same = few_shot(case.task, examples, shown, SEED + start)
        own = [nearest(case.task, examples, shown, seed, fields) if shown else [] for seed, fields in zip(seeds, some, strict=True)]
        before = [same] * len(some) if by_chance else own
        prompts = [first + case.task.segments(fields) for first, fields in zip(before, some, strict=True)]
        others = [{} if from_none else case.task.others(fields, seed) for seed, fields in zip(seeds, some, strict=True)]
        without = [first + case.task.segments(values) for first, values in zip(before, others, strict=True)]
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
    tries = texts(made, case, asked, trained)
    made._forms._state = ""  # the fast form holds casts of this adapter
    return cases.assess(case, tries, trained, cases.token_ends())
