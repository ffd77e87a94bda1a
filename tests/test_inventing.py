"""Attribute values that the base makes up: what it is asked, what of its answer will do, and which candidates get them."""

import msgspec
import pytest

from core import config
from core.protocol import Candidate as Arrived
from core.protocol import Loading, Sampled
from core.runfiles import BASE
from core.task import Field, Task
from dataset.rows import Candidate
from tests.made import bake
from tests.made import sample as waiting
from tests.test_choices import loaded
from tui.session.inventing import AT_ONCE, free_names, listing, parsed, share_of, tallies
from tui.session.session import Session
from tui.session.ways import Tally

TASK = Task("A Toast to a Machine", fields=(Field("Mood", "choice", ("Solemn", "Giddy")), Field("Machine"), Field("Owner")))
KNOWN = [("A loom", "A widow"), ("A steam press", "The daily paper"), ("A pump", "Nobody at all"), ("A tower clock", "The town")]


class Base:
    """In place of the worker: of a base it gives these answers, in turn; of a checkpoint a text."""

    def __init__(self, *answers):
        self.answers, self.asked = answers, []

    async def sample(self, folder, prompts, seeds, settings, *others):
        self.asked.append((folder, prompts, settings))
        yield Loading(id=1, stage="reading")
        for index, seed in enumerate(seeds):
            text = self.answers[index % len(self.answers)] if folder is None else f"text {seed}"
            yield Arrived(id=1, index=index, text=text, finish="length" if text.endswith("...") else "stop", tokens=3)
        yield Sampled(id=1, tokens=3, seconds=0.1, first_token=0.1)

    @property
    def lists(self):
        return [prompts for folder, prompts, _ in self.asked if folder is None]


@pytest.fixture
def session(tmp_path):
    config.create(tmp_path / "toasts", TASK)
    with Session(tmp_path / "toasts") as opened:
        for machine, owner in KNOWN:
            opened.write_example(f"To {machine.lower()}: may it never be thirsty.", {"Mood": "Giddy", "Machine": machine, "Owner": owner})
        checkpoint = bake(opened, [4.0, 3.4])
        opened.use(checkpoint)
        waiting(opened, checkpoint, [f"Some {n} wait." for n in range(opened.settings.sampling.keep_ready)])
        yield opened


def invent(session, share):
    session.settings = msgspec.structs.replace(
        session.settings, sampling=msgspec.structs.replace(session.settings.sampling, invent=share, vary=False)
    )


async def drawn(session, count=8, fixed=None, **options):
    return [each async for each in session.sample(count, fixed or {}, **options) if isinstance(each, Candidate)]


def test_the_base_is_shown_values_and_what_it_adds_is_read():
    assert free_names(TASK) == ["Machine", "Owner"]
    ((prompt, weight),) = listing(TASK, [{"Machine": "A loom", "Owner": "A widow"}])
    assert weight == 0 and prompt == (
        "# A Toast to a Machine\n\n## Attributes\n\nMachine: A loom\nOwner: A widow\n\n## Attributes\n\nMachine:"
    )
    assert parsed(TASK, " A  lift\nowner: The \x1b[31m bank\n") == {"Machine": "A lift", "Owner": "The ␛[31m bank"}
    assert parsed(TASK, "A lift") == {"Machine": "A lift"}
    for wrong in ("", "A lift\nby the bank", "A lift\nOwner:", "A lift\nSpeed: 3", "A lift\nOwner: a\nOwner: b", "x" * 501):
        assert parsed(TASK, wrong) == {}


