"""When a run stops, and which of its epochs is used."""

import pytest

from core.stopping import Baked, Watch, refit_steps


def follow(losses, recalls, held=None):
    """The epoch at which it stops (0: never) and the one that is used."""
    watch = Watch()
    for epoch, (loss, recall) in enumerate(zip(losses, recalls, strict=True), 1):
        if watch.add(Baked(epoch, loss, recall, held)):
            return epoch, watch.best()[0]
    return 0, watch.best()[0]


@pytest.mark.parametrize(
    ("losses", "recalls", "stops", "best"),
    [
        ([2.8, 2.7, 2.6, 2.55], [0.1, 0.1, 0.2, 0.2], 0, 4),  # still falling
        ([2.8, 2.7, 2.9], [0.1, 0.2, 0.4], 3, 2),  # turned, and reciting more
        ([2.8, 2.7, 2.705], [0.1, 0.2, 0.4], 0, 3),  # within the noise
        ([2.8, 2.7, 2.72], [0.1, 0.2, 0.1], 0, 3),  # the last of equals
        ([2.8, 2.7, 2.9, 3.0], [0.3, 0.3, 0.3, 0.3], 4, 2),  # turned for two epochs, whatever is recited
        ([2.8, 2.9, 2.6], [0.3, 0.2, 0.2], 0, 3),  # a bump is no turn
        ([3.0, 3.2, 3.1, 3.15], [0.3, 0.3, 0.3, 0.3], 0, 1),  # it fell in between
        ([2.8], [0.1], 0, 1),
    ],
)
def test_it_stops_when_held_out_loss_has_turned_and_the_rows_are_recited(losses, recalls, stops, best):
    assert follow(losses, recalls, 0.1) == (stops, best)


def test_without_held_out_rows_reciting_alone_decides():
    assert follow([None] * 4, [0.1, 0.3, 0.6, 0.9]) == (3, 2)
    assert follow([None], [0.9]) == (1, 1)
    assert follow([None] * 2, [0.1, 0.2]) == (0, 2)


def test_the_reason_is_said():
    watch = Watch()
    watch.add(Baked(1, 2.5, 0.1, 0.1))
    told = "held-out loss rose from 2.500 to 2.750; of the rows' tokens 41.0% are recited, 10.0% when it was lowest"
    assert watch.add(Baked(2, 2.75, 0.41, 0.12)) == told
    assert watch.best() == (1, "the lowest held-out loss")


def test_a_refit_is_longer_while_its_steps_are_few():
    """Twice as many, up to forty and to five passes, and never fewer than were best."""
    assert [refit_steps(best, 6) for best in (1, 8, 16, 20, 27, 45)] == [2, 16, 30, 30, 30, 45]
    assert [refit_steps(best, 11) for best in (18, 20, 24, 45)] == [36, 40, 40, 45]


def test_the_parent_stays_where_nothing_was_new_and_every_epoch_is_worse():
    parent = Baked(0, 2.9, 0.1, 0.0)
    watch = Watch(parent=parent)
    for epoch, loss in ((1, 3.05), (2, 3.02)):
        watch.add(Baked(epoch, loss, 0.1, 0.0))
    assert watch.best() == (0, "as before: there was nothing new to learn, and held-out loss rose from 2.900 to 3.020")
    watch.add(Baked(3, 2.92, 0.1, 0.0))
    assert watch.best()[0] == 3  # within 1 % of it
    assert Watch([Baked(1, 3.05, 0.1, 0.0)]).best()[0] == 1
    assert Watch([Baked(1, None, 0.1, None)], parent).best()[0] == 1  # none is held out


def test_without_held_out_rows_nothing_more_is_recited_for_nothing():
    baked = [Baked(1, None, 0.8, None), Baked(2, None, 0.9, None)]
    assert Watch(baked).best() == (1, "the first one, since every epoch recites its rows; none is held out")
    again = Watch(baked, Baked(0, None, 0.7, None)).best()
    assert again == (0, "as before: there was nothing new to learn, and every epoch recites its rows; none is held out")
