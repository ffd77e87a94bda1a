"""Pairs by hand-worked cases, the plan of a run of taste, and the files for other trainers."""

import json
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import FILE
from core.errors import FlavorError
from core.files import new_uid, now
from dataset.exporting import preferences, write_file
from dataset.pairs import _likeness, _matched, find_pairs, labelled
from dataset.rounds import rounds
from dataset.rows import Candidate, Example, Tables
from tests.test_runs import finish
from tui.session.back import all_moments
from tui.session.session import Session
from tui.session.taste import plan_taste


def sample(session, *texts, flags=(), **fields):
    """Candidates as sampling would have stored them; their ids."""
    made = {}
    for text in texts:
        uid = new_uid()
        made[uid] = Candidate(uid, text, dict(fields), "base", "b", 0, 0, "stop", 9, list(flags), now())
    session.commit("sample", Tables(candidates=dict(made)))
    return list(made)


def told(pairs):
    return [(pair.origin, pair.chosen, pair.rejected) for pair in pairs]


def test_an_edit_is_preferred_to_its_original(session):
    (uid,) = sample(session, "A soup of regret.", Mood="Grim", Price="2")
    decision = session.decide(uid, "accept", "A soup of small regrets.")
    (pair,) = find_pairs(session.store, session.task)
    assert (pair.origin, pair.chosen, pair.rejected) == ("edit", "A soup of small regrets.", "A soup of regret.")
    assert (pair.example, pair.candidate) == (decision.example, uid)
    assert pair.prompt == session.task.segments({"Mood": "Grim", "Price": "2"})
    session.delete_example(decision.example)  # what the person took back says nothing
    assert find_pairs(session.store, session.task) == []
    session.undo()
    assert len(find_pairs(session.store, session.task)) == 1


def test_a_text_kept_with_other_attributes_is_wanted_there_and_not_where_it_was_asked_for(session):
    calm, plain, grim = (
        *sample(session, "calm soup", Mood="Grim", Price="2"),
        *sample(session, "soup"),
        *sample(session, "no", Mood="Calm"),
    )
    decision = session.decide(calm, "accept", fields={"Mood": "Calm", "Price": "2"})
    example = session.store.examples[decision.example]
    assert (decision.verdict, decision.fields["Mood"], example.fields["Mood"], example.origin) == ("edit", "Grim", "Calm", "accepted")
    session.decide(plain, "accept", fields={"Mood": "Calm"})  # nothing was asked for, so nothing was wrong
    session.decide(grim, "reject")
    assert told(find_pairs(session.store, session.task)) == [("decided", "calm soup", "no")]
    prompt = session.task.prompt
    assert [(asked, text) for asked, text, wanted in labelled(session.store, session.task) if not wanted] == [
        (prompt({"Mood": "Grim", "Price": "2"}), "calm soup"), (prompt({"Mood": "Calm"}), "no"),
    ]  # fmt: skip
    (older,) = sample(session, "broth", Mood="Calm", Gone="yes")  # of a field that the task no longer has
    assert session.decide(older, "accept", fields={"Mood": "Calm"}).verdict == "accept"
    session.undo()
    (bare,) = sample(session, "stew", Mood="Grim")
    kept = session.decide(bare, "accept", fields={})
    assert session.store.examples[kept.example].fields == {} and kept.kept_fields == {}
    for _ in range(2):
        session.undo()
    assert {session.store.candidates[uid].state for uid in (bare, grim)} == {"pending"}


