"""What is told of single rows and of how they were made: oddities, contradictions, coverage, active time, the edits of a round."""

import json
import random
from dataclasses import replace

import pytest

from core.gauges import conflicts as gauge
from core.gauges.conflicts import Entry, conflicts
from core.gauges.oddities import habits, oddities, one_slip
from core.task import Field, Task
from dataset.activity import Act, activity, acts
from dataset.coverage import coverage
from dataset.rounds import rounds
from tests.made import sample
from tests.test_tasting import decide

ROWS = [
    f"The {name} keep a harbour of {name} lanterns, and their empire counts ships." for name in ("Orla", "Bren", "Cass", "Dorn", "Elim")
]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The Fenn keep the the harbour of lanterns.", "“the the”"),
        ("The Fenn keep a harbuor of lanterns, and count ships.", "“harbuor”: meant “harbour”?"),
        ("The Fenn keep a harbour of lantterns, and count ships.", "“lantterns”: meant “lanterns”?"),
        ("The Fenn keep a harbour of lanterns", "no full stop at the end"),
        ("the Fenn keep a harbour of lanterns, and they count ships.", "begins with a small letter"),
        ("Ships.", "short: 1 word"),
        ("Ships sail. " * 30, "long: 60 words"),
    ],
)
def test_what_is_odd_is_named(text, said):
    assert oddities(text, habits([*ROWS, text])) == [said]


def test_what_is_not_odd_is_left_alone():
    of = habits(ROWS)
    assert not any(oddities(text, of) for text in ROWS)
    assert not oddities(
        "“They had had enough of a harbour and its lantern.”", habits([*ROWS, "x."])
    )  # a quote ends it, a plural is no typo
    assert one_slip("empier", "empire") is False and one_slip("emprie", "empire") and not one_slip("harbours", "harbour")


FREE = frozenset({"Scene"})


def entry(uid, text, **fields):
    return Entry(uid, fields, text, FREE)


def found(*rows):
    return [(conflict.first, conflict.second, conflict.words) for conflict in conflicts(rows)]


def test_one_text_under_two_attributes():
    text = "Nobody built the tower at Sarn; it was found, and whoever found it moved in the same night."
    rows = [entry("a", text, Mood="Calm", Price="3"), entry("b", text + " So they say.", Mood="Grim", Price="3")]
    assert found(*rows) == [("a", "b", "the same text, but Mood is Calm here and Grim there")]
    assert not found(rows[0], entry("c", text, Mood="calm"))  # the same, and one left open
    assert not found(entry("a", "A soup.", Mood="Calm"), entry("b", "A soup of roots.", Mood="Grim"))
    assert found(entry("a", "A soup.", Mood="Calm"), entry("b", "a soup", Mood="Grim"))
    assert not found(entry("a", "...", Mood="Calm"), entry("b", "!", Mood="Grim"))


def test_contrary_texts_under_one_prompt():
    scene = "An old door at the end of a flooded cellar"
    assert found(entry("a", "The door opens on DC 15.", Scene=scene), entry("b", "It takes DC 20, no less.", Scene=scene.lower())) == [
        ("a", "b", "the same prompt, but “dc” with 15 here and 20 there")
    ]
    contrary = found(entry("a", "The hinges never break.", Scene=scene), entry("b", "With a push the hinges break.", Scene=scene))
    assert contrary == [("a", "b", "the same prompt, but here it is “never break”, in the other “break”")]
    assert not found(entry("a", "Roll DC 15.", Scene=scene), entry("b", "Roll DC 20.", Scene="A cliff above the sea"))
    assert not found(
        entry("a", "Roll DC 15.", Mood="Calm"), entry("b", "Roll DC 20.", Mood="Calm")
    )  # texts of one mood are meant to differ
    assert not found(entry("a", "Roll DC 15.", Scene=scene, Mood="Calm"), entry("b", "Roll DC 20.", Scene=scene, Mood="Grim"))


def test_only_people_contradict_themselves_under_one_prompt():
    """Sampling asks for the same values again and again, and its texts are meant to differ."""
    scene = "An old door at the end of a flooded cellar"
    own, other = entry("a", "The door opens on DC 15.", Scene=scene), entry("b", "It takes DC 20.", Scene=scene)
    assert found(own, other) and not found(own, replace(other, human=False)) and not found(replace(own, human=False), other)
    twin = replace(entry("c", own.text, Scene=scene, Mood="Calm"), human=False)
    assert found(twin, entry("d", own.text, Scene=scene, Mood="Grim"))  # the same text is one, whoever wrote it


