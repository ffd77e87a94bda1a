"""The ranking: a regression worked by hand, an order with its slots, what the session records, and what was gained."""

import itertools
import math
import random
import statistics

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.files import new_uid, now
from core.protocol import Candidate as Arrived
from core.ranking.gain import gain
from core.ranking.leaning import Leaning
from core.ranking.logistic import fit, sigmoid, solve
from core.ranking.order import DIFFER, KEEP, LANE, SLOTS, Item, arrange, in_lane
from core.ranking.predictor import LEAST, MOST, Predictor, latest
from core.ranking.signs import NAMES, Arrival, Habits, Known, Row, asked_for, content, likeness, signs, skeleton, stored
from core.ranking.suits import Suits
from core.text import words
from dataset.rows import Batch, Candidate, Decision, Tables
from dataset.store import Store
from tui.session.session import Session

GOOD, BAD = "the lamp burns low and warm", "# # # #"


def test_two_points_worked_by_hand():
    """Slope -2 (1 - s(w)) + pull w is 0 at w = 1 where pull is 2 (1 - s(1))."""
    model = fit([[-1.0], [1.0]], [False, True], [1.0, 1.0], [0.0], [2 * (1 - sigmoid(1))])
    assert model.weights[0] == pytest.approx(1, abs=1e-6)
    assert model.intercept == pytest.approx(0, abs=1e-6)
    assert model.score([1.0]) == pytest.approx(1)


def test_the_intercept_alone_gives_the_weighted_share():
    model = fit([[0.0]] * 4, [True, True, True, False], [1.0, 1.0, 1.0, 6.0], [0.0], [1.0])
    assert sigmoid(model.score([0.0])) == pytest.approx(3 / 9, abs=1e-3)


def test_a_strong_pull_keeps_the_guess():
    model = fit([[-1.0], [1.0]] * 8, [False, True] * 8, [1.0] * 16, [-2.0], [1e9])
    assert model.weights[0] == pytest.approx(-2)


def test_separable_rows_are_separated():
    rows = [[x / 10, (-1.0) ** x] for x in range(-20, 21) if x]
    model = fit(rows, [row[0] > 0 for row in rows], [1.0] * len(rows), [0.0, 0.0], [0.1, 0.1])
    assert all((model.score(row) > 0) == (row[0] > 0) for row in rows)


def test_solving_by_hand():
    assert solve([[4], [2, 3]], [2, 5]) == pytest.approx([-0.5, 2])


# -- the order ---------------------------------------------------------------------------------------------------------


def row(words=(), **values):
    """What is known of a candidate: some words, signs with some values, all else 0."""
    return Known([float(values.get(name.replace(" ", "_"), 0)) for name in NAMES], frozenset(words), frozenset())


def decided(*, flipped=False):
    """Twelve kept and twelve rejected, told apart by `weakest`."""
    return [(row(weakest=-3 + 2 * (number % 2) + number / 100), bool(number % 2) != flipped) for number in range(24)]


def items(weakest):
    return [Item(new_uid(), row(weakest=value), frozenset({f"word{number}"})) for number, value in enumerate(weakest)]


LEARNED, UNLEARNED = Predictor(decided()), Predictor([])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-5, 0), max_size=40), st.integers(0, 30), st.booleans())
def test_an_order_is_a_permutation_with_its_slots(weakest, start, learned):
    waiting = items(weakest)
    predictor = LEARNED if learned else UNLEARNED
    placed = arrange(waiting, predictor, [frozenset({"word3"})], start)
    assert sorted(place.uid for place in placed) == sorted(item.uid for item in waiting)
    assert placed == arrange(waiting, predictor, [frozenset({"word3"})], start)
    lane = [item.uid for item in waiting if in_lane(item.uid)]
    assert [place.uid for place in placed if place.slot == "random"] == lane
    for position, place in enumerate(placed, start):
        promised = SLOTS[position % 8]
        if place.slot == "random":
            assert promised == "random" or all(later.slot == "random" for later in placed[position - start :])
        elif learned:
            assert place.slot == ("ranked" if promised == "random" else promised)
            assert 0 <= place.predicted <= 1
        else:
            assert place.slot == "gauges" and place.predicted is None


def top_share(predictor):
    """The share of good ones among the first eight of twenty-four."""
    waiting = items([-1.0] * 8 + [-3.0] * 16)
    good = {item.uid for item in waiting[:8]}
    return sum(place.uid in good for place in arrange(waiting, predictor, [], 0)[:8]) / 8


