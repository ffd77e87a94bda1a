"""The gauges on cases worked out by hand, and what must hold for any text."""

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.gauges.breakdown import breaks, ended
from core.gauges.copying import Copying, copied_shares, run_holders, runs
from core.gauges.diversity import compression_ratio, compressions, distinct, equal_length, self_repetition, shared_spans
from core.gauges.edits import edit_distance
from core.gauges.openings import names, nouns_too, same_openings
from core.gauges.reading import Sample, Source, percent
from core.gauges.sampled import of_texts
from core.gauges.statistics import beta_quantile, beta_share, mean_interval, share_interval
from core.gauges.thresholds import THRESHOLDS
from core.text import words
from dataset.rounds import Round, rounds
from dataset.rows import Decision

# -- intervals


@pytest.mark.parametrize(
    ("x", "a", "b", "expected"),
    [
        (0.3, 1, 1, 0.3),  # flat
        (0.3, 2, 1, 0.09),  # x squared
        (0.3, 1, 5, 1 - 0.7**5),
        (0.5, 7, 7, 0.5),  # symmetric
        (0.3, 2, 3, 0.3483),  # two or more of four at 0.3: 6·0.09·0.49 + 4·0.027·0.7 + 0.0081
        (0.25, 0.5, 0.5, 1 / 3),  # arcsine: 2/π · asin(√x)
        (0.0, 3, 4, 0.0),
        (1.0, 3, 4, 1.0),
    ],
)
def test_the_beta_function_at_known_places(x, a, b, expected):
    assert beta_share(x, a, b) == pytest.approx(expected, abs=1e-12)


@given(st.floats(0.01, 0.99), st.floats(0.5, 200), st.floats(0.5, 200))
def test_quantiles_are_the_inverse(share, a, b):
    place = beta_quantile(share, a, b)
    assert 0 <= place <= 1
    if 1e-9 < place < 1 - 1e-9:
        assert beta_share(place, a, b) == pytest.approx(share, abs=1e-6)


def test_share_intervals():
    assert share_interval(5, 10, 0.95) == pytest.approx((0.224, 0.776), abs=0.001)  # Brown, Cai and DasGupta's table for n = 10
    assert share_interval(0, 0) == (0.0, 1.0)
    assert share_interval(0, 9)[0] == 0.0 and share_interval(9, 9)[1] == 1.0
    narrow, wide = share_interval(75, 100), share_interval(3, 4)
    assert wide[0] < narrow[0] < 0.75 < narrow[1] < wide[1]


@given(st.integers(0, 60), st.integers(0, 60))
def test_a_share_lies_in_its_interval(hits, misses):
    low, high = share_interval(hits, hits + misses)
    assert 0 <= low <= high <= 1
    if hits + misses:
        assert low <= hits / (hits + misses) <= high


def test_mean_intervals():
    assert mean_interval([]) is mean_interval([0.5, 0.1, 0.2]) is None
    assert mean_interval([0.25] * 9) == pytest.approx((0.25, 0.25))
    assert mean_interval([0.0] * 8) == share_interval(0, 8) and mean_interval([1.0] * 8) == share_interval(8, 8)
    low, high = mean_interval([0.0, 1.0] * 20)
    assert 0.3 < low < 0.5 < high < 0.7


@pytest.mark.parametrize("count", [4, 5, 8, 24])
@pytest.mark.parametrize(
    ("drawn", "mean"),
    [
        (lambda draw: draw.betavariate(0.5, 2), 0.2),
        (lambda draw: draw.betavariate(1, 6), 1 / 7),
        (lambda draw: draw.betavariate(5, 1), 5 / 6),
        (lambda draw: draw.betavariate(1, 3) if draw.random() < 0.5 else 0.0, 1 / 8),
    ],
)
def test_the_interval_of_a_mean_holds_the_truth_nearly_nine_times_out_of_ten(count, drawn, mean):
    """Of skewed shares, as copying and edits are: most near an end, or half of them nothing."""
    draw, held = random.Random(count), 0
    for _ in range(800):
        low, high = mean_interval([drawn(draw) for _ in range(count)])
        held += low <= mean <= high
    assert 0.86 <= held / 800 <= 0.94


# -- copying


