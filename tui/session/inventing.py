"""Values that the base makes up for free-text attributes, after those of the examples: without them every candidate is about something that an
example is about. Knows no Textual."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import msgspec

from core.config import Sampling
from core.errors import FlavorError
from core.gauges.breakdown import flags
from core.protocol import Candidate as Arrived
from core.task import Segment, Task
from core.text import clean, words
from dataset.rows import Example
from dataset.store import Store
from tui.session.ways import Tally, tallied

if TYPE_CHECKING:
    from core.client import WorkerClient
    from tui.session.workspace import Workspace

LEAST = 4
"""Different values of a person's own examples, with fewer of which a base does not see what is wanted."""
LISTED = 6
"""Of these, in a prompt."""
SOUGHT = 500
"""Of the examples, drawn by chance, so many are listed from, and are what a new one must not be too much like."""
AT_ONCE = 8
"""Made up in one batch, or as many as a batch of candidates has."""
MOST_TOKENS = 256
ALIKE = 0.5
"""Share of its words that one that there is may have."""
TRIES = 2
"""Batches in vain, after which the base is left alone until there are other examples."""
MOST = 2.0
"""Times as many as `invent` says come where they are the ones that are kept."""
DOUBT = 4
"""Decisions that are taken for made before the first."""

Values = dict[str, str]
"""Of the free-text attributes of a task, by name."""


def _free(task: Task, fields: Mapping[str, str]) -> Values:
    return {name: fields[name] for name in task.free_names if fields.get(name)}


def _lines(values: Values) -> str:
    return "\n".join(f"{name}: {value}" for name, value in values.items())


def listing(task: Task, known: Sequence[Values]) -> list[Segment]:
    """A prompt that lists values and ends where the next ones begin. The headings between them are what made-up ones end at."""
    heading = f"## {task.attributes_heading}\n\n"
    blocks = "".join(f"{heading}{_lines(values)}\n\n" for values in known)
    return [(f"# {task.heading}\n\n{blocks}{heading}{task.free_names[0]}:", 0.0)]


def parsed(task: Task, text: str) -> Values:
    """What the base wrote after a `listing`, as values; empty where it is none."""
    first, *rest = clean(text).strip().split("\n")
    found = [(task.free_names[0], first), *((name, value) for name, _, value in (each.partition(":") for each in rest))]
    if len({name.casefold() for name, _ in found}) < len(found) or not all(value.strip() for _, value in found):
        return {}
    try:
        return task.check(dict(found))
    except FlavorError:
        return {}


def spread(task: Task, drawn: list[Values], made_up: Sequence[Values], seed: int) -> list[int]:
    """Put made-up values in the place of drawn free-text ones, here and there; where."""
    names = task.free_names
    places = sorted(random.Random(f"spread {seed}").sample(range(len(drawn)), len(made_up)))
    for place, values in zip(places, made_up, strict=True):
        drawn[place] = task.only({**{name: value for name, value in drawn[place].items() if name not in names}, **values})
    return places


def kept(store: Store) -> dict[bool, Tally]:
    """What was kept lately of what was made up (True), and of the others that checkpoints wrote."""
    return tallied(store, (True, False), lambda candidate, batch: candidate.index in batch.invented)


def share_of(invent: float, tallies: Mapping[bool, Tally]) -> float:
    """The share of a batch that is to be made up: `invent`, times what is kept of such texts over what is kept of the others; of ones of which
    little is known that is taken to be as much. Ones that nobody keeps come ever more rarely, but come."""
    made_up, others = tallies[True], tallies[False]
    usual = (others.kept + DOUBT / 2) / (others.decided + DOUBT)
    own = (made_up.kept + DOUBT * usual) / (made_up.decided + DOUBT)
    return min(1.0, invent * min(MOST, own / usual))


class _Known:
    """The examples as what is made up is held against them. Built in a moment, which is too long for behind a key."""

    def __init__(self, task: Task, examples: Sequence[Example], seed: int) -> None:
        some = random.Random(seed).sample(examples, min(SOUGHT, len(examples)))
        own = [values for each in some if each.human and (values := _free(task, each.fields)).get(task.free_names[0])]
        self.listed = list({_lines(values): values for values in own}.values())
        self.lengths = {name: [len(words(values[name])) for values in self.listed if name in values] for name in task.free_names}
        self.all = {_same(_free(task, each.fields)) for each in examples}
        self._said = [content(_free(task, each.fields)) for each in some]

    def has(self, values: Values) -> bool:
        """Whether an example is about just this."""
        return _same(values) in self.all

    def will_do(self, values: Values, made_up: Sequence[set[str]]) -> bool:
        """Whether these are complete, as long as such values are, did not break down, and say what neither an example nor anything `made_up`
        says, of which the words are given."""
        if list(values) not in [list(each) for each in self.listed] or self.has(values):
            return False
        if any(flags(value, "stop", self.lengths[name]) or _stutters(value) for name, value in values.items()):
            return False
        own = content(values)
        return not any(len(own & other) > ALIKE * len(own) for other in chain(self._said, made_up))


