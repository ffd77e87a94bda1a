"""Attribute values that the base makes up: what it is asked, what of its answer will do, and which candidates get them."""

import msgspec
import pytest

from core import config
from core.errors import FlavorError
from core.protocol import Candidate as Arrived
from core.protocol import Loading, Sampled
from core.runfiles import BASE
from core.task import Field, Task
from dataset.rows import Candidate
from tests.made import bake
from tests.made import sample as waiting
from tests.test_choices import loaded
from tui.commands import deciding
from tui.session.inventing import AT_ONCE, kept, listing, parsed, share_of
from tui.session.session import Session
from tui.session.sheet import ContactSheet
from tui.session.ways import Tally, tallies

TASK = Task("A Toast to a Machine", fields=(Field("Mood", "choice", ("Solemn", "Giddy")), Field("Machine"), Field("Owner")))
KNOWN = [("A loom", "A widow"), ("A steam press", "The daily paper"), ("A pump", "Nobody at all"), ("A tower clock", "The town")]


class Base:
    """In place of the worker: of a base it gives these answers, in turn; of a checkpoint a text. `meanwhile` is done while the base writes."""

    def __init__(self, *answers, meanwhile=None):
        self.answers, self.asked, self.meanwhile = list(answers), [], meanwhile

    async def sample(self, folder, prompts, seeds, settings, *others):
        self.asked.append((folder, prompts, seeds, settings, *others))
        yield Loading(id=1, stage="reading")
        if folder is None and self.meanwhile:
            self.meanwhile()
        for index, seed in enumerate(seeds):
            text = self.answers[index % len(self.answers)] if folder is None else f"text {seed}"
            yield Arrived(id=1, index=index, text=text, finish="length" if text.endswith("...") else "stop", tokens=3)
        yield Sampled(id=1, tokens=3, seconds=0.1, first_token=0.1)

    @property
    def lists(self):
        """What the base was asked."""
        return [prompts for folder, prompts, *_ in self.asked if folder is None]


LIFT, BOX = {"Machine": "A lift", "Owner": "The bank"}, {"Machine": "A music box", "Owner": "A child"}
TWO = ("A lift\nOwner: The bank", "A music box\nOwner: A child")


@pytest.fixture
def session(tmp_path):
    config.create(tmp_path / "toasts", TASK)
    with Session(tmp_path / "toasts") as opened:
        for machine, owner in KNOWN:
            opened.write_example(f"To {machine.lower()}: may it never be thirsty.", {"Mood": "Giddy", "Machine": machine, "Owner": owner})
        checkpoint = bake(opened, [4.0, 3.4])
        opened.use(checkpoint)
        waiting(opened, checkpoint, [f"Some {n} wait." for n in range(opened.settings.sampling.keep_ready)])
        opened.loaded = loaded()
        yield opened


def setting(session, **changes):
    changes = {"vary": False, **changes}
    session.settings = msgspec.structs.replace(session.settings, sampling=msgspec.structs.replace(session.settings.sampling, **changes))


async def drawn(session, count=8, fixed=None, **options):
    return [each async for each in session.sample(count, fixed or {}, **options) if isinstance(each, Candidate)]


def about(candidate):
    return {name: value for name, value in candidate.fields.items() if name != "Mood"}


def invented(session, made):
    """What of these candidates is about something made up."""
    return [about(each) for each in made if each.index in session.store.batches[each.batch].invented]


def test_the_base_is_shown_values_and_what_it_adds_is_read():
    assert TASK.free_names == ["Machine", "Owner"]
    ((prompt, weight),) = listing(TASK, [{"Machine": "A loom", "Owner": "A widow"}])
    assert weight == 0 and prompt == (
        "# A Toast to a Machine\n\n## Attributes\n\nMachine: A loom\nOwner: A widow\n\n## Attributes\n\nMachine:"
    )
    assert parsed(TASK, " A  lift\nowner: The \x1b[31m bank\n") == {"Machine": "A lift", "Owner": "The ␛[31m bank"}
    assert parsed(TASK, "A lift") == {"Machine": "A lift"}
    for wrong in (
        "",
        "A lift\nby the bank",
        "A lift\nOwner:",
        "A lift\nSpeed: 3",
        "A lift\nOwner: a\nowner: b",
        "A\nmachine: B",
        "x" * 501,
    ):
        assert parsed(TASK, wrong) == {}


