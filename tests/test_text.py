"""The sanitiser, the files, the task and its prompts, the gauges: the parts without state."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import files
from core.errors import FlavorError
from core.gauges import copying
from core.gauges.breakdown import flags, usual
from core.gauges.copying import Copying
from core.task import Field, Task, parse_field, parse_fields
from core.text import _spans, check_text, clean, clean_line, clean_text, to_json, word_places, words


@given(st.text())
def test_clean_is_idempotent_and_leaves_nothing_that_a_terminal_obeys(text):
    once = clean(text)
    assert clean(once) == once
    assert all(
        c == "\n" or not (ord(c) < 32 or 127 <= ord(c) < 160 or 0x202A <= ord(c) <= 0x202E or 0xD800 <= ord(c) < 0xE000) for c in once
    )
    once.encode("utf-8")


@given(st.text() | st.text("\u3000\u205f\u200d\u200c\ufe0f\u0301 \n文☃x"))
def test_what_is_stored_is_clean_and_stays_as_it_is(text):
    once = clean_text(text)
    assert clean(once) == clean_text(once) == once == once.strip()
    if once:
        assert check_text(text) == check_text(once) == once


@given(st.text("\u3000\u205f\u200d\u200c\ufe0f\u0301 \n文☃x"))
def test_a_line_is_clean_and_stays_as_it_is(text):
    once = clean_line(text)
    assert clean(once) == clean_line(once) == once == once.strip()


@given(st.text())
def test_json_is_one_line_for_every_reader(text):
    line = to_json({"text": text})
    assert line.splitlines() == [line] and json.loads(line) == {"text": text}


def test_clean_shows_what_it_takes_away():
    assert clean("a\x1b[2Jb\x07\u202ec\r\nd\te\x85f") == "a␛[2Jb␇<U+202E>c\nd   e\nf"
    assert clean("👩‍🚀 é مرحبا") == "👩‍🚀 é مرحبا"
    assert clean_line("  two\n lines ") == "two lines"


@pytest.mark.parametrize(("text", "kind"), [("", "empty"), (" \n\t ", "empty"), ("x" * 20_001, "huge")])
def test_empty_and_huge_texts_are_refused(text, kind):
    with pytest.raises(FlavorError) as error:
        check_text(text)
    assert error.value.kind == kind


def test_atomic_write_keeps_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_atomic(path, "old")
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError):
        files.write_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_uids_rise_and_differ():
    uids = [files.new_uid() for _ in range(5000)]
    assert uids == sorted(uids) and len(set(uids)) == 5000


def test_prompts_have_the_two_forms(task):
    assert task.prompt({}) == "# Tiny Tavern Menu\n\n"
    values = {"Price": "3", "Mood": "Grim"}
    assert task.prompt(values) == "# Tiny Tavern Menu\n\n## Attributes\n\nMood: Grim\nPrice: 3\n\n## Description\n\n"
    assert {text: weight for text, weight in task.segments(values) if weight} == {"Mood: Grim\n": 0.2, "Price: 3\n": 0.2}


def test_values_are_checked(task):
    assert task.check({"mood": "grim", "Cook": " a  b ", "Price": ""}) == {"Mood": "Grim", "Cook": "a b"}
    with pytest.raises(FlavorError, match=r"no field 'Moods'.*Its fields: Mood, Price, Cook"):
        task.check({"Moods": "x"})
    with pytest.raises(FlavorError, match="one of 1, 2, 3, 4, 5"):
        task.check({"Price": "6"})


DRAWN = Task("H", fields=(Field("A", "scale"), Field("B"), Field("C", "choice", ("x", "y")), Field("D")))
KNOWN = [{"B": "one", "D": "first"}, {"A": "2", "B": "two", "D": "second"}, {"B": "two", "D": "second"}, {"B": "three"}]


@given(st.integers(0, 1 << 60), st.integers(1, 12))
def test_draws_keep_what_is_fixed(seed, count):
    seeds = list(range(seed, seed + count))
    drawn = DRAWN.draw({"A": "4"}, KNOWN, seeds)
    assert len(drawn) == count
    assert all(values["A"] == "4" and values["C"] in ("x", "y") for values in drawn)
    assert drawn == DRAWN.draw({"A": "4"}, KNOWN, seeds)
    free = DRAWN.draw({}, KNOWN, seeds)
    assert [(values["B"], values["C"]) for values in free] == [(values["B"], values["C"]) for values in drawn]


@given(st.integers(0, 1 << 60))
def test_draws_differ_over_a_batch_and_texts_stay_together(seed):
    drawn = DRAWN.draw({}, KNOWN, list(range(seed, seed + 6)))
    assert {values["A"] for values in drawn[:5]} == set("12345")
    assert sorted((values["B"], values.get("D")) for values in drawn[:3]) == [("one", "first"), ("three", None), ("two", "second")]


@given(st.integers(0, 1 << 60))
def test_guidance_leads_away_from_other_choices_and_scales(seed):
    values = {"A": "4", "B": "one", "C": "x"}
    others = DRAWN.others(values, seed)
    assert others["A"] in set("1235") and others["B"] == "one" and others["C"] == "y" and others == DRAWN.others(values, seed)
    assert DRAWN.others({"B": "one"}, seed) == DRAWN.others({}, seed) == {}  # nothing to choose: away from the heading alone
    assert set(DRAWN.others({"A": "1", "B": "one"}, seed)) == {"A", "B"}


@pytest.mark.parametrize(
    ("spec", "field"), [("A", Field("A")), ("A=scale", Field("A", "scale")), ("A B=choice:x, y", Field("A B", "choice", ("x", "y")))]
)
def test_fields_of_the_command_line(spec, field):
    assert parse_field(spec) == field


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ("Town, Tone", (Field("Town"), Field("Tone"))),
        ("Town,", (Field("Town"),)),
        ("A = scale, B, C=choice:x, y,", (Field("A", "scale"), Field("B"), Field("C", "choice", ("x", "y")))),
        ("A=choice:x,y,B=choice:u,v, C = text", (Field("A", "choice", ("x", "y")), Field("B", "choice", ("u", "v")), Field("C"))),
        ("A=choice:E=mc2,F=ma", (Field("A", "choice", ("E=mc2", "F=ma")),)),
    ],
)
def test_a_comma_ends_a_field_where_it_cannot_belong_to_the_values_of_a_choice(spec, fields):
    assert parse_fields(spec) == fields


@pytest.mark.parametrize("spec", ["", ",", "Town, =text", "A=number, B"])
def test_fields_with_commas_are_refused_as_one_is(spec):
    with pytest.raises(FlavorError):
        parse_fields(spec)


@pytest.mark.parametrize("spec", ["=text", "A=number", "A=choice:x", "A:b=text"])
def test_wrong_fields_are_refused(spec):
    with pytest.raises(FlavorError):
        parse_field(spec)


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        ("A quiet moon of glass where letters go to sleep.", "stop", []),
        ("A quiet moon", "length", ["never ended"]),
        ("Nice #moon #glass #art", "stop", ["hashtags"]),
        ("", "stop", ["empty"]),
        ("One.\n# Two", "stop", ["heading inside"]),
        ("See https://x.y", "stop", ["link"]),
        ("Part 1\nIt began.", "stop", ["chapters"]),
        ("the old king of the sea " * 4, "stop", ["repeats itself"]),
        ("odd ␛[2J", "stop", ["control characters"]),
    ],
)
def test_breakdown_flags(text, finish, expected):
    assert flags(text, finish) == expected


def test_what_two_examples_bear_is_their_form_and_no_sign():
    tagged = ["Fog over the pier. #fog #pier", "A lamp goes out. #lamp #night"]
    assert usual([*tagged, "A moon.\n# Two"]) == {"hashtags"} and usual(tagged[:1]) == set()
    assert usual([*tagged, *["A plain text."] * 15]) == set()  # one in eight
    assert usual(["the old king of the sea " * 4] * 2) == set()  # a loop is never the form
    assert flags("Nice #moon #glass", "stop", usual=usual(tagged)) == []
    assert flags("One #moon #glass\n# Two", "stop", usual=usual(tagged)) == ["heading inside"]


def test_lengths_are_flagged_against_the_examples():
    assert flags("one two three", "stop", [20, 30]) == ["much shorter than any example"]
    assert flags(" ".join(f"word{n}" for n in range(70)), "stop", [20, 30]) == ["much longer than any example"]
    assert flags(" ".join(f"word{n}" for n in range(25)), "stop", [20, 30]) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The lighthouse-keeper’s 2nd café, isn't it?", ["the", "lighthouse", "keeper’s", "2nd", "café", "isn't", "it"]),
        ("灯台守は眠らない。", list("灯台守は眠らない")),
        ("塔2024号 and コーヒー", ["塔", "2024", "号", "and", *"コーヒー"]),
        ("กินที่นี่", ["กิ", "น", "ที่", "นี่"]),
        ("मीनार की हिन्दी", ["मीनार", "की", "हिन्दी"]),
        ("x\u0323\u0304y z\u0338", ["x\u0323\u0304y", "z\u0338"]),
        ("Башня смотрит, l’été", ["башня", "смотрит", "l’été"]),
        ("ปี๒๕๖๗", ["ปี", "๒๕๖๗"]),
        ("한국어 문장", ["한국어", "문장"]),
    ],
)
def test_words_of_every_script(text, expected):
    assert words(text) == [word for word, _, _ in word_places(text)] == expected


@given(st.text(st.characters(max_codepoint=0x2FF)) | st.text("abcàßжщłøΩ’'_ 1-—"))
def test_both_ways_to_find_words_find_the_same(text):
    assert words(text) == [text.lower()[start:end] for start, end in _spans(text.lower())]


def test_copies_and_loops_are_seen_without_blanks():
    """Eight characters count as four words; what grammar repeats is no loop."""
    row = "灯台守は毎晩古い噂を瓶に詰めて海へ流している。"
    index = Copying([("a", row)])
    assert index.longest("昨夜も" + row[:16]) == (8, "a")
    assert index.longest("港の猫は朝になると屋根の上で眠る。") == (0, "")
    assert index.spans("昨夜も" + row[:16], 6) == [(3, 19)] and index.spans("彼は毎晩古い噂を聞く。", 6) == []
    assert Copying([("a", row), ("b", "猫")]).nearest(row[3:])[1] == "a"
    assert flags("灯台守は毎晩眠る。" * 3, "stop") == ["repeats itself"]
    assert flags("彼は見ている。猫は寝ている。海は鳴っている。", "stop") == []


LETTERS = st.lists(st.sampled_from("abc"), max_size=12).map(" ".join)


def brute(text, other):
    mine, theirs = words(text), words(other)
    best = 0
    for start in range(len(mine)):
        for end in range(start + 4, len(mine) + 1):
            if any(theirs[at : at + end - start] == mine[start:end] for at in range(len(theirs))):
                best = max(best, end - start)
    return best


@given(LETTERS, LETTERS)
def test_copied_spans_are_never_missed(text, other):
    """The index may join two runs that overlap in the candidate; it never says less than the true longest span."""
    assert Copying([("x", other)]).longest(text)[0] >= brute(text, other)


def test_copying_names_the_example():
    index = Copying([("a", "The lamp burns whale fat and old gossip."), ("b", "Nothing alike in here at all, sorry.")])
    assert index.longest("They say the lamp burns whale fat today") == (5, "a")
    assert index.longest("They say the lamp burns whale fat today", but="a") == (0, "")
    index.remove("a")
    assert index.longest("the lamp burns whale fat") == (0, "")


def test_the_nearest_example_is_found_without_reading_all_of_them_again(monkeypatch):
    index = Copying([("a", "the lamp of whale fat"), ("b", "no whale")])
    assert index.nearest("whale fat lamp") == (3 / 5, "a")
    read = []
    monkeypatch.setattr(copying, "words", lambda text: read.append(text) or words(text))
    assert index.nearest("no lamp") == (1 / 3, "b") and read == ["no lamp"]
    index.remove("b")
    index.add("b", "a lamp")
    assert index.nearest("a lamp") == (1.0, "b") and index.nearest("sorry") == (0.0, "")


def test_two_attributes_with_a_comma_between_them_are_not_one():
    with pytest.raises(FlavorError, match="Write ; between two attributes"):
        parse_fields("Rarity=choice:common,rare, Kind=weapon,potion")