def test_what_was_kept_before_comes_first():
    assert top_share(Predictor(decided())) >= 0.5 > 8 / 24
    assert top_share(Predictor(decided(flipped=True))) < 8 / 24  # the planted fault: a predictor that learned the wrong way round


def test_of_two_alike_the_second_waits():
    twin = row(weakest=-1)
    one, two, other = (Item(uid, twin, frozenset(words)) for uid, words in (("a1", "xy"), ("a2", "xy"), ("a3", "zw")))
    assert not any(map(in_lane, ("a1", "a2", "a3")))
    assert [place.uid for place in arrange([one, two, other], Predictor(decided()), [], 0)] == ["a1", "a3", "a2"]
    assert arrange([other, one, two], Predictor(decided()), [frozenset("zw")], 0)[0].uid == "a1"
    assert KEEP + DIFFER == 1


def test_while_nothing_is_learned_the_better_one_comes_before_the_less_alike_one():
    """What the gauges say of good texts is near 1 for all of them; held against each other they differ by as much as bad ones do."""
    shown = [frozenset({"tower", "keeper", "stairs", "door"})]
    better = Item("better", row(ended=1, shape=1, suits=2), frozenset({"tower", "lamp", "fog", "wick"}))
    worse = Item("worse", row(ended=1, shape=1, suits=-2), frozenset({"soup", "spoon", "kettle", "stove"}))
    assert UNLEARNED.chance(worse.known) > 0.9
    assert [place.uid for place in arrange([worse, better], UNLEARNED, shown, 0, ("ranked",))] == ["better", "worse"]
    assert LEARNED.chances([better.known]) == [LEARNED.chance(better.known)]


def test_too_few_decisions_teach_nothing():
    few = decided()
    kept = [pair for pair in few if pair[1]]
    assert Predictor(few).learned and LEAST == 8
    assert not Predictor(kept + [pair for pair in few if not pair[1]][: LEAST - 1]).learned
    assert not Predictor([]).learned


def test_signs_tell_a_good_text_from_a_broken_one():
    texts = ("The lamp burns warm at dusk.", "The lamp burns cold at noon.", "The lamp burns low tonight, they say.")
    habits = Habits((text, {}) for text in texts)
    fields = {"Coast": "Sarn"}
    good = dict(zip(NAMES, signs(Arrival("The lamp burns blue at Sarn.", fields, [], "stop", 0, -1.0, -2.0), habits), strict=True))
    bad = dict(zip(NAMES, signs(Arrival("#x #y " * 20, fields, ["hashtags"], "length", 0, -1.0, -2.0), habits), strict=True))
    assert good["shape"] == good["fields"] == 1 and bad["shape"] == bad["fields"] == 0
    assert good["length off"] < bad["length off"] and bad["flags"] == 1 and bad["ended"] == 0 and good["strange"] < bad["strange"]
    known = [Known(list(each.values()), frozenset(), asked_for(fields)) for each in (good, bad)]
    assert Predictor([]).chance(known[0]) > Predictor([]).chance(known[1])
    assert all(map(math.isfinite, signs(Arrival("", {}, [], "stop", 0, 0.0, 0.0), Habits([]))))


MOODS = [
    ({"ash", "rain", "road"}, {"Mood": "Grim", "Subject": "one"}),
    ({"ash", "iron"}, {"Mood": "Grim", "Subject": "two"}),
    ({"kite", "lemon", "road"}, {"Mood": "Joyful", "Subject": "three"}),
    ({"kite", "sun"}, {"Mood": "Joyful", "Subject": "four"}),
    ({"swan"}, {"Mood": "Dreamlike"}),
]


