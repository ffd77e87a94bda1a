"""The contact sheet without a screen: same prompts and seeds for every lane, made once, kept whole; and the signs in its texts."""

import json

import msgspec
import pytest

from core.errors import FlavorError
from core.gauges.copying import Copying
from core.protocol import Candidate as Arrived
from core.protocol import Loaded, Sampled
from core.text import word_places, words
from runs.sheets import FILE, Column, Sheets
from tests.made import bake, write
from tui.session.marks import CLOSES, DIFFERS, OPENS, marked
from tui.session.session import Session
from tui.session.sheet import FEW_SHOT, PROMPTS, ContactSheet, in_front, telling


class Recorder:
    """In place of the worker: it writes down what was asked, and may break down."""

    def __init__(self, broken=""):
        self.asked, self.guided, self.broken = [], [], broken

    async def sample(self, folder, prompts, seeds, settings, examples=None, free=None, strength=1.0, without=None):
        self.asked.append((folder and folder.name, prompts, seeds, settings, examples, strength))
        self.guided.append(bool(without))
        for index, seed in reversed(list(enumerate(seeds))):
            if self.broken == "short" and index == 2:
                return
            if self.broken and index == 2:
                raise FlavorError("It broke.", kind=self.broken)
            yield Arrived(id=1, index=index, text=f"{folder and folder.name} {seed} {strength}", finish="stop", tokens=3)
        yield Sampled(id=1, tokens=3, seconds=0.1, first_token=0.1)


def ready(session, **options):
    session.worker = Recorder(**options)
    session.loaded = Loaded(id=1, name="x", fingerprint="f", parameters=1, trainable=1, device="cpu", form="none")
    return session.worker, ContactSheet(session)


async def make(contact, checkpoints):
    return [step async for step in contact.make(checkpoints)]


async def test_every_lane_has_the_same_prompts_and_seeds(session):
    write(session, 12)
    last = bake(session, [4.0, 3.4, 3.2])
    guided = msgspec.structs.replace(session.settings.sampling, guidance=1.0, shown=3)
    session.settings = msgspec.structs.replace(session.settings, sampling=guided)
    worker, contact = ready(session)
    await make(contact, ["0001/epoch-01", last])
    assert [name for name, *_ in worker.asked] == ["epoch-01", "epoch-02", None, None]  # what was asked for first
    one, two, base, shot = worker.asked
    assert worker.guided == [True, True, False, False]  # as when candidates are sampled
    assert base[1:3] == one[1:3] == two[1:3] and len(base[1]) == PROMPTS == len(set(base[2]))
    assert [prompt[-len(bare) :] for prompt, bare in zip(shot[1], base[1], strict=True)] == base[1]
    assert all(len(prompt) > len(bare) for prompt, bare in zip(shot[1], base[1], strict=True))  # with examples before it
    known = list(session.store.texts().values())  # for the form of their lines alone
    assert all((s.max_copied_tokens, s.end_ramp, examples) == (0, 0, known) for _, _, _, s, examples, _ in worker.asked)
    assert [lane.name for lane in contact.lanes([last])] == ["base", FEW_SHOT, last]
    column = contact.column(contact.lanes([last])[-1])
    assert [text.text for text in column.texts] == [f"epoch-02 {seed} 1.0" for seed in base[2]]  # in order, however they came


async def test_what_was_made_is_not_made_again_and_a_strength_is_a_lane_of_its_own(there):
    with Session(there) as session:
        write(session, 12)
        last = bake(session, [4.0, 3.4])
        _, contact = ready(session)
        await make(contact, [last])
        key = contact.key
    with Session(there) as session:
        worker, contact = ready(session)
        write(session, 1, 12)  # more examples: the same sheet
        assert contact.key == key and contact.missing(contact.lanes([last])) == []
        await make(contact, [last])
        assert worker.asked == []
        session.choices.set_strength(last, 0.5)
        await make(contact, [last])
        assert [(name, strength) for name, *_, strength in worker.asked] == [("epoch-01", 0.5)]
        assert contact.lanes([last])[-1].name == f"{last} ×0.5"
        session.settings = msgspec.structs.replace(
            session.settings, sampling=msgspec.structs.replace(session.settings.sampling, temperature=0.7)
        )
        assert ContactSheet(session).key != key


