"""The evening bench without its model: the judge on hand-worked cases and on the rows, the copies, the page and its picture."""

from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from bench import cases, page, peers, results
from bench.cases import Try, assess
from bench.evening import among_first
from bench.judge import CRITERIA, Tokens, clean_form, judge, likeness, longest_copy, right_length
from bench.plot import spread, svg
from bench.results import Evening, Given, Judged, Lane, Peer, Round
from core.config import Sampling
from dataset.rows import Candidate


def word_ends(text):
    """A tokenizer of words, each with the space before it."""
    return [at for at in range(1, len(text) + 1) if at == len(text) or text[at] == " "]


def tokens(text):
    return Tokens(text, word_ends(text))


# -- the criteria, one by one ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("A mill burns on the far bank.", True),
        ("“Run,” she said. “It hums!”", True),
        ("a mill burns on the far bank.", False),
        ("A mill burns on the far", False),
        ("A mill burns. #fire #mill", False),
        ("A mill burns.\n\n## Notes\n\nIt was old.", False),
        ("A mill burns.\n- one\n- two.", False),
        ("A mill burns, see https://mill.example.", False),
        ("Chapter 2\n\nA mill burns.", False),
        ("", False),
    ],
)
def test_clean_form(text, good):
    assert clean_form(text) is good


def test_length_is_between_six_tenths_of_the_shortest_and_half_as_much_again_as_the_longest():
    assert [right_length(" ".join(["word"] * count), (10, 20)) for count in (5, 6, 30, 31)] == [False, True, True, False]


def test_the_longest_copy_is_in_the_examples_tokens_and_of_one_example_only():
    first, second = tokens("the old well had one voice and no rope"), tokens("the old well had a lid of lead")
    assert longest_copy("they say the old well had one voice and a lid", [first, second]) == (7, "the old well had one voice and")
    assert longest_copy("they say the old well had sand", [first, second]) == (0, "")  # both have it: the form of the task
    assert longest_copy("they say the old well had sand", [first]) == (4, "the old well had")
    assert longest_copy("one voice and no rope", [first]) == (4, " voice and no rope")  # the first token has a space before it
    assert longest_copy("one voice and no rope", [first], ["one voice and no rope"]) == (0, "")  # the person gave it


def test_likeness_leaves_the_form_out():
    earlier = ["Make a check: the goose bites hard.", "Make a check: the ladder breaks away.", "Make a check: the candle burns down."]
    share, nearest = likeness("Make a check: the goose bites softly.", earlier)
    assert nearest == earlier[0] and share == pytest.approx(2 / 3)  # goose, bites of goose, bites, softly
    assert likeness("Make a check: the river rises.", earlier)[0] == 0.0
    assert likeness("Anything at all", []) == (0.0, "")


CHECK = (
    "Make a Strength check, difficulty 14. Success: the gate holds until all of you are through. Failure: it holds until four of you are."
)


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        (CHECK, set()),
        (CHECK.replace("14", "140"), {"form"}),
        (CHECK.replace("14", "2"), {"form"}),
        (CHECK.replace("a Strength", "a Luck"), {"form", "attributes"}),
        (CHECK.replace("a Strength", "a Charisma"), {"attributes"}),
        (CHECK.replace("Failure:", "Otherwise,"), {"form"}),
        (CHECK.replace("gate holds", "door stands").replace("it holds", "it stands"), {"subject"}),
        (CHECK[:-1], {"form"}),
        (CHECK.partition(" Failure")[0], {"form", "length"}),
    ],
)
def test_skill_checks(text, fails):
    case = cases.load("checks")
    fields = {"Scenario": "The gate is falling and the tide is rising", "Action": "Hold it open for the others"}
    found = judge(text, fields, True, 0, [row for row, _ in case.written], case.rules)
    assert tuple(found) == CRITERIA and {name for name, passed in found.items() if not passed} == fails