def test_words_of_a_value_suit_it():
    suits = Suits(MOODS)
    # two of two with the value have "ash" and none of the three others; two of five are expected: 1 / sqrt(2/5 * 3/5 * (1/2 + 1/3))
    assert suits.score({"ash"}, {"Mood": "Grim"}) == pytest.approx(1 / math.sqrt(0.2))
    assert suits.score({"ash"}, {"Mood": "Joyful"}) < 0 < suits.score({"ash", "kite", "sun"}, {"Mood": "Joyful"})
    assert suits.score({"ash", "unheard"}, {"Mood": "Grim", "Subject": "new"}) == suits.score({"ash"}, {"Mood": "Grim"})
    # an example is not enough for a value, nor a value that each example has anew; nothing is known of what was never there
    for fields in ({"Mood": "Dreamlike"}, {"Subject": "one"}, {"Mood": "unheard"}, {"Other": "Grim"}, {}):
        assert suits.score({"ash", "swan"}, fields) == 0
    assert (
        suits.score(set(), {"Mood": "Grim"})
        == suits.score({"unheard"}, {"Mood": "Grim"})
        == Suits([]).score({"ash"}, {"Mood": "Grim"})
        == 0
    )


@given(
    st.lists(st.tuples(st.frozensets(st.sampled_from("abcdef")), st.sampled_from("xy")), max_size=20),
    st.frozensets(st.sampled_from("abcdef")),
)
def test_of_two_values_what_suits_one_does_not_suit_the_other(rows, text):
    suits = Suits((found, {"Mood": value}) for found, value in rows)
    assert suits.score(text, {"Mood": "x"}) == pytest.approx(-suits.score(text, {"Mood": "y"}))


def test_where_values_do_not_matter_nothing_suits():
    """Its deviation is 1 then, and its mean 0: so it can be weighed before anything was decided."""
    rng = random.Random(5)
    words = [f"word{number}" for number in range(60)]

    def text():
        return frozenset(rng.sample(words, 12))

    scores = []
    for _ in range(60):
        suits = Suits((text(), {"Mood": rng.choice("abc")}) for _ in range(24))
        scores += [suits.score(text(), {"Mood": mood}) for mood in "abc"]
    assert abs(statistics.fmean(scores)) < 0.3 and 0.8 < statistics.pstdev(scores) < 1.2


def test_candidates_in_the_words_of_their_value_come_first():
    words = {"Grim": "ashes", "Joyful": "kites", "Eerie": "mirrors"}
    examples = [(f"The {word} of number {number}.", {"Mood": mood}) for number in range(3) for mood, word in words.items()]
    habits = Habits(examples)

    def known(text):
        return Known(signs(Arrival(text, {"Mood": "Grim"}, [], "stop", 0, -1.0, -2.0), habits), frozenset(text.split()), frozenset())

    assert Predictor([]).chance(known("The kites of number nine.")) < Predictor([]).chance(known("The ashes of number nine."))
    asked_now = known("The kites of number nine.").suited("The kites of number nine.", {"Mood": "Joyful"})
    assert asked_now.signs[NAMES.index("suits")] == 0  # it may be an example itself


FAR = {
    "Chinese": [("雨落在旧灯塔上，看守人点亮了灯。", {"气氛": "阴沉"}), ("乌云压着港口，雨没有停。", {"气氛": "阴沉"}),
                ("孩子们在沙滩上放风筝，阳光很好。", {"气氛": "欢乐"}), ("集市上有糖果和风筝，大家都笑。", {"气氛": "欢乐"})],
    "Korean": [("낡은 등대 위로 비가 내린다. 등대지기는 불을 켠다.", {"분위기": "어두운"}), ("항구에 비가 오고 구름은 낮다.", {"분위기": "어두운"}),
               ("아이들이 바다에서 연을 날린다. 햇살이 좋다.", {"분위기": "즐거운"}), ("시장에 사탕과 연이 있고 모두 햇살을 본다.", {"분위기": "즐거운"})],
}  # fmt: skip
"""Texts whose words have fewer than four characters."""


