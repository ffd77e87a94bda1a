"""The ways of sampling: whose turn it is, what of the decisions counts, and which examples a prompt shows."""

from collections import Counter

import msgspec
import pytest

from core import config
from core.config import Sampling
from core.files import new_uid, now
from core.protocol import Candidate as Arrived
from core.protocol import Sampled
from core.runfiles import BASE
from core.task import Field, Task
from dataset.rows import Batch, Candidate, Example, Tables
from tests.made import bake, sample, write
from tests.test_choices import loaded
from tui.commands.card import samples
from tui.session.blind import lane_of
from tui.session.session import Session
from tui.session.sheet import FEW_SHOT
from tui.session.shown import MOST_SHOWN, few_shot, nearest
from tui.session.tasting import LEAST_ALONE
from tui.session.ways import FARTHEST, LATELY, SHOWN, Tally, in_turn, tallies, way_of

TASK = Task("A Toast to a Machine", fields=(Field("Mood", "choice", ("Solemn", "Giddy")), Field("Machine")))


@pytest.fixture
def session(tmp_path):
    config.create(tmp_path / "toasts", TASK)
    with Session(tmp_path / "toasts") as opened:
        yield opened


def decided(session, shown, verdicts, checkpoint="0001/epoch-01"):
    """Candidates of one batch with so many examples shown, decided so."""
    settings = msgspec.to_builtins(msgspec.structs.replace(Sampling(), shown=shown))
    batch = Batch(new_uid(), checkpoint, [], [], settings, now())
    made = {}
    for number in range(len(verdicts)):
        uid = new_uid()
        made[uid] = Candidate(uid, f"To the loom, {uid}", {}, checkpoint, batch.uid, number, number, "stop", 9, [], now())
    session.commit("sample", Tables(candidates=dict(made), batches={batch.uid: batch}))
    for uid, verdict in zip(made, verdicts, strict=True):
        session.decide(uid, verdict)


def test_what_was_kept_is_counted_by_way(session):
    decided(session, SHOWN, ["accept", "reject", "skip"])
    decided(session, 0, ["reject"])
    decided(session, SHOWN, ["accept"] * 3, checkpoint=BASE)  # says nothing of a checkpoint
    assert tallies(session.store) == {"alone": Tally(0, 1), "shown": Tally(1, 2)}
    decided(session, 0, ["reject"] * LATELY)
    assert tallies(session.store) == {"alone": Tally(0, LATELY), "shown": Tally(1, 2)}
    decided(session, SHOWN, ["reject"] * (FARTHEST - LATELY))  # what is long ago counts no more
    assert tallies(session.store)["alone"].decided == LATELY and tallies(session.store)["shown"] == Tally(0, LATELY)
    decided(session, SHOWN, ["reject"] * LATELY)
    assert tallies(session.store)["alone"] == Tally()


def test_the_better_way_comes_more_often_and_the_other_is_not_given_up():
    def turns(kept):
        return Counter(way_of(msgspec.to_builtins(in_turn(Sampling(), kept, seed))) for seed in range(400))

    told = turns({"alone": Tally(4, 20), "shown": Tally(10, 20)})
    assert told["shown"] > 340 and told["alone"] > 0
    fresh = turns({"alone": Tally(), "shown": Tally()})
    assert min(fresh.values()) > 150  # nothing is known: both alike
    assert way_of({}) == "alone"  # a batch from before there were ways
    assert in_turn(Sampling(), {"alone": Tally(), "shown": Tally()}, 7) == in_turn(Sampling(), {"alone": Tally(), "shown": Tally()}, 7)


def example(text, origin="written", **fields):
    return Example(new_uid(), text, fields, origin, now())


