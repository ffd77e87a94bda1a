"""The verdict on synthetic courses: underbaked, good, overbaked, in this order and never back; and when it cannot be told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gauges.measured import of_training
from core.gauges.reading import Course, Measured, Reading, Sample, Source
from core.gauges.sampled import of_texts
from core.gauges.verdict import decide, judge
from tui.session.tasting import against

ORDER = ["underbaked", "good", "overbaked"]
HELD = [Source("h1", "One row.", held_out=True), Source("h2", "Another row.", held_out=True), Source("t", "A third.")]


def course_of(losses):
    """A run afresh: the base's loss, then each epoch's."""
    return Course(tuple((f"0001/epoch-{epoch:02}" if epoch else "base", loss) for epoch, loss in enumerate(losses)), from_base=True)


def verdicts(losses, recall=None, **measured):
    """The verdict of every epoch of a run."""
    course = course_of(losses)
    told = []
    for epoch, (name, loss) in enumerate(course.points):
        if epoch:
            of_epoch = {key: values[epoch - 1] for key, values in measured.items()}
            seen = recall[epoch - 1] if recall else None
            told.append(judge(Measured(name, loss, recall=seen, recall_held_out=0.03 if recall else None, **of_epoch), course).verdict)
    return told


def ordered(words):
    places = [ORDER.index(word) for word in words]
    return places == sorted(places)


def test_a_clean_run():
    told = verdicts([4.2, 3.6, 3.3, 3.28, 3.30, 3.36, 3.6], recall=[0.02, 0.03, 0.05, 0.1, 0.41, 0.9])
    assert [verdict.word for verdict in told] == ["underbaked", "good", "good", "good", "overbaked", "overbaked"]
    assert told[0].sentence == "Held-out loss went on falling: it is lower by 9 % at 0001/epoch-03."
    assert told[4].sentence == (
        "Held-out loss has risen by 2 % since 0001/epoch-03; the rows are recited: 41 % of their tokens are known by heart, against 3 % on unseen rows."
    )
    assert told[4].decided == ("held-out loss", "recitation")
    assert told[1].decided == ("held-out loss", "recitation")


def test_later_is_not_better():
    """The fault this must catch: taking the last epoch, or the one with the lowest training loss, for the best."""
    losses = [4.0, 3.4, 3.2, 3.3, 3.46]
    told = [
        judge(Measured(name, loss, loss=4.0 - epoch), course_of(losses)).verdict
        for epoch, (name, loss) in enumerate(course_of(losses).points)
    ]
    assert told[2].word == "good" and told[4].word == "overbaked"
    assert told[4].sentence == "Held-out loss has risen by 8 % since 0001/epoch-02."


def test_runs_planted_apart_go_in_order():
    """Each run ends where it ends, without later epochs to look at: 1, 2, 4, 8, 20 and 60 epochs of one curve."""
    curve = [4.2, 3.7, 3.45, 3.38, 3.36] + [3.36 + 0.012 * epoch for epoch in range(56)]
    told = []
    for epochs in (1, 2, 4, 8, 20, 60):
        recall = min(0.99, 0.01 + epochs**2 / 400)
        course = course_of(curve[: epochs + 1])
        told.append(judge(Measured(*course.points[-1], recall=recall, recall_held_out=0.02), course).verdict.word)
    assert told == ["underbaked", "underbaked", "good", "good", "overbaked", "overbaked"]


def test_what_moved_once_has_moved():
    """A loss that has come back towards the base's is not called untouched again: that would be a step back."""
    assert [verdict.word for verdict in verdicts([4.0, 3.87, 3.89, 3.94, 3.99])] == ["good", "good", "good", "overbaked"]


FALL = st.lists(st.floats(0.0, 0.15), min_size=1, max_size=8)
RISE = st.lists(st.floats(0.0, 0.15), max_size=8)


def curve(falls, rises):
    losses = [4.0]
    for fall in sorted(falls, reverse=True):  # it falls by less and less
        losses.append(losses[-1] * (1 - fall))
    for rise in rises:
        losses.append(losses[-1] * (1 + rise))
    return losses


@given(FALL, RISE)
def test_any_curve_that_falls_then_rises_gives_verdicts_in_order(falls, rises):
    assert ordered([verdict.word for verdict in verdicts(curve(falls, rises))])


@given(FALL, RISE)
def test_ends_of_ever_longer_runs_are_in_order(falls, rises):
    losses = curve(falls, rises)
    words = []
    for end in range(2, len(losses) + 1):
        course = course_of(losses[:end])
        words.append(judge(Measured(*course.points[-1]), course).verdict.word)
    assert ordered(words)


@given(FALL, RISE, st.lists(st.floats(0, 1), min_size=16, max_size=16), st.lists(st.floats(0, 1), min_size=16, max_size=16))
def test_recall_and_end_that_rise_keep_the_order(falls, rises, recall, end):
    losses = curve(falls, rises)
    assert ordered([verdict.word for verdict in verdicts(losses, recall=sorted(recall), p_end=sorted(end))])


def test_the_order_test_would_see_a_fault():
    assert not ordered(["underbaked", "overbaked", "good"])
    assert not ordered([verdict.word for verdict in verdicts([4.0, 3.0, 3.3, 2.9])])  # no clean curve