@pytest.mark.parametrize("script", FAR)
def test_scripts_with_short_words_are_ordered_too(script):
    examples = FAR[script]
    habits = Habits(examples)
    (copied, dark), (_, bright) = examples[0], examples[-1]
    copy = dict(zip(NAMES, signs(Arrival(copied, dark, [], "stop", 0, -1.0, -2.0), habits), strict=True))
    other = dict(zip(NAMES, signs(Arrival(copied, bright, [], "stop", 0, -1.0, -2.0), habits), strict=True))
    assert copy["nearest"] == 1 and copy["suits"] > 0 > other["suits"]
    own, new = (content(words(text), habits.form) for text, _ in (examples[0], examples[2]))
    mixed = content(words(f"{examples[0][0]} {examples[2][0]}"[len(copied) // 2 :]), habits.form)
    assert 0 == likeness(own, new) < likeness(own, mixed) < likeness(new, mixed) == 1  # a twin is told from a new one


TEXTS = st.lists(st.sampled_from(["lamps", "burn", "low,", "at", "dusk.", "雨落", "비가", "7"]), max_size=6).map(" ".join)
MADE = st.tuples(TEXTS, st.fixed_dictionaries({"Mood": st.sampled_from(["Grim", "Joyful"])}))


def known_of(habits, text, fields):
    """All that the habits make of a text, and what they are made of."""
    arrival = Arrival(text, fields, [], "stop", 0, -1.0, -2.0)
    return signs(arrival, habits), habits.form, habits.usual_steps, set(habits.contents), habits.marks, (habits.length, habits.spread)


@given(st.lists(MADE, max_size=9), st.lists(MADE, max_size=5), st.data())
def test_examples_counted_in_and_out_are_as_if_counted_anew(before, come, data):
    gone = data.draw(st.lists(st.sampled_from(range(len(before))), unique=True) if before else st.just([]))
    habits, rows = Habits(), [Row(*example) for example in before]
    habits.change((), rows)
    habits.change([rows[at] for at in gone], [Row(*example) for example in come])
    anew = Habits([example for at, example in enumerate(before) if at not in gone] + come)
    for text, fields in [*before, *come, ("lamps burn 雨落", {"Mood": "Grim"})]:
        assert known_of(habits, text, fields) == known_of(anew, text, fields)


def test_a_session_counts_its_examples_in_and_out(session):
    session.import_rows([(f"{GOOD}, as {number} keepers say", {}) for number in range(5)], "written")
    habits = session.ranking.habits
    (first, second, *_) = session.store.examples
    for change in (
        lambda: session.write_example("Mud and rain, mud and rain.", {}), lambda: session.change_example(first, "Mud on the door.", {}),
        lambda: session.delete_example(second), session.undo, session.undo,
    ):  # fmt: skip
        change()
        assert session.ranking.habits is habits  # not read anew, which takes half a second with 2,000 examples
        anew = Habits((example.text, example.fields) for example in session.store.examples.values())
        assert known_of(habits, "Mud keepers say the lamp", {}) == known_of(anew, "Mud keepers say the lamp", {})


def test_a_value_is_found_in_any_script():
    found = Habits([])
    for text, value, other in (
        ("天气阴沉，雨还在下。", "阴沉", "欢乐"),
        ("바다가 조용하다.", "바다", "산길"),
        ("The doors are red.", "door", "lamp"),
    ):
        both = [signs(Arrival(text, {"About": each}, [], "stop", 0, 0.0, 0.0), found)[NAMES.index("fields")] for each in (value, other)]
        assert both == [1.0, 0.0]


@given(st.text(st.characters(max_codepoint=0x24F)))
def test_latin_words_tell_something_from_four_letters_on(text):
    assert content(words(text), set()) == {word for word in words(text) if len(word) >= 4}


def test_what_hardly_differed_among_the_shown_stays_as_the_gauges_say():
    """What is decided was chosen by its form: that the kept ones had a shade less of it is chance, and says nothing of what has none."""
    shown = [row(ended=1, shape=1 - 0.005 * (number % 4), weakest=-number % 3) for number in range(60)]
    predictor = Predictor([(known, number % 4 >= 2) for number, known in enumerate(shown)])
    assert predictor.learned
    assert predictor.chance(row(ended=1, shape=1, weakest=-1)) > predictor.chance(row(ended=1, shape=0.6, weakest=-1))


def test_numbers_of_the_version_before_are_still_read():
    now_stored = [float(number) for number in range(len(NAMES))]
    before = [value for name, value in zip(NAMES, now_stored, strict=True) if name != "suits"]
    assert stored(now_stored) == now_stored and stored(before[1:]) is None and stored([]) is None
    assert dict(zip(NAMES, stored(before), strict=True)) == dict(zip(NAMES, now_stored, strict=True)) | {"suits": 0.0}


def test_a_skeleton_keeps_the_form_alone():
    steps = skeleton("Make a Wisdom check, difficulty 14. Success: all", {"make", "a", "check", "difficulty", "success"})
    pieces = ["^", "make", "a", "_", "check", ",", "difficulty", "0", ".", "success", ":", "_", "$"]
    assert steps == set(itertools.pairwise(pieces))


def test_words_lean_by_hand():
    """Kept: lamp, lamp; rejected: mud, lamp. Half is usual, and two decisions stand behind a word before any."""
    decided = [({"lamp"}, True, 1.0), ({"lamp"}, True, 1.0), ({"mud"}, False, 1.0), ({"lamp"}, False, 1.0)]
    leaning = Leaning(decided)
    assert leaning.score({"lamp"}) == pytest.approx(math.log((2 + 1) / (1 + 1)))
    assert leaning.score({"mud"}) == pytest.approx(math.log(1 / (1 + 1)))
    assert leaning.score({"lamp", "mud", "new", "other"}) == pytest.approx((math.log(3 / 2) + math.log(1 / 2)) / 2)
    alone = leaning.score({"mud"}, False, 1.0)
    assert alone == 0 == Leaning(decided[:2] + decided[3:]).score({"mud"})  # what only it has tells nothing of it


def test_a_decision_is_not_foreseen_by_itself():
    """Every text has one word of its own: learned from these, words must not count, else all old decisions would look foreseen."""
    noise = [(row([f"only{number}"]), number % 3 == 0) for number in range(60)]
    predictor = Predictor(noise)
    assert abs(predictor.chance(row(["only0"])) - predictor.chance(row(["only1"]))) < 0.2
    told = [(row(["lamp" if number % 3 == 0 else "mud", f"only{number}"]), number % 3 == 0) for number in range(60)]
    assert Predictor(told).chance(row(["lamp"])) > 0.8 > 0.2 > Predictor(told).chance(row(["mud"]))


def test_no_leaning_counts_against_what_it_leans_to():
    """What leaves each decision out of its own leaning makes kept ones look worse: learned from chance, the weights were below 0."""
    rng = random.Random(4)
    for _ in range(20):
        chance = [(row(rng.sample(["lamp", "mud", "fog", "wick", "soup"], 2), weakest=rng.random()), rng.random() < 0.4) for _ in range(60)]
        predictor = Predictor(chance)
        assert predictor.learned and min(predictor._model.weights[len(NAMES) :]) >= 0


def test_a_few_rejected_ones_long_ago_are_still_learned_from():
    """Where a person has come to keep nearly all, the last decisions alone would not have eight rejected ones."""
    old, new = decided(), [(row(weakest=-1), True)] * 2 * MOST
    predictor = Predictor(old + new)
    assert predictor.learned and (predictor.kept, predictor.rejected) == (MOST, LEAST)
    assert predictor.chance(row(weakest=-1)) > predictor.chance(row(weakest=-3))
    few = latest(reversed([*old[:2], *new]))
    assert few == latest(reversed(few)) == [old[0], *new[:MOST]] and not Predictor(few).learned
    assert latest(reversed(decided())) == decided()


def test_the_sentence_counts_no_more_than_it_knows(session):
    for good, count in ((False, LEAST - 2), (True, MOST + 4)):
        for uid in add(session, count, good=good):
            session.decide(uid, "accept" if good else "reject")
    assert f"at least {MOST} kept and {LEAST - 2} rejected so far" in session.ranking.state()
    for uid in add(session, 2, good=False):
        session.decide(uid, "reject")
    assert session.ranking.predictor.learned


# -- what was gained ---------------------------------------------------------------------------------------------------


def test_gain_needs_random_slots():
    nothing = gain([])
    assert nothing.ratio is None and (nothing.random.low, nothing.random.high) == (0, 1)
    ours = [("ranked", True)] * 9
    for few in ([("random", True)] * 9, [("random", False)] * 10, [("random", True)] + [("random", False)] * 30):
        told = gain(ours + few)
        assert told.ratio is None and "cannot tell yet" in told.sentence()
    assert gain(ours + [("random", True)] * 2 + [("random", False)] * 8).ratio


def test_gain_is_told_with_its_interval():
    much = gain([("ranked", True)] * 40 + [("ranked", False)] * 10 + [("random", True)] * 10 + [("random", False)] * 40)
    assert much.low > 1 and much.low < much.ratio < much.high and "helps" in much.sentence()
    none = gain([("ranked", n % 2 == 0) for n in range(40)] + [("random", n % 2 == 0) for n in range(40)])
    assert none.low < 1 < none.high and none.ratio == pytest.approx(1, abs=0.1) and "cannot tell yet" in none.sentence()


def test_all_that_the_ranking_shows_counts_as_its_order():
    """What it asks to learn from costs as much time as what it expects to be kept."""
    told = gain([("ranked", True)] * 5 + [("uncertain", False)] * 3 + [("novel", False)] * 2 + [("random", True)] + [("", True)])
    assert (told.ranked.kept, told.ranked.decided, told.random.decided) == (5, 10, 1)


# -- in a session ------------------------------------------------------------------------------------------------------


def add(session, count, checkpoint="base", good=True, text=""):
    """Waiting candidates with signs, as a worker's traits would give them."""
    batch = Batch(new_uid(), checkpoint, [], [], {}, now())
    made = {}
    for number in range(count):
        written = text or f"{GOOD if good else BAD} {new_uid()}"
        level = -1.0 if good else -4.0
        event = Arrived(id=1, index=number, text=written, finish="stop", tokens=9, own=level, weakest=level)
        found = session.ranking.signs(written, {}, [], event)
        uid = new_uid()
        made[uid] = Candidate(uid, written, {}, checkpoint, batch.uid, number, number, "stop", 9, [], now(), signs=found)
    session.commit("sample", Tables(candidates=dict(made), batches={batch.uid: batch}))
    return list(made)


def teach(session, count=LEAST):
    """So many accepted and rejected."""
    for good in (True, False):
        for uid in add(session, count, good=good):
            session.decide(uid, "accept" if good else "reject")


def test_the_slot_is_on_record_and_undo_brings_it_back(there, session):
    first = add(session, 3)
    session.ranking.hold(session.queue()[0].uid)
    assert session.decide(session.ranking.held, "skip").slot in ("gauges", "random")
    for uid in set(first) & set(session.store.pending):
        session.decide(uid, "skip")
    teach(session)
    add(session, 3)
    add(session, 3, good=False)
    card = session.queue()[0]
    session.ranking.hold(card.uid)
    place = session.ranking.place(card.uid)
    assert place.predicted is not None
    decision = session.decide(card.uid, "reject")
    assert (decision.slot, decision.predicted) == (place.slot, place.predicted)
    session.undo()
    assert session.ranking.held == card.uid and session.ranking.place(card.uid) == place and session.queue()[0].uid == card.uid
    assert session.decide(card.uid, "accept").slot == place.slot
    assert list(Store(there, read_only=True).decisions.values())[-1].slot == place.slot


def test_what_was_rejected_and_is_kept_after_all_is_learned_as_kept(session):
    teach(session)
    (uid,) = add(session, 1)
    card = session.queue()[0]
    session.ranking.hold(card.uid)
    old = session.decide(uid, "reject")
    kept, rejected = session.ranking.predictor.kept, session.ranking.predictor.rejected
    new = session.decide(uid, "accept")
    assert (new.slot, new.predicted) == (old.slot, old.predicted)  # why it was shown
    assert (session.ranking.predictor.kept, session.ranking.predictor.rejected) == (kept + 1, rejected - 1)
    (waiting,) = add(session, 1)
    session.ranking.hold(waiting)
    session.undo()
    assert (session.ranking.predictor.kept, session.ranking.predictor.rejected) == (kept, rejected)
    assert session.ranking.held == waiting  # what comes back is no card


def test_what_is_looked_at_does_not_move(session):
    teach(session)
    (bad,) = add(session, 1, good=False)
    session.queue()
    session.ranking.hold(bad)
    add(session, 6)
    assert session.queue()[0].uid == bad
    session.decide(bad, "reject")
    assert session.queue()[0].uid != bad


def settle(session, **changes):
    """Sampling settings for the rest of the session."""
    session.settings = msgspec.structs.replace(session.settings, sampling=msgspec.structs.replace(session.settings.sampling, **changes))


def test_before_something_is_learned_it_goes_by_gauges(session):
    settle(session, keep_ready=12)
    session.import_rows([(f"{GOOD}, as {number} keepers say", {}) for number in range(3)], "written")
    kept = add(session, 10)
    add(session, 10, good=False)
    assert session.pass_over(8) == 6
    passed = {uid for uid, candidate in session.store.candidates.items() if candidate.state == "passed"}
    assert not {uid for uid in passed if not in_lane(uid)} & set(kept) and len(passed) == 6


def test_the_least_likely_are_passed_over(there, session):
    teach(session)
    good, bad = add(session, 10), add(session, 6, good=False)
    looked_at = next(uid for uid in bad if not in_lane(uid))
    session.queue()
    session.ranking.hold(looked_at)
    settle(session, keep_ready=12, oversample=2)
    assert session.pass_over(8) == 4
    passed = {uid for uid, candidate in session.store.candidates.items() if candidate.state == "passed"}
    lane = [uid for uid in (*good, *bad) if in_lane(uid)]
    too_many = lane[-(-12 // LANE) :]  # of the twelve that stay, one in eight was touched by no ranking
    spare = [uid for uid in bad if not in_lane(uid) and uid != looked_at]
    assert looked_at not in passed and passed & set(lane) == set(too_many[-4:])
    rest = passed - set(lane)
    assert rest <= set(spare) or rest >= set(spare)
    assert session.store.counts["rejected"] == LEAST
    assert session.decide(passed.pop(), "accept").verdict == "accept"  # it can still be taken
    settle(session, oversample=1)
    assert session.pass_over(8) == 0


def test_an_older_checkpoints_candidates_go_when_enough_newer_ones_wait(session, monkeypatch):
    old = add(session, 4, checkpoint="base")
    monkeypatch.setattr(session.registry, "current", lambda: "0001/epoch-01")
    add(session, session.settings.sampling.keep_ready - 1, checkpoint="0001/epoch-01")
    assert session.pass_over(8) == 0
    add(session, 1, checkpoint="0001/epoch-01")
    assert session.pass_over(8) == 4
    assert all(session.store.candidates[uid].state == "passed" for uid in old)


def test_texts_without_a_word_wait_only_where_there_is_no_other(session):
    settle(session, keep_ready=12)
    empty = add(session, 2, text=" ")
    assert session.pass_over(8) == 0
    session.ranking.hold(empty[0])
    add(session, 1)
    assert session.pass_over(8) == 1
    assert [session.store.candidates[uid].state for uid in empty] == ["pending", "passed"]
    settle(session, oversample=1)
    session.ranking.hold("")
    assert session.pass_over(8) == 0


def test_a_restart_gives_the_same_order(there):
    with Session(there) as session:
        teach(session)
        add(session, 6)
        add(session, 6, good=False)
        before = [candidate.uid for candidate in session.queue()]
    with Session(there) as session:
        assert [candidate.uid for candidate in session.queue()] == before


def test_an_old_workspace_opens():
    """Rows as they were before there was any ranking."""
    candidate = msgspec.json.decode(
        b'{"uid":"a","text":"t","fields":{},"checkpoint":"base","batch":"b","index":0,"seed":1,"finish":"stop","tokens":1,"flags":[],"created":""}',
        type=Candidate,
    )
    decision = msgspec.json.decode(
        b'{"uid":"d","candidate":"a","verdict":"accept","time":"","before":"t","after":"t","fields":{},"checkpoint":"base","seed":1,"settings":{}}',
        type=Decision,
    )
    assert candidate.signs == [] and (decision.slot, decision.predicted) == ("", None)


def test_of_two_alike_that_wait_one_is_passed_over(session):
    """As likely to be kept as the twins is a third one, whose words are its own; there is room for two, and no order of arrival counts."""
    teach(session)
    (model,) = add(session, 1)
    signs = session.store.candidates[model].signs
    twins = ["Old Marrow lights candles along the harbour rail.", "Old Marrow lights candles along the harbour rail again."]
    lonely = "Winter clocks argue quietly about pudding."
    for order in ([*twins, lonely], [lonely, *twins], [twins[0], lonely, twins[1]]):
        batch = Batch(new_uid(), "base", [], [], {}, now())
        made = {}
        for number, text in enumerate(order):
            uid = next(uid for uid in iter(new_uid, "") if not in_lane(uid))
            made[uid] = Candidate(uid, text, {}, "base", batch.uid, number, number, "stop", 9, [], now(), signs=signs)
        session.commit("sample", Tables(candidates=dict(made), batches={batch.uid: batch}))
        (gone,) = session.ranking.surplus(list(made.values()), 1)
        assert gone.text in twins
        held = next(uid for uid, candidate in made.items() if candidate.text == twins[0])
        session.queue()
        session.ranking.hold(held)
        assert [c.text for c in session.ranking.surplus(list(made.values()), 1)] == [twins[1]]
        assert session.ranking.surplus(list(made.values()), 0) == []
