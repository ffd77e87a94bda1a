"""Blind A/B without a screen: which two are asked, what a vote leaves behind, undo, and what becomes of votes as pairs."""

import time
from collections import Counter

from core.files import new_uid, now
from dataset.exporting import preferences
from dataset.pairs import find_pairs, labelled
from dataset.rows import Side, Tables, Vote
from runs.sheets import Column, Text
from tests.made import bake, sample, write
from tui.session import blind
from tui.session.blind import Blind, summary
from tui.session.session import Session
from tui.session.sheet import FEW_SHOT, ContactSheet


def prepared(session, lanes=4):
    """A sitting over the base's two lanes and two checkpoints, each with six texts."""
    write(session, 12)
    bake(session, [4.0, 3.4, 3.2])
    contact = ContactSheet(session)
    sheet = contact.sheet()
    for lane in contact.lanes(["0001/epoch-01", "0001/epoch-02"])[:lanes]:
        contact.sheets.add(Column(sheet.key, lane.name, now(), [Text(f"{lane.name} on {at}", "stop") for at in range(6)]))
    return Blind(session, contact, ["0001/epoch-01", "0001/epoch-02"], seed=2)


def best(blind, duel):
    """A taste that likes the last lane best."""
    left, right = (blind.lanes.index(side.lane) for side in (duel.left, duel.right))
    return "left" if left > right else "right"


def test_pairs_are_of_one_prompt_and_come_once(session):
    blind = prepared(session)
    seen = set()
    sides = []
    while duel := blind.next():
        assert duel.left.text.split(" on ")[1] == duel.right.text.split(" on ")[1] and duel.left.lane != duel.right.lane
        assert frozenset((duel.left.text, duel.right.text)) not in seen
        seen.add(frozenset((duel.left.text, duel.right.text)))
        sides.append(blind.lanes.index(duel.left.lane) < blind.lanes.index(duel.right.lane))
        blind.vote(duel, "tie")
    assert len(seen) == 5 * 6 == blind.votes  # every two of four lanes, on every prompt, but the base and the base that is shown examples
    assert not any({text.split(" on ")[0] for text in pair} == {"base", "few-shot"} for pair in seen)
    assert 8 < sum(sides) < 28  # no side belongs to anyone


def test_a_taste_is_found_and_kept(there):
    with Session(there) as session:
        blind = prepared(session)
        for lane in blind.lanes[2:]:
            sample(session, lane, [f"{lane} on {at}" for at in range(6, 9)])
        while (duel := blind.next()) and not blind.enough():
            blind.vote(duel, best(blind, duel))
        assert blind.ratings().order()[0] == "0001/epoch-02" and blind.enough().startswith("0001/epoch-02 is preferred")
        assert 8 <= blind.votes < 36
        told = blind.unveiled()
        assert told[1].startswith("0001/epoch-02") and told[-1].startswith(("base", "few-shot"))
        votes = dict(session.store.votes)
    with Session(there) as session:
        assert session.store.votes == votes
        assert summary(session, "0001/epoch-02").startswith("preferred blindly 9") and summary(session, "0009/epoch-01") == ""
    with Session(there, read_only=True) as session:
        (there / "dataset.json").unlink()
        assert session.store.votes == votes


def test_the_table_tells_how_often_a_lane_was_compared_and_how_often_it_won(session):
    blind = prepared(session)
    compared, won = Counter(), Counter()
    for preferred in ("left", "right", "tie", "bad", "left"):
        duel = blind.next()
        blind.vote(duel, preferred)
        if preferred != "bad":
            compared.update((duel.left.lane, duel.right.lane))
            won[(duel.left if preferred == "left" else duel.right).lane] += preferred != "tie"
    head, *rows = blind.unveiled()
    assert head.split()[:2] == ["compared", "won"]
    told = {name: (int(games), int(wins)) for name, games, wins in (row.split()[:3] for row in rows)}
    assert told == {lane: (compared[lane], won[lane]) for lane in blind.lanes}


def test_a_lane_has_one_number_in_every_place(there):
    """Another sitting held it against a lane that is not on this one's sheet."""
    with Session(there) as session:
        blind = prepared(session)
        for _ in range(6):
            duel = blind.next()
            blind.vote(duel, best(blind, duel))
        for lane in ("0001/epoch-02", "0001/epoch-01"):
            made = [Vote(new_uid(), now(), {}, Side("0001/epoch-03", f"one {n}"), Side(lane, f"two {n}"), "left") for n in range(4)]
            session.commit("vote", Tables(votes={vote.uid: vote for vote in made}), "vote")
        (row,) = (row for row in blind.unveiled() if row.startswith("0001/epoch-02"))
        told = summary(session, "0001/epoch-02")
        assert row.rpartition("█")[2].strip() in told and f"{row.split()[1]} comparisons" in told
        assert "0001/epoch-03" in blind.unveiled()[-1] and not any(row.startswith("0001/epoch-03") for row in blind.unveiled())
        assert blind.votes == 6


def test_the_rating_is_made_once_for_the_same_votes(session, monkeypatch):
    """Each row that the cursor comes to on Runs asks for it."""
    made, rate = [], blind.rating.rate
    monkeypatch.setattr(blind.rating, "rate", lambda lanes, played: made.append(len(played)) or rate(lanes, played))
    blind._rated.cache_clear()
    sitting = prepared(session)
    sitting.vote(sitting.next(), "left")
    made.clear()
    before = [summary(session, lane) for lane in sitting.lanes]
    assert made == [1] and any(before)
    sitting.vote(sitting.next(), "right")
    assert [summary(session, lane) for lane in sitting.lanes] != before
    sitting.undo()
    assert [summary(session, lane) for lane in sitting.lanes] == before


