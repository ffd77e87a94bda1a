"""How an epoch's rows are drawn: every row, new ones more often, attributes dropped, people's words never outweighed."""

from collections import Counter

import pytest

from core.config import Training
from core.protocol import Row
from core.task import Field, Task
from core.worker.encoding import Curriculum, encode_row

TASK = Task("Heading", fields=(Field("Mood"), Field("Place")))
VALUES = {"Mood": "calm", "Place": "sea"}


def make(uid, text, origin="written", repeat=1):
    return Row(uid, TASK.segments(VALUES), text, repeat, False, origin, VALUES)


def curriculum(engine, rows, task=TASK, seed=1, **settings):
    return Curriculum(engine._base.tokenizer, rows, Training(**settings), task, seed)


def test_every_row_is_in_every_epoch_and_the_order_is_of_the_seed(engine):
    rows = [make("a", "one"), make("b", "two", repeat=3), make("c", "three")]
    found = curriculum(engine, rows)
    assert found.size == 5
    for epoch in (1, 2, 3):
        assert Counter(row.row for row in found.epoch(epoch)) == {"a": 1, "b": 3, "c": 1}
    assert found.epoch(1) == found.epoch(1) == curriculum(engine, rows).epoch(1)
    assert any(found.epoch(epoch) != curriculum(engine, rows, seed=2).epoch(epoch) for epoch in range(1, 5))


def prompts(engine, count=200, **settings):
    tokenizer = engine._base.tokenizer
    found = curriculum(engine, [make("a", "text")], **settings)
    return Counter(tokenizer.decode(found.epoch(epoch)[0].ids[: found.epoch(epoch)[0].start]) for epoch in range(1, count + 1))


def test_attributes_are_dropped_at_random(engine):
    """All four forms of the prompt occur, about as often as set, and they are the very prompts that sampling uses."""
    seen = prompts(engine, drop_attribute=0.3, drop_attributes=0.2)
    expected = {TASK.prompt(values) for values in (VALUES, {"Mood": "calm"}, {"Place": "sea"}, {})}
    assert set(seen) == expected
    assert 0.2 < seen[TASK.prompt({})] / 200 < 0.4  # 0.2 + 0.8 * 0.09
    assert set(prompts(engine, drop_attribute=0, drop_attributes=0, count=20)) == {TASK.prompt(VALUES)}
    assert set(prompts(engine, drop_attribute=0, drop_attributes=1, count=20)) == {TASK.prompt({})}


def test_without_a_task_a_row_is_taken_as_it_is(engine):
    row = make("a", "text")
    (found,) = curriculum(engine, [row], task=None, drop_attributes=1).epoch(1)
    assert found == encode_row(engine._base.tokenizer, row, 2.0)


@pytest.mark.parametrize(("machine", "expected"), [(1, None), (8, 0.618), (40, 0.618)])
def test_people_keep_their_share_of_the_loss(engine, machine, expected):
    rows = [make("a", "as long as this"), make("b", "as long as that", "edited"), make("i", "as long as them", "imported")]
    rows += [make(f"m{n}", "as long as this", "accepted") for n in range(machine)]
    found = curriculum(engine, rows, task=None).epoch(1)
    mass = Counter()
    for row in found:
        mass[row.row.startswith("m")] += sum(row.weights) * row.share
    share = mass[False] / mass.total()
    assert share == pytest.approx(expected or 3 / 4, abs=0.01)
    assert all(row.share == 1 for row in found if not row.row.startswith("m"))


def test_rows_of_machines_alone_are_not_weighed_down(engine):
    rows = [make("m", "text", "accepted"), make("n", "text", "accepted")]
    assert {row.share for row in curriculum(engine, rows).epoch(1)} == {1.0}