def test_what_was_rejected_and_is_kept_after_all_counts_once_as_kept(session):
    bad, good, skipped = sample(session, "bad soup", "good soup", "odd soup")
    old = session.decide(bad, "reject")
    session.decide(good, "accept")
    session.decide(skipped, "skip")
    new = session.decide(bad, "accept")
    example = session.store.examples[new.example]
    assert (example.origin, example.candidate, example.depth) == ("accepted", bad, 1)
    assert session.decide(skipped, "accept", "An odd soup, mended.").verdict == "edit"
    (round_,) = rounds(session.store.decisions.values())
    assert (round_.accepted, round_.edited, round_.rejected) == (2, 1, 0)
    assert (session.store.counts["rejected"], session.store.counts["skipped"], session.store.counts["accepted"]) == (0, 0, 2)
    assert told(find_pairs(session.store, session.task)) == [("edit", "An odd soup, mended.", "odd soup")]
    assert [text for _, text, wanted in labelled(session.store, session.task) if not wanted] == ["odd soup"]
    moment = all_moments(session)[-1]
    assert (moment.kept, moment.decided) == (3, 3)
    with pytest.raises(FlavorError, match="accepted already"):
        session.decide(bad, "accept")
    for _ in range(2):
        session.undo()
    assert session.store.decisions[old.uid] == old and new.uid not in session.store.decisions
    assert session.store.candidates[bad].state == "rejected" and new.example not in session.store.examples
    assert told(find_pairs(session.store, session.task)) == [("decided", "good soup", "bad soup")]
    with pytest.raises(FlavorError, match="rejected already"):
        session.decide(bad, "reject")


def test_an_accepted_text_that_is_rewritten_is_edited(session):
    (uid,) = sample(session, "good soup", Mood="Calm")
    example = session.decide(uid, "accept").example
    origin = lambda: session.store.examples[example].origin  # noqa: E731
    assert session.change_example(example, "good soup", {"Mood": "Grim"}).origin == origin() == "accepted"  # the words are the model's
    assert session.change_example(example, "A soup that is good.", {}).origin == origin() == "edited"
    assert session.change_example(example, "good soup", {}).origin == "accepted"
    session.undo()
    assert origin() == "edited"
    session.undo()
    assert origin() == "accepted"
    row = session.write_example("A dish.", {})
    assert session.change_example(row.uid, "Another dish.", {}).origin == "written"


def test_an_accepted_text_whose_example_was_deleted_can_be_kept_again(session):
    (uid,) = sample(session, "good soup")
    session.delete_example(session.decide(uid, "accept").example)
    session.decide(uid, "accept", "good soup, mended")
    assert [(e.text, e.origin) for e in session.store.examples.values()] == [("good soup, mended", "edited")]
    assert [decision.verdict for decision in session.store.decisions.values()] == ["edit"]


def test_the_accepted_meet_the_rejected_of_the_same_prompt_first(session):
    good = sample(session, "good calm", Mood="Calm", Price="1") + sample(session, "good grim", Mood="Grim", Price="1")
    bad = sample(session, "bad other", Mood="Calm", Price="5") + sample(session, "bad grim", Mood="Grim", Price="1")
    for uid in good:
        session.decide(uid, "accept")
    for uid in bad:
        session.decide(uid, "reject")
    pairs = find_pairs(session.store, session.task)
    assert told(pairs) == [("decided", "good calm", "bad other"), ("decided", "good grim", "bad grim")]
    # Where not all attributes are the same, the prompt has those that are.
    assert pairs[0].prompt == session.task.segments({"Mood": "Calm"})
    assert pairs[1].prompt == session.task.segments({"Mood": "Grim", "Price": "1"})


FIELDS = st.dictionaries(st.sampled_from(["Mood", "Price", "Kind"]), st.sampled_from("abc"), max_size=3)


@given(st.lists(FIELDS, max_size=9), st.lists(FIELDS, max_size=9))
def test_matching_by_attribute_value_finds_what_comparing_each_with_each_finds(good, bad):
    accepted = [Example(f"a{at}", "text", fields, "accepted", now()) for at, fields in enumerate(good)]
    rejected = [Candidate(f"r{at}", "text", fields, "base", "b", 0, 0, "stop", 9, [], now()) for at, fields in enumerate(bad)]
    each = [(-_likeness(example, other), at, place) for at, example in enumerate(accepted) for place, other in enumerate(rejected)]
    found = {}
    for _, at, place in sorted(each):
        if at not in found and place not in found.values():
            found[at] = place
    assert _matched(accepted, rejected) == [(accepted[at], rejected[place]) for at, place in sorted(found.items())]