def test_what_was_decided_is_not_blind(session):
    blind = prepared(session, lanes=0)
    kinds = {"accept": "One stew.", "reject": "Two stews.", "skip": "Three stews."}
    for verdict, made in zip(kinds, sample(session, "0001/epoch-01", list(kinds.values())), strict=True):
        session.decide(made.uid, verdict)
    sample(session, "0001/epoch-02", ["Four stews."])
    duel = blind.next()
    assert {duel.left.text, duel.right.text} == {"Three stews.", "Four stews."}
    blind.vote(duel, "tie")
    assert blind.next() is None


def test_an_empty_text_is_not_asked(session):
    blind = prepared(session, lanes=0)
    sheet = blind._contact.sheet()
    for lane, texts in (("base", ["", " \n"] * 3), ("0001/epoch-01", [f"Soup {n}." for n in range(6)])):
        blind._contact.sheets.add(Column(sheet.key, lane, now(), [Text(text, "stop") for text in texts]))
    assert blind.next() is None
    sample(session, "base", ["", "Stew."])
    assert {side.text for _, side in blind._texts() if side.lane == "base"} == {"Stew."}


def test_each_pair_of_two_lanes_is_as_likely(session):
    """One prompt has four pairs, the other one; a text that both have is no pair."""
    both = [
        ((("Mood", "Grim"),), [Side("a", "1"), Side("a", "2")], [Side("b", "3"), Side("b", "4"), Side("b", "1")]),
        ((), [Side("a", "5")], [Side("b", "6")]),
    ]
    blind = prepared(session, lanes=0)
    drawn = Counter((a.text, b.text) for _, a, b in (blind._draw(both, {frozenset("23")}) for _ in range(2000)))
    assert (
        set(drawn) == {("1", "3"), ("1", "4"), ("2", "4"), ("2", "1"), ("5", "6")}
        and 320 < min(drawn.values()) <= max(drawn.values()) < 480
    )
    assert blind._draw(both[1:], {frozenset("56")}) is blind._draw([], set()) is None


def test_the_next_pair_of_many_candidates_comes_at_once(session):
    """A thousand in each lane are a million pairs: listed, they took a second."""
    blind = prepared(session, lanes=0)
    for lane in blind.lanes[2:]:
        sample(session, lane, [f"{lane} on {at}" for at in range(1000)])
    began = time.process_time()
    assert blind.next()
    assert time.process_time() - began < 0.4


def test_undo_takes_a_vote_back_and_nothing_else(session):
    blind = prepared(session)
    assert blind.undo() is None and len(session.store.examples) == 12  # the last thing done was no vote
    duel = blind.next()
    vote = blind.vote(duel, "left")
    assert blind.undo() == vote and session.store.votes == {} and blind.votes == 0
    session.undo()
    assert session.store.examples == {}


def test_candidates_of_the_same_attributes_take_part(session):
    blind = prepared(session, lanes=0)
    assert blind.next() is None
    sample(session, "0001/epoch-01", ["One stew."])
    sample(session, "0001/epoch-02", ["Two stews."])
    sample(session, "0009/epoch-01", ["Of another lane."])
    sample(session, "0001/epoch-01", ["With examples shown."], shown=3)  # not what the checkpoint writes by itself
    duel = blind.next()
    assert {duel.left.text, duel.right.text} == {"One stew.", "Two stews."} and duel.left.candidate in session.store.candidates
    blind.vote(duel, "bad")
    assert blind.votes == 0 and blind.next() is None  # it says nothing of which is better, and is not asked again


def test_the_base_with_examples_is_a_lane_of_its_own(session):
    blind = prepared(session)
    assert blind.lanes[:2] == ["base", FEW_SHOT]
    assert Blind(session, ContactSheet(session), []).lanes == ["base", FEW_SHOT]


def test_votes_are_preference_pairs(session):
    blind = prepared(session)
    duel = blind.next()
    blind.vote(duel, "right")
    for verdict in ("tie", "bad"):
        blind.vote(blind.next(), verdict)
    (pair,) = [pair for pair in find_pairs(session.store, session.task) if pair.origin == "vote"]
    assert (pair.chosen, pair.rejected) == (duel.right.text, duel.left.text)
    assert pair.prompt == session.task.segments(duel.fields)
    bad = [vote for vote in session.store.votes.values() if vote.preferred == "bad"]
    assert [text for _, text, wanted in labelled(session.store, session.task) if not wanted] == [bad[0].left.text, bad[0].right.text]
    rows = preferences(session.store, session.task, "dpo").rows
    assert {"prompt": session.task.prompt(duel.fields), "chosen": pair.chosen, "rejected": pair.rejected} in rows


def test_a_vote_on_a_held_out_text_teaches_nothing(session):
    blind = prepared(session)
    duel = blind.next()
    uid = session.write_example(duel.left.text, {}).uid
    blind.vote(duel, "left")
    assert [pair.origin for pair in find_pairs(session.store, session.task, {uid})] == []
    assert [pair.origin for pair in find_pairs(session.store, session.task)] == ["vote"]
