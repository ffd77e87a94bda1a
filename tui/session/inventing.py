"""Values that the base makes up for free-text attributes, after those of the examples: without them every candidate is about something that an
example is about. Knows no Textual."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from core.config import Sampling
from core.errors import FlavorError
from core.gauges.breakdown import flags
from core.protocol import Candidate as Arrived
from core.runfiles import BASE
from core.task import Segment, Task
from core.text import clean, words
from dataset.rows import KEPT, Example
from dataset.store import Store
from tui.session.ways import FARTHEST, LATELY, Tally

if TYPE_CHECKING:
    from core.client import WorkerClient
    from tui.session.workspace import Workspace

LEAST = 4
"""Different values of written examples, with fewer of which a base does not see what is wanted."""
LISTED = 6
"""Of these, in a prompt."""
AT_ONCE = 8
"""Made up in one batch."""
MOST_TOKENS = 96
ALIKE = 0.5
"""Share of its words of `LONG` letters or more that one that there is may have."""
LONG = 4

MOST = 2.0
"""Times as many as `invent` says come where they are the ones that are kept."""
DOUBT = 4
"""Decisions, half of them kept, that are taken for made before the first."""

Values = dict[str, str]
"""Of the free-text attributes of a task, by name."""


def free_names(task: Task) -> list[str]:
    """The attributes that a person writes freely."""
    return [field.name for field in task.fields if not field.choices()]


def listing(task: Task, known: Sequence[Values]) -> list[Segment]:
    """A prompt that lists values and ends where the next ones begin. The headings between them are what a made-up one ends at."""
    heading = f"## {task.attributes_heading}\n\n"
    blocks = "".join(f"{heading}{_lines(values)}\n\n" for values in known)
    return [(f"# {task.heading}\n\n{blocks}{heading}{free_names(task)[0]}:", 0.0)]


def _lines(values: Values) -> str:
    return "\n".join(f"{name}: {value}" for name, value in values.items())


def parsed(task: Task, text: str) -> Values:
    """What the base wrote after a `listing`, as values; empty where it is none."""
    first, *rest = clean(text).strip().split("\n")
    found = {free_names(task)[0]: first}
    for each in rest:
        name, colon, value = each.partition(":")
        if not colon or name in found:
            return {}
        found[name] = value
    try:
        return task.check(found) if all(value.strip() for value in found.values()) else {}
    except FlavorError:
        return {}


def tallies(store: Store) -> dict[bool, Tally]:
    """What was kept lately of what was made up (True), and of the others that checkpoints wrote."""
    found = {True: Tally(), False: Tally()}
    for decision in islice(reversed(store.decisions.values()), FARTHEST):
        candidate = store.candidates.get(decision.candidate)
        batch = store.batches.get(candidate.batch) if candidate else None
        if decision.verdict == "skip" or candidate is None or candidate.checkpoint == BASE or batch is None:
            continue
        tally = found[candidate.index in batch.invented]
        if tally.decided < LATELY:
            tally.decided += 1
            tally.kept += decision.verdict in KEPT
    return found


def share_of(invent: float, kept: Mapping[bool, Tally]) -> float:
    """The share of a batch that is to be made up: `invent`, times what is kept of such texts over what is kept of the others. Ones that nobody
    keeps come ever more rarely, but come."""
    made, drawn = ((tally.kept + DOUBT / 2) / (tally.decided + DOUBT) for tally in (kept[True], kept[False]))
    return min(1.0, invent * min(MOST, made / drawn))


class Inventor:
    """Makes values up ahead of need, and gives them out."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._ready: list[Values] = []
        self._made: list[Values] = []
        """All of this session: none comes twice."""
        self._vain = 0
        """The number of examples with which nothing came that would do."""

    async def put_in(
        self,
        worker: WorkerClient,
        drawn: list[Values],
        fixed: Mapping[str, str],
        settings: Sampling,
        examples: Sequence[Example],
        seed: int,
    ) -> list[int]:
        """Put made-up values in place of free-text ones in a share of `drawn` (`share_of`); which ones. None where the person fixed such an
        attribute, or has written too few."""
        task = self._workspace.task
        names = free_names(task)
        rng = random.Random(f"invent {seed}")
        if not settings.invent or not names or any(name in fixed for name in names):
            return []
        count = int(share_of(settings.invent, tallies(self._workspace.store)) * len(drawn) + rng.random())
        if len(self._ready) < count:
            await self._refill(worker, settings, examples, seed)
        places = sorted(rng.sample(range(len(drawn)), min(count, len(self._ready))))
        for place in places:
            drawn[place] = task.only({**{n: v for n, v in drawn[place].items() if n not in names}, **self._ready.pop(0)})
        return places

    async def _refill(self, worker: WorkerClient, settings: Sampling, examples: Sequence[Example], seed: int) -> None:
        task = self._workspace.task
        names = free_names(task)
        known = [values for each in examples if (values := {n: each.fields[n] for n in names if each.fields.get(n)})]
        listed = [{n: each.fields[n] for n in names} for each in examples if each.human and all(each.fields.get(n) for n in names)]
        listed = list({_lines(values): values for values in listed}.values())
        if len(listed) < LEAST or self._vain == len(examples):
            return
        prompts = [listing(task, random.Random(f"{seed} {n}").sample(listed, min(LISTED, len(listed)))) for n in range(AT_ONCE)]
        settings = msgspec.structs.replace(settings, max_tokens=min(MOST_TOKENS, max(len(_lines(values)) for values in listed) // 2 + 8))
        seeds = [seed + n for n in range(AT_ONCE)]
        texts = [each.text for each in examples]
        before = len(self._made)
        async for event in worker.sample(None, prompts, seeds, settings, texts):
            if isinstance(event, Arrived) and event.finish == "stop":
                values = parsed(task, event.text)
                if (
                    list(values) == names
                    and self._will_do(values, listed)
                    and not any(_alike(values, each) for each in [*known, *self._made])
                ):
                    self._made.append(values)
                    self._ready.append(values)
        self._vain = len(examples) if len(self._made) == before else 0

    def _will_do(self, values: Values, listed: Sequence[Values]) -> bool:
        """Whether each is as long as such values are, and did not break down."""
        return not any(flags(value, "stop", [len(words(each[name])) for each in listed]) for name, value in values.items())


def _alike(one: Values, other: Values) -> bool:
    """Whether two say much the same."""
    if [value.casefold() for value in one.values()] == [value.casefold() for value in other.values()]:
        return True
    own, others = ({word for value in values.values() for word in words(value) if len(word) >= LONG} for values in (one, other))
    return bool(own) and len(own & others) > ALIKE * len(own)