def test_texts_with_nothing_in_common_are_not_compared_each_with_each():
    class Counted(dict):
        looked = 0

        def items(self):
            Counted.looked += 1
            return super().items()

        get = None

    accepted = [Example(f"a{at}", "text", Counted(Name=f"good {at}"), "accepted", now()) for at in range(50)]
    rejected = [Candidate(f"r{at}", "text", Counted(Name=f"bad {at}"), "base", "b", 0, 0, "stop", 9, [], now()) for at in range(50)]
    assert len(_matched(accepted, rejected)) == 50 and Counted.looked <= 4 * 50


def test_names_of_their_own_make_no_lists_of_their_own(monkeypatch):
    """Two thousand accepted and eight thousand rejected texts, each with a name, share the mood."""
    accepted = [Example(f"a{at}", "text", {"Mood": "ab"[at % 2], "Name": f"good {at}"}, "accepted", now()) for at in range(2000)]
    rejected = [
        Candidate(f"r{at}", "text", {"Mood": "ab"[at % 2], "Name": f"bad {at}"}, "base", "b", 0, 0, "stop", 9, [], now())
        for at in range(8000)
    ]
    counted = []
    monkeypatch.setattr("dataset.pairs.Counter", lambda places: counted.append(places) or Counter(places))
    assert [(good.uid[1:], bad.uid[1:]) for good, bad in _matched(accepted, rejected)] == [(str(at), str(at)) for at in range(2000)]
    assert len(counted) == 2  # one for each mood; of one for each text it took 3.7 s


def test_without_anything_in_common_the_heading_alone_is_the_prompt(session):
    (good,) = sample(session, "good", Mood="Calm")
    (bad,) = sample(session, "bad", Mood="Grim")
    session.decide(good, "accept")
    session.decide(bad, "reject")
    (pair,) = find_pairs(session.store, session.task)
    assert pair.prompt == [("# Tiny Tavern Menu\n\n", 0.0)]


def test_written_texts_meet_sampled_ones_that_are_alike_each_once_before_any_twice(session):
    session.write_example("mine grim", {"Mood": "Grim"})
    session.write_example("mine calm", {"Mood": "Calm"})
    for uid in sample(session, "bad calm", Mood="Calm") + sample(session, "bad grim", Mood="Grim"):
        session.decide(uid, "reject")
    sample(session, "never ends", flags=["never ended"])
    sample(session, "waits")  # nothing is known of it
    found = told(find_pairs(session.store, session.task))
    assert found[:2] == [("written", "mine grim", "bad grim"), ("written", "mine calm", "bad calm")]
    assert found[2][2] == "never ends"
    assert len(found) == len(set(found)) == 6
    assert told(find_pairs(session.store, session.task, most=3)) == found[:3]


def test_the_order_is_edits_decisions_written_and_the_held_out_stay_out(session):
    mine = session.write_example("mine", {})
    other = session.write_example("mine too", {})
    edited, good, bad = sample(session, "before", "good", "bad")
    session.decide(bad, "reject")
    session.decide(good, "accept")
    session.decide(edited, "accept", "after")
    assert [pair.origin for pair in find_pairs(session.store, session.task)] == ["edit", "decided", "written", "written"]
    held = {mine.uid, session.store.decisions[list(session.store.decisions)[-1]].example}
    found = find_pairs(session.store, session.task, held)
    assert [pair.example for pair in found if pair.origin != "decided"] == [other.uid]


def test_nothing_gives_nothing(session):
    assert find_pairs(session.store, session.task) == []
    session.write_example("mine", {})
    for uid in sample(session, "", "mine"):  # an empty text, and one that is the same
        session.decide(uid, "reject")
    assert find_pairs(session.store, session.task) == []


def evening(session, rows=10, bad=8):
    for number in range(rows):
        session.write_example(f"The {number} dish is a stew of {number} roots and one regret.", {"Mood": "Calm"})
    plan = session.plan(seed=1)
    session.registry.create(plan.spec, plan.rows)
    finish(session, "0001")
    for uid in sample(session, *(f"bad {number}" for number in range(bad)), Mood="Calm"):
        session.decide(uid, "reject")