def test_the_prescribed_sentence_of_a_check_is_no_copy():
    case = cases.load("checks")
    copy = case.written[0][0].partition(" Success")[0] + CHECK[CHECK.index(" Success") :]
    fields = {"Scenario": "The gate is falling and the tide is rising", "Action": "Answer it"}
    [judged] = assess(case, [Try(copy, fields, True)], [text for text, _ in case.written], word_ends)
    assert judged.copied == 7 and "own words" not in judged.failed


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("A mill stands black above the river, oil on dark canvas, ash along the sills, two crows on the wheel, a cold grey sky.", set()),
        ("A mill stands bright above the river, oil on linen, children dancing along the weir, red kites, a yellow sun.", {"attributes"}),
        ("A tower stands black above the river, oil on dark canvas, ash along the sills, two crows on the roof, cold sky.", {"subject"}),
        ("A mill stands black above the river. Ash lies on the sills, two crows on the wheel, rain, cold, an empty sky.", {"form"}),
        ("A mill stands black above the river, ash along the sills, two crows on the wheel, rain, a cold grey sky above it.", {"form"}),
    ],
)
def test_paintings(text, fails):
    case = cases.load("paintings")
    fields = {"Subject": "A mill after the fire", "Mood": "Grim"}
    found = judge(text, fields, True, 0, [row for row, _ in case.written], case.rules)
    assert {name for name, passed in found.items() if not passed} - {"length"} == fails


def test_empires():
    case = cases.load("empires")
    text, fields = case.held_out[-1]
    earlier = [row for row, _ in case.written]

    def failed(text, fields=fields, ended=True, copied=0, earlier=earlier):
        return [name for name, passed in judge(text, fields, ended, copied, earlier, case.rules).items() if not passed]

    assert failed(text) == []
    assert failed(text, ended=False) == ["ends"]
    assert failed(text, copied=9) == ["own words"] and failed(text, copied=8) == []
    assert failed(text, {**fields, "Disposition": "Zealous"}) == ["attributes"]
    assert failed(text, earlier=[*earlier, text]) == ["subject", "new"]
    assert failed(text.replace("Varrock Thanes", "thanes")) == ["subject"]
    assert failed(text.replace(". ", ", ")) == ["form"]


# -- the rows --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", cases.SOURCES)
def test_the_judge_accepts_the_written_rows_and_tells_their_attributes(name):
    case = cases.load(name)
    assert len(case.written) == 12 and len(case.held_out) >= 10
    assert len({text for text, _ in case.written + case.held_out}) == len(case.written) + len(case.held_out)
    own, swapped = cases.ceiling(case, word_ends)
    assert own >= 0.85
    assert swapped <= 0.3  # a judge that accepts anything would be no judge


def test_every_action_asks_for_an_ability():
    case = cases.load("checks")
    from bench.rules import ABILITIES, found

    for _, fields in case.written + case.held_out:
        assert 1 <= sum(bool(found(lexicon, fields["Action"])) for lexicon in ABILITIES.values()) <= 4, fields["Action"]


def test_an_accepted_text_is_an_earlier_one_for_the_next():
    case = cases.load("checks")
    text, fields = case.held_out[0]
    once, again = assess(case, [Try(text, fields, True)] * 2, [row for row, _ in case.written], word_ends)
    assert once.failed == [] and again.failed == ["new"]


# -- peers -----------------------------------------------------------------------------------------------------------------


def test_the_recipes_updates_on_forty_rows():
    assert [recipe.steps(40) for recipe in peers.RECIPES.values()] == [6, 9, 1000]
    web = peers.RECIPES["text-generation-webui"]
    assert max(web.rate_at(step, 6) for step in range(6)) < web.rate / 2  # it never leaves its warm-up
    factory = peers.RECIPES["LLaMA-Factory"]
    assert [round(factory.rate_at(step, 9) / factory.rate, 2) for step in (0, 3, 8)] == [1.0, 0.75, 0.03]


class FakeEncoded(NamedTuple):
    """What the order of batches looks at; the real one lives beside torch."""

    row: str
    ids: list[int]


def test_batches_by_length_drop_the_longest_rows():
    rows = [FakeEncoded(str(size), [0] * size) for size in range(1, 11)]
    made = peers.batches(peers.RECIPES["mlx-lm"], rows, 1)
    seen = [next(made) for _ in range(4)]
    assert {row.row for batch in seen for row in batch} == {str(size) for size in range(1, 9)}
    small = peers.batches(peers.RECIPES["LLaMA-Factory"], rows, 1)
    assert len(next(small)) == 10  # the last batch of an epoch may be smaller


# -- the results -----------------------------------------------------------------------------------------------------------


def lane(kind, accepted, stops=8, copied=0, **more):
    """Eight texts, of which so many are accepted."""
    texts = [Judged("A text.", {}, [] if at < accepted else ["new"], at < stops, copied if at == 0 else 0) for at in range(8)]
    return kind(texts=texts, **more)