async def test_some_candidates_are_about_what_the_base_made_up(session):
    setting(session, invent=0.5)
    session.worker = Base(
        TWO[0],
        "A loom\nOwner: A widow",  # there already
        "A lift",  # without an owner
        "A steam press\nOwner: The daily paper of today",  # much the same
        "A #big #lie\nOwner: You",
        "A lazy lazy wheel\nOwner: A miller",
        "A ferry engine\nOwner: Its captain...",  # never ended
        TWO[1],
    )
    made = await drawn(session)
    batch = session.store.batches[made[0].batch]
    assert invented(session, made) == [LIFT, BOX] and all(candidate.fields["Mood"] in ("Solemn", "Giddy") for candidate in made)
    assert all(candidate.fields["Machine"] in dict(KNOWN) for at, candidate in enumerate(made) if at not in batch.invented)
    assert batch.prompts == [TASK.segments(candidate.fields) for candidate in made] and "The bank" in batch.free
    folder, prompts, _, settings, *_ = session.worker.asked[0]
    assert folder is None and len(prompts) == AT_ONCE and settings.max_tokens < 40 and settings.end_ramp == 0
    assert all("Machine: A loom\nOwner: A widow" in text and text.endswith("## Attributes\n\nMachine:") for ((text, _),) in prompts)


async def test_a_batch_with_such_values_is_asked_for_again_from_its_record(session):
    """The examples are those that its texts were sampled with, though one was written while the base wrote."""
    setting(session, invent=0.5)
    session.worker = Base(*TWO, meanwhile=lambda: session.write_example("To the mill.", {"Machine": "A mill", "Owner": "The wind"}))
    (first, *_) = made = await drawn(session)
    assert len(invented(session, made)) == 2
    session.worker.meanwhile = None
    session.write_example("To the kiln.", {"Machine": "A kiln"})
    assert await session.candidates.reproduce(first.uid) == first.text
    once, again = (asked for asked in session.worker.asked if asked[0])
    assert once == again and "To the mill." in again[4] and "To the kiln." not in again[4]


async def test_each_comes_once_and_a_base_that_makes_nothing_up_is_left_alone(session):
    setting(session, invent=0.5)
    session.worker = Base(TWO[0])
    assert [len(invented(session, await drawn(session))) for _ in range(4)] == [1, 0, 0, 0]
    assert len(session.worker.lists) == 3  # twice in vain
    gone = next(iter(session.store.examples))
    session.delete_example(gone)
    session.write_example("To the mill.", {"Machine": "A mill", "Owner": "The wind"})  # as many as before, but others
    await drawn(session)
    assert len(session.worker.lists) == 5
    session.candidates._inventor.__init__(session)  # another start
    assert invented(session, await drawn(session)) == []


async def test_what_was_made_up_and_is_an_example_by_now_is_let_go(session):
    setting(session, invent=0.1)
    session.worker, inventor = Base(*TWO), session.candidates._inventor

    async def first():
        return await inventor.values(session.worker, 10, {}, session.settings.sampling, 3)

    (only,) = await first()
    session.write_example("To the other one.", BOX if only == LIFT else LIFT)
    assert await first() == [only] == await first()
    session.write_example("To this one.", only)
    assert await first() == []


async def test_an_example_that_was_mended_is_seen(session):
    """What it is about now is no new thing."""
    setting(session, invent=0.1)
    session.worker, inventor = Base(TWO[0]), session.candidates._inventor
    assert await inventor.values(session.worker, 10, {}, session.settings.sampling, 3) == [LIFT]
    uid, example = next(iter(session.store.examples.items()))
    session.change_example(uid, example.text, {"Mood": "Giddy", **LIFT})
    assert await inventor.values(session.worker, 10, {}, session.settings.sampling, 3) == []


async def test_a_batch_that_is_given_up_before_its_first_text_loses_none(session):
    setting(session, invent=0.5)
    session.worker = Base(*TWO)
    events = session.sample(8, {})
    await anext(events)  # the worker says something before a text comes
    await events.aclose()
    assert len(invented(session, await drawn(session))) == 2 and len(session.worker.lists) <= 4


@pytest.mark.parametrize("kind", ["memory", "worker"])
async def test_candidates_do_without_where_the_base_fails(session, kind):
    def fail():
        raise FlavorError("No.", kind=kind)

    setting(session, invent=0.5)
    session.worker = Base(*TWO, meanwhile=fail)
    if kind == "worker":
        with pytest.raises(FlavorError):
            await drawn(session)
        return
    made = await drawn(session)
    assert len(made) == 8 and invented(session, made) == []


async def test_it_asks_for_no_more_at_once_than_a_batch_has(session):
    setting(session, invent=1.0, batch=2)
    session.worker = Base(*TWO)
    made = await drawn(session, 4)
    assert {len(prompts) for prompts in session.worker.lists} == {2} and invented(session, made) == [LIFT, BOX]


@pytest.mark.parametrize("why", ["few wait", "the base", "fixed", "off", "few examples", "accepted ones"])
async def test_nothing_is_made_up_where_it_would_be_wrong(session, why):
    setting(session, invent=0.0 if why == "off" else 1.0)
    session.worker = Base(*TWO)
    if why == "few wait":
        setting(session, invent=1.0, keep_ready=100)
    if why in ("few examples", "accepted ones"):
        session.delete_example(next(iter(session.store.examples)))
    if why == "accepted ones":  # a base goes by what a person wrote
        session.write_example("To the mill.", {"Machine": "A mill", "Owner": "The wind"}, "accepted")
    options = {"checkpoint": BASE, "few_shot": 0} if why == "the base" else {}
    made = await drawn(session, fixed={"Owner": "The town"} if why == "fixed" else {}, **options)
    assert len(made) == 8 and invented(session, made) == []
    assert not any(text[-8:] == "Machine:" for _, prompts, *_ in session.worker.asked for ((text, _), *_) in prompts)


