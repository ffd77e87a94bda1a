"""What the person chose for single checkpoints: kept, read by others, never written over when damaged; strength goes with every batch."""

import msgspec
import pytest

from core.choices import FILE, Choice, Choices, read_choices
from core.errors import FlavorError
from core.protocol import Candidate as Arrived
from core.protocol import Loaded, Sampled
from tests.made import bake, sample, write
from tui.session.session import Session


def test_choices_are_kept_by_checkpoint(session):
    choices = session.choices
    assert choices.of("0001/epoch-01") == Choice()
    assert choices.set_strength("0001/epoch-01", 0.8) == 0.8
    assert choices.set_note("0001/epoch-01", "dry,\n and the  best\x1b[31m so far") == "dry, and the best␛[31m so far"
    choices.set_strength("0002/epoch-03", 1.2)
    assert Choices(session.folder).all() == choices.all()
    assert read_choices(session.folder)["0001/epoch-01"].strength == 0.8
    choices.set_strength("0002/epoch-03", 1.0)  # as trained: nothing to keep
    assert list(read_choices(session.folder)) == ["0001/epoch-01"]


@pytest.mark.parametrize("value", [-0.01, 1.21, float("inf"), float("nan")])
def test_other_strengths_are_refused(session, value):
    with pytest.raises(FlavorError, match="no strength"):
        session.choices.set_strength("0001/epoch-01", value)


def test_the_base_has_no_strength(session):
    with pytest.raises(FlavorError, match="no adapter"):
        session.choices.set_strength("base", 0.5)
    session.choices.set_note("base", "bland")  # but one may write a line about it
    assert session.choices.of("base") == Choice(note="bland")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\0" * 90,
        b'{"checkpoints": {"0001/epoch-01": {"strength": 7}}}',
        b'{"checkpoints": 3}',
        b'{"checkpoints": {}, "more": ' + b"[" * 9000,
    ],
)
def test_a_damaged_file_counts_as_none_and_is_not_written_over(session, content):
    path = session.folder / FILE
    path.write_bytes(content)
    assert session.strength("0001/epoch-01") == 1 and session.choices.all() == {}
    with pytest.raises(FlavorError, match=r"choices\.json is damaged: no strength and no note can be kept\. .* --repair$"):
        session.choices.set_note("0001/epoch-01", "new")
    with pytest.raises(FlavorError, match="is damaged"):
        session.choices.set_strength("0001/epoch-01", 0.5)
    assert path.read_bytes() == content


def test_what_another_version_adds_does_not_hide_ours(session):
    path = session.folder / FILE
    path.write_text('{"checkpoints": {"0001/epoch-01": {"strength": 0.5, "colour": "red"}}, "more": 1}')
    assert session.strength("0001/epoch-01") == 0.5


class Recorder:
    """In place of the worker: it writes down what was asked of it."""

    def __init__(self):
        self.asked = []

    async def sample(self, folder, prompts, seeds, settings, examples=None, free=None, strength=1.0, without=None):
        self.asked.append(strength)
        for index, seed in enumerate(seeds):
            yield Arrived(id=1, index=index, text=f"text {seed} at {strength}", finish="stop", tokens=3)
        yield Sampled(id=1, tokens=3, seconds=0.1, first_token=0.1)


async def test_strength_goes_with_batches_and_candidates_are_sampled_again_with_it(session):
    write(session, 12)
    last = bake(session, [4.0, 3.4])
    session.worker, session.loaded = worker, _ = (Recorder(), loaded())
    made = []
    for strength in (None, 0.6, None):
        if strength:
            session.choices.set_strength(last, strength)
        made += [c async for c in session.sample(1, {}, seed=5) if hasattr(c, "uid")]
        assert session.newest() == [made[-1]] if strength else made[-1] in session.newest()
    assert worker.asked == [1.0, 0.6, 0.6]
    assert await session.candidates.reproduce(made[0].uid) == made[0].text and worker.asked[-1] == 1.0
    assert await session.candidates.reproduce(made[1].uid) == made[1].text and worker.asked[-1] == 0.6
    [_ async for _ in session.sample(1, {}, seed=5, strength=1.1)]
    [_ async for _ in session.sample(1, {}, seed=5, checkpoint="base")]
    assert worker.asked[-2:] == [1.1, 1.0]
    await session.candidates.continue_text("A beginning", {})
    assert worker.asked[-1] == 0.6
    assert session.active() == f"{last} ×0.6"


async def test_what_cannot_be_sampled_again_says_why(session):
    session.worker, session.loaded = Recorder(), loaded()
    (made,) = [c async for c in session.sample(1, {}, seed=5) if hasattr(c, "uid")]
    session.loaded = msgspec.structs.replace(session.loaded, fingerprint="other")
    with pytest.raises(FlavorError, match="from another base"):
        await session.candidates.reproduce(made.uid)
    session.store.batches.clear()
    with pytest.raises(FlavorError, match="is not recorded"):
        await session.candidates.reproduce(made.uid)


@pytest.mark.parametrize(
    ("typed", "written", "added"),
    [
        ("The capt", "ain turned.", "ain turned."),
        ("The captain", " turned.\n", " turned."),
        ("The captain ", " turned.", "turned."),
        ("He slept.", "\n\nThen he woke.", "\n\nThen he woke."),
        ("He slept.\n\n", " Then he woke.", "Then he woke."),
        ("", " Fog.", "Fog."),
    ],
)
async def test_a_text_goes_on_as_the_model_goes_on(session, typed, written, added):
    write(session, 12)
    bake(session, [4.0, 3.4])

    class Writer(Recorder):
        async def sample(self, *_):
            yield Arrived(id=1, index=0, text=written, finish="stop", tokens=3)

    session.worker, session.loaded = Writer(), loaded()
    assert await session.candidates.continue_text(typed, {}) == added


def loaded():
    return Loaded(id=1, name="x", fingerprint="f", parameters=1, trainable=1, device="cpu", form="none")


def test_candidates_of_another_strength_wait_behind(there):
    with Session(there) as session:
        write(session, 12)
        last = bake(session, [4.0, 3.4])
        (old,) = sample(session, last, ["An old stew of regrets."])
        assert session.newest() == [old]
        session.choices.set_strength(last, 0.5)
        assert session.newest() == [] and session.queue() == [old]