def test_the_examples_most_like_what_is_asked_are_shown():
    loom, press = example("To the loom.", Mood="Giddy", Machine="A loom"), example("To the press.", Mood="Solemn", Machine="A steam press")
    pump, clock = example("To the pump.", Mood="Giddy", Machine="A pump"), example("To the clock.", Mood="Solemn", Machine="A clock")
    never = [
        example("To me.", "accepted", Mood="Giddy", Machine="A loom"),
        example("To " + "x" * MOST_SHOWN, Mood="Giddy", Machine="A loom"),
    ]
    chinese, korean = example("To the engine.", Machine="蒸汽机"), example("To the machine.", Machine="기계")
    asked = {"Mood": "Giddy", "Machine": "A loom"}
    for seed in range(9):
        shown = nearest(TASK, [*never, loom, press, clock, pump], 2, seed, asked)
        assert shown == [*TASK.segments(pump.fields), ("To the pump.\n\n", 0.0), *TASK.segments(loom.fields), ("To the loom.\n\n", 0.0)]
        (_, *_, (last, _)) = nearest(TASK, [loom, press], 1, seed, {"Machine": "A press that prints"})
        assert last == "To the press.\n\n"  # a word of the value
        (_, *_, (last, _)) = nearest(TASK, [chinese, korean], 1, seed, {"Machine": "红色蒸汽机"})
        assert last == "To the engine.\n\n"
        (_, *_, (last, _)) = nearest(TASK, [chinese, korean], 1, seed, {"Machine": "낡은 기계"})
        assert last == "To the machine.\n\n"
    assert len({str(nearest(TASK, [loom, press, pump, clock], 2, seed, {})) for seed in range(20)}) > 3  # all alike: by chance
    long = [example(f"To the {name} " + "x" * (MOST_SHOWN // 2), Mood="Giddy", Machine=name) for name in ("loom", "pump", "clock")]
    shown = str(nearest(TASK, [*long, press], 3, 1, {"Mood": "Giddy", "Machine": "clock"}))
    assert "To the clock x" in shown and "To the loom x" not in shown and "To the pump x" not in shown  # two would be too long
    assert nearest(TASK, never, 3, 1, asked) == few_shot(TASK, never, 3, 1) == []


class Recorder:
    """In place of the worker: it writes down what was asked of it."""

    def __init__(self):
        self.asked = []

    async def sample(self, folder, prompts, seeds, settings, *others):
        self.asked.append((prompts, settings))
        for index, seed in enumerate(seeds):
            yield Arrived(id=1, index=index, text=f"text {seed}", finish="stop", tokens=3)
        yield Sampled(id=1, tokens=3, seconds=0.1, first_token=0.1)


async def test_a_batch_is_asked_for_in_its_way_and_again_from_its_record(session):
    for machine in ("A loom", "A pump", "A clock", "A press"):
        session.write_example(f"To {machine.lower()}: may it never be thirsty.", {"Mood": "Giddy", "Machine": machine})
    bake(session, [4.0, 3.4])
    session.worker, session.loaded = worker, _ = (Recorder(), loaded())
    decided(session, 0, ["reject"] * 90, checkpoint="0000/epoch-01")  # so it will be the other way
    fixed = {"Mood": "Giddy", "Machine": "A loom"}
    [_ async for _ in session.sample(session.settings.sampling.keep_ready // 2, fixed, seed=2)]
    assert all(prompt == TASK.segments(fixed) for prompts, _ in worker.asked for prompt in prompts)  # as long as few wait
    (candidate,) = [event async for event in session.sample(1, fixed, seed=3) if isinstance(event, Candidate)]
    prompts, settings = worker.asked[-1]
    examples = list(session.store.examples.values())
    assert prompts == [nearest(TASK, examples, SHOWN, 3, fixed) + TASK.segments(fixed)] and "To a loom: may it" in str(prompts)
    assert settings.shown == SHOWN and way_of(session.store.batches[candidate.batch].settings) == "shown"
    session.write_example("To another loom.", fixed)
    assert await session.candidates.reproduce(candidate.uid) == candidate.text and worker.asked[-1] == (prompts, settings)
    for changes in ({"vary": False}, {"checkpoint": BASE, "few_shot": 0}):
        [_ async for _ in session.sample(1, fixed, seed=3, **changes)]
        assert worker.asked[-1][0] == [TASK.segments(fixed)]


async def test_guidance_leads_away_from_other_values(session):
    session.write_example("To a loom: may it never be thirsty.", {"Mood": "Giddy", "Machine": "A loom"})
    bake(session, [4.0, 3.4])
    session.worker, session.loaded = Recorder(), loaded()
    fixed = {"Mood": "Giddy", "Machine": "A loom"}
    for values, others in ((fixed, {**fixed, "Mood": "Solemn"}), ({"Machine": "A loom"}, None)):
        (made,) = [event async for event in session.sample(1, values, seed=3, guidance=1.0) if isinstance(event, Candidate)]
        others = others or {"Mood": next(mood for mood in ("Solemn", "Giddy") if mood != made.fields["Mood"]), **values}
        assert session.store.batches[made.batch].without == [TASK.segments(others)]
    (made,) = [event async for event in session.sample(1, fixed, seed=3) if isinstance(event, Candidate)]
    assert session.store.batches[made.batch].without == []


async def test_what_is_told_of_a_checkpoint_is_of_what_it_wrote_by_itself(session):
    """Its gauges, once there are enough of those, and the samples on its card."""
    write(session, 12)
    checkpoint = bake(session, [4.0, 3.4])
    helped = sample(session, checkpoint, [f"With help the {at}th engine hums in tune." for at in range(9)], shown=SHOWN)
    assert session.tasting._candidates(checkpoint) == helped
    alone = sample(session, checkpoint, [f"Alone the {at}th engine coughs and stops." for at in range(LEAST_ALONE)])
    assert session.tasting._candidates(checkpoint) == alone
    (texts,) = [told async for told in samples(session, checkpoint) if isinstance(told, list)]
    assert len(texts) == 3 and all(text.startswith("Alone") for text in texts)


def test_what_the_base_wrote_before_there_were_examples_waits_behind(session):
    """It knew the heading alone: nobody should have to read that once there are rows to show."""
    prompt = session.task.segments({})
    blind = sample(session, "base", ["1.00101", "Lorem"], prompts=[prompt] * 2, few_shot=4)
    assert session.newest() == blind and {lane_of(session, each) for each in blind} == {"base"}
    write(session, 3)
    assert session.newest() == [] and {c.uid for c in session.queue()} == {c.uid for c in blind}  # nothing better is there yet
    shown = few_shot(session.task, list(session.store.examples.values()), 2, 1)
    (better,) = sample(session, "base", ["A stew."], prompts=[[*shown, *prompt]], few_shot=4)
    assert session.newest() == [better] and session.queue()[0] == better and lane_of(session, better) == FEW_SHOT
    session.settings = msgspec.structs.replace(session.settings, sampling=msgspec.structs.replace(session.settings.sampling, keep_ready=1))
    assert session.pass_over(8) == 2 and list(session.store.pending) == [better.uid]
    session.settings = msgspec.structs.replace(session.settings, sampling=msgspec.structs.replace(session.settings.sampling, few_shot=0))
    alone = sample(session, "base", ["By itself."], prompts=[prompt], few_shot=0)
    assert session.newest() == [better, *alone]  # so it would be sampled now