async def test_a_broken_lane_leaves_no_half_column(session):
    write(session, 12)
    last = bake(session, [4.0, 3.4])
    _, contact = ready(session, broken="damaged")
    await make(contact, [last])  # a damaged checkpoint: the others go on
    assert len(contact.missing(contact.lanes([last]))) == 3
    _, contact = ready(session, broken="short")  # an answer that stops half-way
    await make(contact, [last])
    assert len(contact.missing(contact.lanes([last]))) == 3
    worker, contact = ready(session, broken="worker")
    with pytest.raises(FlavorError, match="It broke"):
        await make(contact, [last])
    assert len(worker.asked) == 1 and len(contact.missing(contact.lanes([last]))) == 3
    worker, contact = ready(session)
    await make(contact, ["0009/epoch-01", last])  # one is gone
    assert [lane.name for lane in contact.missing(contact.lanes(["0009/epoch-01", last]))] == ["0009/epoch-01"]


async def test_lines_that_are_no_columns_are_passed_over(session):
    write(session, 12)
    _, contact = ready(session)
    await make(contact, [])
    path = session.folder / FILE
    whole = path.read_text().splitlines()
    short = {**json.loads(whole[1]), "lane": "short", "texts": []}
    foreign = {**json.loads(whole[1]), "lane": "foreign", "sheet": "another"}
    path.write_text("\n".join([*whole, "{", '{"type": "of tomorrow"}', json.dumps(short), json.dumps(foreign), '{"type": "colu']))
    again = Sheets(session.folder)
    assert list(again.columns(contact.key)) == ["base", FEW_SHOT]
    again.add(Column(contact.key, "later", "now", again.column(contact.key, "base").texts))
    assert Sheets(session.folder).column(contact.key, "later")  # after the torn line


def test_what_is_compared_unasked(session):
    write(session, 12)
    bake(session, [4.0, 3.4])
    bake(session, [4.0, *[3.4] * 8])
    assert telling(session.registry.run("0002")) == ["0001/epoch-01", *(f"0002/epoch-0{n}" for n in (5, 6, 7, 8))]
    assert telling(session.registry.run("0001")) == ["0001/epoch-01"]


def test_the_active_lane_comes_first_and_the_base_beside_it(session):
    write(session, 12)
    bake(session, [4.0, 3.4, 3.2, 3.1])
    lanes = ContactSheet(session).lanes([f"0001/epoch-0{n}" for n in (1, 2, 3)])
    order = lambda active: [lane.name[-2:] for lane in in_front(lanes, active)]  # noqa: E731
    assert order("0001/epoch-02") == ["02", "se", "ot", "03", "01"]
    assert order("base") == order("0007/epoch-01") == ["03", "se", "ot", "02", "01"]
    assert in_front(lanes[:2], "base") == lanes[:2]
    assert [lane.name[-2:] for lane in in_front(lanes, "0001/epoch-02", marked=True)] == ["02", "03", "01", "se", "ot"]


def flat(pieces):
    return "".join(piece for piece, _ in pieces)


def test_differences_have_a_sign():
    pieces = marked("The lamp burns on, whale fat. And dies here.", "The lamp burns on: it is seen far out", Copying())
    assert pieces == [("The lamp burns on", "same"), (", ", ""), (DIFFERS, "sign"), ("whale fat. And dies here.", "")]
    assert flat(marked("one two three four", "one two three five", Copying())) == f"one two three {DIFFERS}four"
    assert flat(marked("one two three", "one two three", Copying())) == "one two three"
    assert DIFFERS not in flat(marked("one two three", None, Copying()))
    assert [kind for _, kind in marked("one two three four", "one two three five", Copying())] == ["same", "", "sign", ""]


def test_copied_spans_have_signs():
    copying = Copying([("a", "a stew of seven roots and one regret, served cold"), ("b", "the end")])
    text = "Tonight: a STEW of seven roots and nothing else."
    assert flat(marked(text, None, copying)) == f"Tonight: {OPENS}a STEW of seven roots and{CLOSES} nothing else."
    assert OPENS not in flat(marked("a stew of seven", None, copying))  # too short to say anything
    assert flat(marked("", "x", copying)) == "" and flat(marked("…", "x", copying)) == "…"
    assert copying.spans("a stew of seven roots and one regret served cold", 6) == [(0, 10)]


def test_places_are_those_of_the_words():
    for text in ("", "Naïve façades, İstanbul's 漢字 — x2", "a_b c'd’e"):
        assert len(word_places(text)) == len(words(text)) or "İ" in text
        assert all(text[start:end].lower() == word for word, start, end in word_places(text))