async def test_a_fixed_choice_stays(session):
    setting(session, invent=1.0)
    session.worker = Base(*TWO)
    made = await drawn(session, 1, {"Mood": "Solemn"})
    assert [candidate.fields for candidate in made] == [{"Mood": "Solemn", **LIFT}]


async def test_an_attribute_that_examples_may_lack_may_be_lacking(session):
    setting(session, invent=1.0)
    session.write_example("To the mill.", {"Machine": "A mill"})
    session.worker = Base("A lift")
    assert invented(session, await drawn(session, 1)) == [{"Machine": "A lift"}]


async def test_values_in_other_scripts(tmp_path):
    """Their words are shorter, or none, and their characters take more tokens."""
    config.create(tmp_path / "toasts", Task("祝词", fields=(Field("机器"),)))
    with Session(tmp_path / "toasts") as session:
        for machine in ("一台会唱歌的织布机", "老磨坊里的水轮", "The fox", "Станок на заводе"):
            session.write_example(f"敬{machine}。", {"机器": machine})
        checkpoint = bake(session, [4.0, 3.4])
        session.use(checkpoint)
        waiting(session, checkpoint, [f"Some {n} wait." for n in range(20)])
        setting(session, invent=1.0)
        session.worker, session.loaded = Base("A fox", "码头上生锈的起重机"), loaded()
        made = await drawn(session, 2)
        assert invented(session, made) == [{"机器": "码头上生锈的起重机"}] and session.worker.asked[0][3].max_tokens > 20


async def test_they_come_as_often_as_they_are_kept(session):
    for others in (Tally(), Tally(1, 48), Tally(47, 48)):
        assert share_of(0.25, {True: Tally(), False: others}) == pytest.approx(0.25)
    assert share_of(0.25, {True: Tally(9, 20), False: Tally(9, 20)}) == pytest.approx(0.25, abs=0.01)
    assert share_of(0.25, {True: Tally(0, 48), False: Tally(24, 48)}) < 0.025
    assert share_of(0.25, {True: Tally(20, 20), False: Tally(1, 20)}) == 0.5 and share_of(0.9, {True: Tally(9, 9), False: Tally(1, 9)}) == 1
    assert share_of(0, {True: Tally(9, 9), False: Tally()}) == 0
    setting(session, invent=0.5)
    session.worker = Base(*TWO)
    made = await drawn(session)
    new = set(session.store.batches[made[0].batch].invented)
    for at, candidate in enumerate(made):
        session.decide(candidate.uid, "reject" if at in new else "skip" if at == 7 else "accept")
    old = 8 - len(new) - (7 not in new)
    assert kept(session.store) == {True: Tally(0, len(new)), False: Tally(old, old)}
    assert tallies(session.store)["alone"] == Tally(old, old)  # of the two ways they say nothing


def test_a_contact_sheet_is_the_same_one_whatever_is_made_up(session):
    contact = ContactSheet(session)
    key, sheet = contact.key, contact.sheet()
    setting(session, invent=0.7)
    assert ContactSheet(session).key == key and not {"vary", "invent"} & set(sheet.settings)


@pytest.mark.parametrize(("seed", "changes"), [(7, {"vary": False, "invent": 0.0}), (None, {})])
async def test_who_gives_a_seed_gets_what_the_examples_are_about(session, monkeypatch, seed, changes):
    asked = []

    async def started(session):
        return
        yield

    async def sample(self, count, fixed, **options):
        asked.append({name: value for name, value in options.items() if name in ("vary", "invent")})
        return
        yield

    monkeypatch.setattr(deciding, "start", started)
    monkeypatch.setattr(Session, "sample", sample)
    folder = session.folder
    session.close()
    assert [line async for line in deciding.generate(folder, 2, [], None, seed, {}, None)]
    assert asked == [changes]


async def test_generate_says_at_each_value_whether_it_is_made_up(session):
    session.worker = Base(*TWO)
    lines = [deciding.candidate_line(session, each) async for each in session.sample(8, {}, seed=1) if isinstance(each, Candidate)]
    invented = [line for line in lines if line.data["made_up"]]
    assert 0 < len(invented) < 8
    for line in invented:
        assert line.data["made_up"] == ["Machine", "Owner"]
        mood, machine, owner = (line.data["fields"][name] for name in ("Mood", "Machine", "Owner"))
        assert f"Mood {mood} · Machine {machine} (made up) · Owner {owner} (made up)" in line.text
    assert all("(made up)" not in line.text for line in lines if line not in invented)