@pytest.mark.parametrize(
    ("measured", "course", "word", "said"),
    [
        (Measured("x"), Course(), "cannot tell yet", "No row is held out"),
        (Measured("x", 3.0), Course(), "cannot tell yet", "nothing yet to hold it against"),
        (Measured("x", 3.0), Course((("base", 4.0), ("x", 3.0)), True, leaked=1), "cannot tell yet", "One held-out row was trained on"),
        (Measured("x", 3.95), Course((("base", 4.0), ("x", 3.95)), True), "underbaked", "hardly moved from the base's"),
        (Measured("x", 3.0), Course((("base", 4.0), ("x", 3.0)), True), "underbaked", "still falling: by 25 %"),
        (Measured("x", recall=0.5), Course(), "overbaked", "about 10 % that is usual on unseen rows"),
        (Measured("x", recall=0.2), Course(), "cannot tell yet", "No row is held out"),
        (Measured("x", recall=0.3, recall_held_out=0.15), Course(), "cannot tell yet", "No row is held out"),
        (Measured("x", 3.0, recall=0.6, recall_held_out=0.1), Course((("base", 4.0), ("x", 3.0)), True), "overbaked", "recited: 60 %"),
        (Measured("x", p_end=0.01), Course(), "underbaked", "Ending is not learned yet"),
        (Measured("x", 5.0), Course((("base", 4.0), ("x", 5.0)), True), "overbaked", "risen by 25 % since base"),
    ],
)
def test_single_checkpoints(measured, course, word, said):
    verdict = judge(measured, course).verdict
    assert verdict.word == word and said in verdict.sentence


def test_a_single_held_out_row_tells_little():
    course = course_of([4.0, 3.2, 3.6])
    assert judge(Measured(*course.points[-1]), course, rows=HELD).verdict.word == "overbaked"
    verdict = judge(Measured(*course.points[-1]), course, rows=HELD[1:]).verdict
    assert verdict.word == "cannot tell yet" and "1 held-out row it tells little" in verdict.sentence


def samples(count, finish="stop", text="The {0} keeper of light number {0} counts what the sea returns, and writes it down, and sleeps."):
    return [Sample(f"c{number}", text.format(number), finish) for number in range(count)]


def test_one_is_said_as_one_and_equal_numbers_do_not_differ():
    long = Source("r1", "A row of many more words than the texts that were cut off before they came as far as this one.")
    cut = [*samples(9), Sample("cut", "The", "length")]
    said = {reading.name: reading for reading in of_texts(cut, [long, *HELD])}
    assert said["natural stop"].sentence.endswith(" 1 more was cut off before the length of the longest row.")
    assert said["names"].sentence.endswith("; of your rows no two share one.")
    near = of_training(
        Measured("0001/epoch-02", 3.3001, seen=1), Course((("base", 4.0), ("0001/epoch-01", 3.3), ("0001/epoch-02", 3.3001)))
    )
    seen = next(reading for reading in near if reading.name == "seen")
    assert (seen.sentence, against(seen)) == ("Half of the rows were seen for 1 epoch or more.", "1 epoch")
    assert (near[0].sentence, against(near[0])) == ("Held-out loss, 3.300, is at its lowest.", "3.300")


def test_texts_refine_the_verdict():
    course, rows = (
        course_of([4.0, 3.3, 3.28]),
        [Source(f"r{n}", f"Row {n} tells of rope {n}, of salt {n} and of a bell.") for n in range(9)] + HELD,
    )
    measured = Measured(*course.points[-1])
    varied = [
        Sample(f"c{n}", f"{a} {b} {c}.", "stop") for n, (a, b, c) in enumerate(zip("abcdefghi", "ihgfedcba", "defghiabc", strict=True))
    ]
    assert judge(measured, course, varied, rows).verdict.word == "good"
    never = judge(measured, course, samples(9, "length"), rows).verdict
    assert never.word == "underbaked" and never.sentence.startswith("0 of 9 texts ended by themselves.")
    copies = judge(measured, course, [Sample(f"c{n}", rows[0].text, "stop") for n in range(9)], [rows[0], *HELD]).verdict
    assert copies.word == "overbaked" and "copying" in copies.decided


def test_a_weak_sign_counts_only_where_the_loss_falls_no_more():
    weak = Reading("openings", 0.9, "Nine of ten texts begin alike.", says="leans over")
    fine = Reading("held-out loss", 3.0, "Held-out loss is at its lowest.", says="fine")
    falling = Reading("held-out loss", 3.0, "Held-out loss is still falling.", says="under")
    assert decide([fine, weak]).word == "overbaked"
    assert decide([falling, weak]).word == "underbaked"
    assert decide([weak]).word == "cannot tell yet" == decide([]).word


def test_all_that_was_measured_is_read():
    every = Measured("x", 3.0, 2.5, 0.3, 0.1, 0.2, 0.1, 0.02, 7)
    assert [(reading.name, reading.value()) for reading in of_training(every)] == [
        ("held-out loss", "3.000"), ("recitation", "20 %"), ("end", "30 %"), ("early end", "10 %"), ("training loss", "2.500"),
        ("drift", "0.020"), ("seen", "7 epochs"),
    ]  # fmt: skip
    assert of_training(Measured("x")) == []