def test_copied_shares_by_hand():
    shares = copied_shares({"t": "a b c d e x"}, run_holders({"r": "A, b; c d e!"}))
    # 4-runs: abcd bcde of 3; 5-runs: abcde of 2; 6-runs: none of 1
    assert shares["t"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert copied_shares({"t": "a b c d"}, run_holders({"r": "x a b c d"})) == {"t": 1.0}  # no run of five to count
    assert copied_shares({"t": "a b c"}, run_holders({"r": "a b c"})) == {}


def test_rows_against_themselves_leave_their_own_out():
    rows = {"one": "the same five words here", "two": "the same five words here", "three": "nothing at all like it is"}
    assert copied_shares(rows, run_holders(rows)) == {"one": 1.0, "two": 1.0, "three": 0.0}


TEXT = st.lists(st.sampled_from("abc"), max_size=12).map(" ".join)
ANY = st.text(max_size=60)


@given(TEXT, st.lists(TEXT, max_size=4))
def test_copied_shares_are_shares_and_more_sources_copy_no_less(text, others):
    few = copied_shares({"t": text}, run_holders({str(n): other for n, other in enumerate(others[:2])}))
    more = copied_shares({"t": text}, run_holders({str(n): other for n, other in enumerate(others)}))
    assert few.keys() == more.keys()
    assert all(0 <= few[uid] <= more[uid] <= 1 for uid in few)


@given(TEXT, TEXT)
def test_the_longest_span_stands_in_both(text, other):
    span, source = Copying([("r", other)]).span(text)
    found = {tuple(words(text)[a:b]) for a in range(12) for b in range(a + 4, 13)} & {
        run for size in range(4, 13) for run in runs(words(other), size)
    }
    assert len(span) == max(map(len, found), default=0)
    assert not span or (tuple(span) in found and source == "r")


# -- diversity


def test_equal_length():
    mine, theirs = equal_length(["a b c d e f", "g h", "i j k l"], ["1 2 3", "4 5 6"])
    assert [len(mine), len(theirs)] == [2, 2]
    assert sum(map(len, mine)) == sum(map(len, theirs))
    assert equal_length([], ["a"]) == ([], [])


@given(st.lists(ANY, max_size=5), st.lists(ANY, max_size=5))
def test_equal_length_is_equal_for_any_texts(texts, others):
    mine, theirs = equal_length(texts, others)
    assert len(mine) == len(theirs) == min(len(texts), len(others))
    assert sum(map(len, mine)) == sum(map(len, theirs))


def test_compression_tells_copies_from_different_texts():
    same = [["the", "moon", "is", "a", "lamp", "that", "nobody", "lit", "and", "nobody", "can", "put", "out"]] * 8
    other = [[f"{letter}{number}" for number in range(12)] for letter in "abcdefgh"]
    assert compression_ratio(same) > 3 * compression_ratio(other)
    assert compression_ratio([]) == compression_ratio([[]]) == 0.0


def test_self_repetition_and_distinct_by_hand():
    texts = [list("abcde"), list("xabcd"), list("klmno")]
    assert self_repetition(texts) == pytest.approx(2 / 6)  # abcd in two of the texts, of six runs in all
    assert self_repetition([list("abcdabcd")]) == 0.0  # within one text it does not count
    assert self_repetition([]) == 0.0
    assert distinct([list("aab"), list("b")], 1) == 2 / 4
    assert distinct([list("aab"), list("b")], 2) == 1.0  # pairs do not reach over the end of a text
    assert distinct([], 1) == 0.0


def test_shared_spans_grow_to_their_ends():
    spans = shared_spans({"1": "so the old king of the sea sleeps", "2": "and the old king of the sea wakes", "3": "no king"})
    assert spans == [(["the", "old", "king", "of", "the", "sea"], ["1", "2"])]
    assert shared_spans({"1": "a b c d e"}) == [] == shared_spans({})


# -- openings, names, ends, edits


def test_openings_and_names():
    texts = {
        "1": "The empire of Vask sleeps. Seraphina guards it, and Seraphina's sons.",
        "2": "the Empire of glass, ruled by Seraphina",
        "3": "Nothing. Seraphina's hand",
        "4": "In short",
    }
    assert same_openings(texts) == [("the empire of", ["1", "2"])]
    assert names(texts) == [("Seraphina", ["2", "1"])] or names(texts) == [("Seraphina", ["1", "2"])]
    assert names({"1": "on Gull Point", "2": "on Gull Rock"}) == [("Gull", ["1", "2"])]
    assert names({"1": "on Gull Point", "2": "on Gull Rock"}, {"gull"}) == []
    assert names({}) == [] == same_openings({})


def test_what_is_a_noun_where_nouns_have_a_capital_is_called_no_name():
    snow = [
        f"Der Schnee fällt leise auf {house},\nder Kater schläft am Ofen, halb noch wach."
        for house in ("das alte Dach", "mein Haus", "den Wald")
    ]
    rows = [Source(f"r{number}", text) for number, text in enumerate(snow)]
    assert "texts have the word " in by_name(of_texts(sampled(snow), rows))["names"].sentence
    texts = [f"{text} They call it Seraphina." for text in DIFFERENT]
    assert "texts have the name Seraphina in them" in by_name(of_texts(sampled(texts), ROWS))["names"].sentence
    assert not nouns_too(DIFFERENT) and not nouns_too([])


def test_what_broke_and_what_ended():
    assert breaks(["never ended", "copies 9 words", "much shorter than any example", "hashtags"]) == ["hashtags"]
    assert ended("stop", []) and not ended("length", []) and not ended("stop", ["began a new heading"])


@pytest.mark.parametrize(
    ("before", "after", "distance"),
    [
        ("", "", 0),
        ("a b c", "a b c", 0),
        ("a b c d", "a x c d", 1 / 4),
        ("a b", "a b c d", 2 / 4),
        ("a b c d", "c d", 2 / 4),
        ("a b", "x y z", 1),
        ("雨在夜里落下，灯亮着。", "雪在夜里落下，灯灭着。", 2 / 11),  # without blanks, by characters
        ("灯 lamp 亮着", "灯 lamps 亮着", 1 / 4),
        ("비가 내린다", "눈이 내린다", 1 / 2),
    ],
)
def test_edit_distance(before, after, distance):
    assert edit_distance(before, after) == distance == edit_distance(after, before)


@given(TEXT, TEXT, TEXT)
def test_edit_distance_is_a_distance(a, b, c):
    def whole(x, y):
        return edit_distance(x, y) * max(len(x.split()), len(y.split()))

    assert 0 <= edit_distance(a, b) <= 1 and (edit_distance(a, b) == 0) == (a.split() == b.split())
    assert whole(a, c) <= whole(a, b) + whole(b, c) + 1e-9


@given(st.lists(st.sampled_from("abc"), max_size=9), st.lists(st.sampled_from("abc"), max_size=9))
def test_edit_distance_is_that_of_the_table(one, other):
    table = {(x, y): x + y for x in range(len(one) + 1) for y in range(len(other) + 1)}
    for x, y in itertools.product(range(1, len(one) + 1), range(1, len(other) + 1)):
        table[x, y] = min(table[x - 1, y] + 1, table[x, y - 1] + 1, table[x - 1, y - 1] + (one[x - 1] != other[y - 1]))
    assert edit_distance(" ".join(one), " ".join(other)) == table[len(one), len(other)] / max(len(one), len(other), 1)


def test_rounds():
    def decision(number, verdict, checkpoint="0001/epoch-01", after=""):
        return Decision(str(number), str(number), verdict, "now", "a b c d", after, {}, checkpoint, 0, {})

    told = rounds(
        [decision(1, "reject", "base"), decision(2, "edit", after="a b c x"), decision(3, "edit", after="x b c x"), decision(4, "accept"), decision(7, "edit", after="a b c d"),
         decision(5, "skip"), decision(6, "reject")]
    )  # fmt: skip
    assert told == [Round("base", 0, 0, 1, None), Round("0001/epoch-01", 1, 3, 1, (1 / 4 + 2 / 4) / 2, (1 / 4, 2 / 4))]
    assert (told[1].kept, told[1].decided, told[1].share) == (4, 5, 0.8)
    assert rounds([]) == []


# -- readings of texts

ROWS = [
    Source(f"r{number}", f"{opening} the keeper of {place} counts {thing} by lamplight and writes nothing down at all.")
    for number, (opening, place, thing) in enumerate(
        [("Every night", "Sarn", "ships"), ("Once", "Gull", "gulls"), ("They say", "Oar", "debts"), ("On Sundays", "Mell", "bells")] * 3
    )
]
DIFFERENT = [
    "A tower nobody built stands where two currents argue over a drowned parish.",
    "Salt got into the clock; since then noon arrives whenever someone is hungry.",
    "My grandmother sold fog in jars until the harbour master asked for a licence.",
    "Seven steps down there is a door for seals, and it is never locked.",
    "Whoever paints it white wakes with white hands and somebody else's memories.",
    "The beam turns left on weekdays. Captains plan marriages around that habit.",
    "It was cheaper to move the rocks, so the council moved them to paper.",
    "Gannets hold court on its gallery; appeals are heard in April, loudly.",
]


def sampled(texts, finish="stop", flags=()):
    return [Sample(f"c{number}", text, finish, tuple(flags)) for number, text in enumerate(texts)]


def by_name(readings):
    return {reading.name: reading for reading in readings}


def test_different_texts_are_fine_and_copies_are_not():
    good = by_name(of_texts(sampled(DIFFERENT), ROWS))
    assert {name: reading.says for name, reading in good.items() if reading.says not in ("fine", "")} == {}
    assert good["copying"].number == 0.0 and good["natural stop"].number == 1.0
    copied = by_name(of_texts(sampled([row.text for row in ROWS[:8]]), ROWS))
    assert copied["copying"].number == 1.0
    span = copied["longest span"]
    assert span.number == len(words(span.evidence[0].words)) and span.evidence[0].source.startswith("r")


def test_copying_is_held_against_the_rows_own_level():
    """Rows of one form share most of their runs; texts of that form are no copies, those of a stranger's rows would be."""
    form = sampled([f"Tonight number {n} the keeper of Vask counts moths by lamplight and writes nothing down at all." for n in range(8)])
    assert by_name(of_texts(form, ROWS))["copying"].says == "fine"
    apart = [Source(f"r{number}", text) for number, text in enumerate(DIFFERENT)]
    assert by_name(of_texts(sampled([text + " Truly." for text in DIFFERENT]), apart))["copying"].says == "over"


def test_monotonous_texts_lean_over():
    texts = [f"In the distant reaches of Seraphina there lives {thing}." for thing in ("a", "one b", "some c", "no d", "e", "f", "g", "h")]
    found = by_name(of_texts(sampled(texts), ROWS))
    assert found["openings"].says == found["names"].says == found["compression"].says == "leans over"
    assert found["names"].evidence[0].words == "“Seraphina” in 8 texts"
    asked = [Sample(f"c{n}", text, "stop", (), ("House of Seraphina",)) for n, text in enumerate(texts)]
    assert by_name(of_texts(asked, ROWS))["names"].number == 0.0  # the person asked for her


def prose(count, seed):
    """Sentences of a vocabulary of their own."""
    draw = random.Random(seed)
    vocabulary = ["".join(draw.choices("abcdefghijklm", k=draw.randint(2, 7))) for _ in range(300)]
    return [" ".join(draw.choices(vocabulary, k=14)) + "." for _ in range(count)]


def test_compression_speaks_only_where_it_does_not_depend_on_the_draw():
    """Two thirds of the texts are of one pattern: by some twelve of them they pass for monotonous, by others not."""
    rows = [Source(f"r{n}", text) for n, text in enumerate(prose(12, 0))]
    alike = [f"In the distant reaches of Seraphina there lives a {text}" for text in prose(48, 1)]
    for share in (0, 48):
        reading = by_name(of_texts(sampled(alike[:share] + prose(48, 2)[share:]), rows))["compression"]
        assert reading.says == ("leans over" if share else "fine")
    mixed = sampled(alike[:32] + prose(48, 2)[32:])
    ratios = [own / other for own, other in compressions([sample.text for sample in mixed], [row.text for row in rows])]
    assert min(ratios) < THRESHOLDS.alike < max(ratios)
    reading = by_name(of_texts(mixed, rows))["compression"]
    assert reading.says == "fine" and reading.number > THRESHOLDS.alike * reading.reference
    assert reading == by_name(of_texts(mixed, rows))["compression"]  # the same draws each time


def test_as_many_texts_as_rows_are_drawn_from_too():
    assert len(set(compressions(prose(12, 0), prose(12, 1)))) > 10
    assert compressions([], prose(12, 1)) == [] and len(compressions(["a"] * 2, ["b"] * 2)) == 20


def test_texts_that_never_end_and_texts_that_break():
    long = [f"{text} {' '.join('and so on' for _ in range(9))}" for text in DIFFERENT]
    never = by_name(of_texts(sampled(long, "length"), ROWS))
    assert (never["natural stop"].number, never["natural stop"].says) == (0.0, "under")
    assert never["natural stop"].evidence[0].where == "c0"
    assert "natural stop" not in by_name(of_texts(sampled(["Cut off"] * 8, "length"), ROWS))  # shorter than any row: no witness
    broken = by_name(of_texts(sampled(DIFFERENT, flags=("hashtags",)), ROWS))
    assert (broken["breakdown"].number, broken["breakdown"].says) == (1.0, "under")


def test_few_texts_say_nothing():
    assert of_texts([], ROWS) == []
    assert {reading.says for reading in of_texts(sampled([ROWS[0].text] * 7), ROWS)} == {""}


FOREIGN = [
    "灯台守は船を数える。何も書かない。",
    "Смотритель маяка считает корабли и ничего не пишет вовсе никогда",
    "حارس المنارة يعد السفن",
    "👩‍🚀",
    "",
]


@settings(max_examples=60)
@given(st.lists(st.one_of(st.sampled_from(FOREIGN), ANY), max_size=9), st.lists(st.one_of(st.sampled_from(FOREIGN), ANY), max_size=4))
def test_any_texts_give_readings_within_bounds(texts, rows):
    sources = [Source(f"r{number}", text, human=number % 3 != 2, held_out=number % 2 == 1) for number, text in enumerate(rows)]
    for reading in of_texts(sampled(texts, "length"), sources):
        assert math.isfinite(reading.number) and reading.number >= 0
        assert reading.unit != "share" or reading.number <= 1
        assert reading.interval is None or 0 <= reading.interval[0] <= reading.interval[1] <= 1
        assert reading.sentence.endswith(".") and reading.value()


def test_percent():
    assert [percent(share) for share in (0, 0.004, 0.083, 0.5, 1)] == ["0 %", "0.4 %", "8 %", "50 %", "100 %"]