def _stutters(value: str) -> bool:
    """Whether a word stands twice in a row."""
    found = words(value)
    return any(len(one) > 1 and one == other for one, other in pairwise(found))


def _same(values: Values) -> tuple[str, ...]:
    return tuple(value.casefold() for value in values.values())


def content(values: Values) -> set[str]:
    """Its long words; where there are none, shorter ones."""
    found = {word for value in values.values() for word in words(value)}
    return next((some for least in (4, 3) if (some := {word for word in found if len(word) >= least})), found)


class Inventor:
    """Has the base make values up ahead of need, and gives them out."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._stock: list[Values] = []
        self._before: list[set[str]] | None = None
        """The words of all that was ever made up: nothing comes twice. None: not looked up yet."""
        self._known: _Known | None = None
        self._known_of = 0
        """The line of the journal that last changed an example before `_known` was made."""
        self._vain = 0
        """Batches in which nothing came that would do, with these examples."""

    async def values(self, worker: WorkerClient, count: int, fixed: Mapping[str, str], settings: Sampling, seed: int) -> list[Values]:
        """Made-up values for some of `count` candidates; `spent` says that they were used. None where the person fixed such an attribute, or has
        written too few examples that have the first one. Raises FlavorError where the worker died."""
        names = self._workspace.task.free_names
        if not settings.invent or not names or any(name in fixed for name in names):
            return []
        share = share_of(settings.invent, kept(self._workspace.store))
        wanted = min(count, int(share * count + random.Random(f"share {seed}").random()))
        if wanted:
            await self._look(seed)
            size = min(AT_ONCE, settings.batch)
            for number in range(1 + math.ceil(wanted / size)):
                if len(self._stock) < wanted and self._vain < TRIES:
                    await self._make(worker, size, settings, seed + number * size)
        return self._stock[:wanted]

    def spent(self, values: Sequence[Values]) -> None:
        """These stand in a batch that was recorded."""
        self._stock = [each for each in self._stock if each not in values]

    async def _look(self, seed: int) -> None:
        """See what examples there are now. What waits and has become one of them is let go."""
        store, task = self._workspace.store, self._workspace.task
        now = store.examples_seq
        if self._known is None or self._known_of != now:
            examples = list(store.examples.values())
            self._known = await asyncio.to_thread(_Known, task, examples, seed)
            self._known_of, self._vain = now, 0
            self._stock = [values for values in self._stock if not self._known.has(values)]
        if self._before is None:
            some = [(each, store.batches.get(each.batch)) for each in store.candidates.values()]
            self._before = [content(_free(task, each.fields)) for each, batch in some if batch and each.index in batch.invented]

    async def _make(self, worker: WorkerClient, size: int, settings: Sampling, seed: int) -> None:
        """A batch of them. One that fails is in vain, unless the worker died: candidates can do without."""
        assert self._known is not None and self._before is not None
        known, task, before = self._known, self._workspace.task, len(self._before)
        if len(known.listed) < LEAST:
            self._vain = TRIES
            return
        lists = [random.Random(f"list {seed} {n}").sample(known.listed, min(LISTED, len(known.listed))) for n in range(size)]
        longest = max(len(_lines(values).encode()) for values in known.listed)
        settings = msgspec.structs.replace(settings, max_tokens=min(MOST_TOKENS, longest // 2 + 8), end_ramp=0.0, guidance=0.0)
        texts = [each.text for each in self._workspace.store.examples.values()]  # as the worker has them already
        try:
            async for event in worker.sample(
                None, [listing(task, each) for each in lists], [seed + n for n in range(size)], settings, texts
            ):
                if isinstance(event, Arrived) and event.finish == "stop":
                    values = parsed(task, event.text)
                    if values and known.will_do(values, self._before):
                        self._before.append(content(values))
                        self._stock.append(values)
        except FlavorError as error:
            if error.kind == "worker":
                raise
        self._vain = self._vain + 1 if len(self._before) == before else 0