def test_taste_says_what_is_missing(there):
    with Session(there) as session, pytest.raises(FlavorError, match=r"switched off.*docs/taste.md"):
        plan_taste(session)
    path = there / FILE
    path.write_text(path.read_text().replace("[training]\n", "[training]\ntaste = true\n"))
    with Session(there) as session:
        with pytest.raises(FlavorError, match="goes on from a checkpoint"):
            plan_taste(session)
        evening(session, rows=3, bad=2)
        session.registry.use("0001/epoch-01")
        with pytest.raises(FlavorError, match=r"Taste needs 8 pairs.*there are 6 pairs .0 edited.*6 written over sampled"):
            plan_taste(session)


def test_a_plan_of_taste_freezes_its_pairs_and_knows_no_held_out_row(there):
    path = there / FILE
    path.write_text(path.read_text().replace("[training]\n", "[training]\ntaste = true\n"))
    with Session(there) as session:
        evening(session)
        session.registry.use("0001/epoch-01")
        session.write_example("Written after the run.", {"Mood": "Grim"})
        plan = plan_taste(session, seed=3)
        assert (plan.spec.kind, plan.spec.parent, plan.spec.epochs, plan.spec.pairs) == ("taste", "0001/epoch-01", 2, 24)
        assert plan.line().startswith("taste of 0001/epoch-01: 24 pairs (0 edited over original, 0 accepted over rejected, 24 written")
        held = {row.id for row in plan.rows if row.held_out}
        assert held and not held & {pair.example for pair in plan.pairs}
        assert sum(row.repeat for row in plan.rows) == 24
        folder = session.registry.create(plan.spec, plan.rows, plan.pairs)
        assert len((folder / "pairs.jsonl").read_text().splitlines()) == 24
        assert plan_taste(session, seed=3).pairs == plan.pairs
        # A pass over the pairs is counted as seeing their texts.
        finish(session, "0002")
        session.registry.use("0002/epoch-01")
        seen = {row.id: row.seen for row in session.plan().rows}
        learned = [row for row in plan.rows if not row.held_out]
        assert all(seen[row.id] == row.seen + row.repeat for row in learned) and any(row.repeat for row in learned)


LOAD = """
import json, sys
from datasets import load_dataset
found = load_dataset("json", data_files=sys.argv[1], split="train", cache_dir=sys.argv[2])
print(json.dumps({"columns": found.column_names, "types": [str(f.dtype) for f in found.features.values()], "rows": list(found)}))
"""


def test_other_trainers_can_load_what_is_exported(session, tmp_path):
    session.write_example("mine", {"Mood": "Grim"})
    edited, bad = sample(session, "before", "bad", Mood="Grim")
    session.decide(edited, "accept", "after")
    session.decide(bad, "reject")
    found = {}
    for form in ("dpo", "kto"):
        path = tmp_path / f"{form}.jsonl"
        assert write_file(preferences(session.store, session.task, form), path) == {"dpo": 2, "kto": 4}[form]
        done = subprocess.run([sys.executable, "-c", LOAD, str(path), str(tmp_path / "cache")], capture_output=True, text=True, check=True)
        found[form] = json.loads(done.stdout.splitlines()[-1])
    prompt = session.task.prompt({"Mood": "Grim"})
    assert found["dpo"]["columns"] == ["prompt", "chosen", "rejected"] and set(found["dpo"]["types"]) == {"string"}
    assert found["dpo"]["rows"][0] == {"prompt": prompt, "chosen": "after", "rejected": "before"}
    assert found["kto"]["columns"] == ["prompt", "completion", "label"] and found["kto"]["types"] == ["string", "string", "bool"]
    assert {(row["completion"], row["label"]) for row in found["kto"]["rows"]} == {
        ("mine", True), ("after", True), ("before", False), ("bad", False),
    }  # fmt: skip
    assert all(row["prompt"] == prompt for row in found["kto"]["rows"])
    assert [label for _, _, label in labelled(session.store, session.task)] == [True, True, False, False]


def test_there_may_be_nothing_to_export(session, tmp_path):
    with pytest.raises(FlavorError, match="nothing to prefer"):
        preferences(session.store, session.task, "dpo")