async def test_some_candidates_are_about_what_the_base_made_up(session):
    invent(session, 0.5)
    session.worker, session.loaded = (
        Base(
            "A lift\nOwner: The bank",
            "A loom\nOwner: A widow",  # there already
            "A lift",  # without an owner
            "A steam press\nOwner: The daily paper of today",  # much the same
            "A #big #lie\nOwner: You",
            "A ferry engine\nOwner: Its captain...",  # never ended
            "A music box\nOwner: A child",
            "A lift\nOwner: The bank",  # once more
        ),
        loaded(),
    )
    made = await drawn(session)
    batch = session.store.batches[made[0].batch]
    new = [{"Machine": "A lift", "Owner": "The bank"}, {"Machine": "A music box", "Owner": "A child"}]
    assert len(batch.invented) == 2 and [{n: v for n, v in made[at].fields.items() if n != "Mood"} for at in batch.invented] == new
    assert all(candidate.fields["Mood"] in ("Solemn", "Giddy") for candidate in made)
    assert all(candidate.fields["Machine"] in dict(KNOWN) for at, candidate in enumerate(made) if at not in batch.invented)
    assert batch.prompts == [TASK.segments(candidate.fields) for candidate in made] and "The bank" in batch.free
    ((folder, prompts, settings), _) = session.worker.asked
    assert folder is None and len(prompts) == AT_ONCE and settings.max_tokens < 40
    assert all("Machine: A loom\nOwner: A widow" in text and text.endswith("## Attributes\n\nMachine:") for ((text, _),) in prompts)
    assert await session.candidates.reproduce(made[0].uid) == made[0].text


async def test_each_comes_once_and_a_base_that_makes_nothing_up_is_not_asked_again(session):
    invent(session, 0.5)
    session.worker, session.loaded = Base("A lift\nOwner: The bank"), loaded()
    assert [len(session.store.batches[(await drawn(session))[0].batch].invented) for _ in range(4)] == [1, 0, 0, 0]
    assert len(session.worker.lists) == 2  # the second time nothing new came
    session.write_example("To the mill.", {"Machine": "A mill", "Owner": "The wind"})
    await drawn(session)
    assert len(session.worker.lists) == 3


@pytest.mark.parametrize("why", ["few wait", "the base", "fixed", "off", "few examples"])
async def test_nothing_is_made_up_where_it_would_be_wrong(session, why):
    invent(session, 0.0 if why == "off" else 1.0)
    session.worker, session.loaded = Base("A lift\nOwner: The bank"), loaded()
    if why == "few wait":
        session.settings = msgspec.structs.replace(
            session.settings, sampling=msgspec.structs.replace(session.settings.sampling, keep_ready=100)
        )
    if why == "few examples":
        session.delete_example(next(iter(session.store.examples)))
    options = {"checkpoint": BASE, "few_shot": 0} if why == "the base" else {}
    made = await drawn(session, fixed={"Owner": "The town"} if why == "fixed" else {}, **options)
    assert len(made) == 8 and not any(batch.invented for batch in session.store.batches.values())
    assert not any(text[-8:] == "Machine:" for _, prompts, _ in session.worker.asked for ((text, _), *_) in prompts)


async def test_a_fixed_choice_stays(session):
    invent(session, 1.0)
    session.worker, session.loaded = Base("A lift\nOwner: The bank"), loaded()
    made = await drawn(session, 1, {"Mood": "Solemn"})
    assert [candidate.fields for candidate in made] == [{"Mood": "Solemn", "Machine": "A lift", "Owner": "The bank"}]


async def test_they_come_as_often_as_they_are_kept(session):
    assert share_of(0.25, {True: Tally(), False: Tally()}) == 0.25 == share_of(0.25, {True: Tally(9, 20), False: Tally(9, 20)})
    assert share_of(0.25, {True: Tally(0, 48), False: Tally(24, 48)}) < 0.02
    assert share_of(0.25, {True: Tally(20, 20), False: Tally(1, 20)}) == 0.5 and share_of(0.9, {True: Tally(9, 9), False: Tally()}) == 1
    assert share_of(0, {True: Tally(9, 9), False: Tally()}) == 0
    invent(session, 0.5)
    session.worker, session.loaded = Base("A lift\nOwner: The bank", "A music box\nOwner: A child"), loaded()
    made = await drawn(session)
    new = set(session.store.batches[made[0].batch].invented)
    for at, candidate in enumerate(made):
        session.decide(candidate.uid, "reject" if at in new else "skip" if at == 7 else "accept")
    old = 8 - len(new) - (7 not in new)
    assert tallies(session.store) == {True: Tally(0, len(new)), False: Tally(old, old)}