def many(count, values):
    """Rows of a few hundred words and many values, as a person has who imports a file."""
    draw = random.Random(1)
    vocabulary = ["".join(draw.choices("abcdefghij", k=5)) for _ in range(400)]
    several = lambda size: " ".join(draw.choices(vocabulary, k=size))  # noqa: E731
    scenes = [several(7) for _ in range(values)]
    return [
        entry(f"row{n}", f"Once upon a time there was {several(60)} at DC {draw.randint(5, 25)}.", Scene=draw.choice(scenes))
        for n in range(count)
    ]


@pytest.mark.parametrize("values", [2000, 20, 1])
def test_thousands_of_rows_are_compared_in_time(values, monkeypatch):
    asked = []
    for name in ("_alike", "_contrary"):
        compare = getattr(gauge, name)
        monkeypatch.setattr(gauge, name, lambda *two, compare=compare: (asked.append(1), compare(*two))[1])
    rows = many(2000, values)
    rows[1990] = entry("late", rows[3].text, Scene=rows[3].fields["Scene"] + " once", Mood="Grim")
    rows[3] = entry("early", rows[3].text, Scene=rows[3].fields["Scene"], Mood="Calm")
    told = conflicts(rows)
    assert len(asked) < 5 * gauge.MOST_HELD * len(rows) < len(rows) ** 2 / 4  # nowhere near all pairs
    assert ("early", "late") in [(each.first, each.second) for each in told]


def test_what_is_alike_is_found_whatever_word_differs():
    scene = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    for place in range(10):
        other = " ".join(scene[:place] + scene[place + 1 :])
        rows = [entry("a", "Roll DC 15.", Scene=" ".join(scene)), entry("b", "Roll DC 20.", Scene=other)]
        assert len(found(*rows)) == len(found(*reversed(rows))) == 1


def test_coverage_is_by_pairs_of_listed_fields():
    task = Task("x", fields=(Field("Mood", "choice", ("Calm", "Grim")), Field("Price", "scale"), Field("Cook")))
    (cover,) = coverage(task, [{"Mood": "Calm", "Price": "2", "Cook": "Ada"}, {"Mood": "Calm", "Price": "2"}, {"Mood": "Grim"}])
    assert cover.fields == ("Mood", "Price") and cover.counts["Calm", "2"] == 2 and len(cover.counts) == 10
    assert len(cover.missing) == 9 and ("Grim", "2") in cover.missing
    three = Task("x", fields=(*task.fields, Field("Size", "choice", ("Small", "Large"))))
    assert [cover.fields for cover in coverage(three, [])] == [("Mood", "Price"), ("Mood", "Size"), ("Price", "Size")]
    (single,) = coverage(Task("x", fields=(Field("Price", "scale"),)), [{"Price": "1"}])
    assert single.missing == [("2",), ("3",), ("4",), ("5",)]
    assert coverage(Task("x", fields=(Field("Cook"),)), [{"Cook": "Ada"}]) == []


def test_pauses_do_not_count():
    told = activity([Act(1000), Act(1060), Act(1060 + 400), Act(1460 + 400, typed=True), Act(1860 + 7200), Act(9090)])
    assert [round(sitting.active) for sitting in told.sittings] == [60 + 300, 30]
    assert told.active == 390 and told.clock == 860 + 30
    assert activity([]).active == 0


def test_moments_are_what_a_person_did(session):
    session.write_example("A stew.", {})
    decide(session, "base", kept=1, rejected=1)  # sampled by nobody
    session.undo()
    path = session.store.journal.path
    with open(path, "ab") as file:
        file.write(b'00000000 {"time": "yesterday", "kind": "write"}\n00000000 {"ti')
    assert [moment.typed for moment in acts(path)] == [True, False, False, False]
    kinds = [json.loads(line[9:])["kind"] for line in path.read_bytes().splitlines()[:-2]]
    assert len(kinds) > 4 and "sample" in kinds
    assert acts(path.with_name("absent")) == []


def test_a_round_knows_how_sure_its_edits_are(session):
    uids = [candidate.uid for candidate in sample(session, "base", ["a b c d", "e f g h", "i j k l", "m n o p", "q r s t"])]
    edited = ("a b c x", "e f y z", "i j k l", "m n o x")
    for uid, text in zip(uids, edited, strict=False):
        session.decide(uid, "accept", text)
    (told,) = rounds(session.store.decisions.values())
    assert told.changes == (0.25, 0.5, 0.25) and told.edits_interval() is None  # three say too little
    session.decide(uids[4], "accept", "q r x y")
    (told,) = rounds(session.store.decisions.values())
    low, high = told.edits_interval()
    assert told.edits == 0.375 and 0.2 < low < 0.25 and 0.5 < high < 0.6
    assert replace(told, changes=(0.25,) * 4).edits_interval() is None  # nor do equal ones