def made_up(**changes):
    """An evening that reaches everything."""
    rounds = [
        lane(Round, 1, 2, number=0, checkpoint="base", rows=0, held_out=4.0, seconds={"sample": 20.0}),
        lane(Round, 4, number=1, checkpoint="0001/epoch-02", rows=12, held_out=3.0, epochs={"a": 3.2, "b": 3.0}, seconds={"train": 30.0}),
        lane(Round, 6, copied=8, number=2, checkpoint="0002/epoch-01", rows=16, held_out=2.9, epochs={"c": 2.9}, first=3),
    ]
    empty = Given(2, [], [], [], [], [])
    others = [
        lane(Peer, 1, 3, tool="LLaMA-Factory", rows=16, after=2, steps=3, planned=3, held_out=3.5, last=3.5),
        lane(Peer, 1, 3, tool="mlx-lm", rows=16, after=2, steps=90, planned=1000, held_out=3.4, last=3.6),
    ]
    values = {"rounds": rounds, "peers": others, "few_shot": lane(Lane, 2, held_out=3.7), "sets": [empty], **changes}
    return Evening("empires", 1, "cpu", 0.9, 0.2, settings=Sampling(), versions={"torch": "2"}, **values)


def findings(evening):
    return [measure(evening)[1] for _, _, measure in page.TARGETS]


def test_what_was_to_be_reached():
    good = made_up()
    assert findings(good) == [True, True, True, True, True, False]
    rounds = good.rounds
    worse = [
        rounds[0],
        rounds[1],
        lane(Round, 5, 7, 9, number=2, checkpoint="d", rows=16, held_out=3.5, epochs={"c": 3.4, "d": 3.5}, first=5),
    ]
    assert findings(made_up(rounds=worse)) == [True, False, False, False, False, False]
    assert findings(made_up(rounds=[lane(Round, 4, number=0, checkpoint="base", rows=0), *rounds[1:]]))[0] is False
    ordered = lane(Round, 6, number=2, checkpoint="d", rows=16, held_out=2.9, epochs={"c": 2.9}, first=15, by_chance=12.0)  # in groups
    assert page.ranked(made_up(rounds=[*rounds[:2], ordered])) == ("1.25 times", True)
    assert findings(made_up(rounds=rounds[:2], peers=[], sets=[])) == [False, None, True, True, None, None]


def test_the_page_and_its_picture(tmp_path):
    evening = made_up()
    results.write(tmp_path / "run.json", evening)
    assert results.read(tmp_path / "run.json") == evening
    page.write([evening, evening], tmp_path)
    text = (tmp_path / "evening.md").read_text()
    accepted = "75% of what was shown, after 12% of the base; 75% of all sampled"
    assert f"| accept rate in the last round over round 0 | 3 times, and 60 % | reached: {accepted} | reached: {accepted} |" in text
    assert "| mlx-lm | 16 | 90 updates of 1000, then its budget ended | 12% | 38% | 3.400 (3.600 at its end) |" in text
    assert "| the base, shown examples |" in text
    widths = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert len(set(widths)) <= 3
    root = ElementTree.fromstring((tmp_path / "evening.svg").read_text())
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words.count("ours 75%") == 2 and words.count("mlx-lm 3.40") == 2
    for element in root.iter("{http://www.w3.org/2000/svg}text"):
        x, y, length = float(element.get("x")), float(element.get("y")), 6 * len(element.text)  # eleven-pixel letters
        assert 0 <= (x - length if element.get("text-anchor") == "end" else x) <= float(root.get("width")) - length
        assert 0 < y < float(root.get("height"))


def test_a_picture_of_a_run_without_others_has_names_that_do_not_overlap():
    assert "few-shot" not in svg([made_up(few_shot=None, peers=[])])
    assert spread([10, 12, 50], 100, 12) == [10, 22, 50]
    assert spread([10, 40, 45, 50], 50, 12) == [10, 26, 38, 50]


def test_the_first_in_an_order():
    made = [Candidate(str(at), "A text.", {}, "base", "b", at, at, "stop", 2, [], "") for at in range(24)]
    judged = [Judged("A text.", {}, [] if at % 3 == 0 else ["new"], True, 0) for at in range(24)]
    assert among_first([str(at) for at in range(24)], made, judged) == 3
    assert among_first([str(at) for at in range(0, 24, 3)], made, judged) == 8
