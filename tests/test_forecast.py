"""The law of the learning curve: exact curves come back, noise widens the interval, and the interval holds the truth nine times of ten."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.gauges import forecast as module
from core.gauges.forecast import ENOUGH, Forecast, Spot, forecast
from core.gauges.outliers import outliers
from core.gauges.powerlaw import POWERS, Law, fit

SIZES = (8, 12, 16, 24, 30)


def cells(spots):
    return [cell for spot in spots for cell in module._Fold([spot]).cells(spot.fold, [1] * len(spot.losses))]


def curve(law, *, sizes=SIZES, folds=5, rows=6, seeds=1, rows_differ=0.5, noise=0.0, seed=0):
    """Points of a law: rows differ in difficulty and length, each training run in luck, each measurement a little more."""
    rng = random.Random(seed)
    spots = []
    for fold in range(folds):
        offsets = [rng.gauss(0, rows_differ) for _ in range(rows)]
        tokens = [rng.randint(20, 90) for _ in range(rows)]
        for size in sizes * seeds:
            luck = rng.gauss(0, noise)
            losses = [law.at(size) + offset + luck + rng.gauss(0, noise) for offset in offsets]
            spots.append(
                Spot(fold, size, {f"{fold}-{n}": (loss * t, t) for n, (loss, t) in enumerate(zip(losses, tokens, strict=True))}, size == 30)
            )
    return spots


@settings(max_examples=25, deadline=None)
@given(floor=st.floats(0, 5), scale=st.floats(0.1, 6), power=st.sampled_from(POWERS))
def test_an_exact_curve_comes_back(floor, scale, power):
    law = Law(floor, scale, power)
    found = fit(cells(curve(law)))
    assert found.at(20) == pytest.approx(_mean(law, curve(law), 20), abs=1e-6)
    for rows in (8, 38, 48):
        assert found.at(rows) - found.at(30) == pytest.approx(law.at(rows) - law.at(30), abs=1e-6)
    assert found.error == pytest.approx(0, abs=1e-6)


def _mean(law, spots, rows):
    """The law's loss for the mean row of the simulated folds, by their tokens."""
    tokens = sum(t for spot in spots if spot.size == 8 for _, t in spot.losses.values())
    total = sum(loss for spot in spots if spot.size == 8 for loss, _ in spot.losses.values())
    return total / tokens - law.at(8) + law.at(rows)


def test_a_fold_of_hard_rows_bends_nothing():
    """The hardest fold was measured at the largest size only by half of the folds; a plain mean would say that more rows hurt."""
    law = Law(3, 2, 0.5)
    spots = [spot for spot in curve(law, rows_differ=2.0) if spot.size != 30 or spot.fold < 2]
    told = forecast(spots, 38, 60)
    assert told.law.gain(38, 10) > 0
    losses = [level.loss for level in told.levels]
    assert losses == sorted(losses, reverse=True)
    assert [level.points for level in told.levels] == [5, 5, 5, 5, 2]
    assert [level.full for level in told.levels] == [False] * 4 + [True]


def test_the_present_set_is_the_mean_of_all_its_texts():
    """Whatever else was measured of which fold."""
    spots = [spot for spot in curve(Law(3, 2, 0.5), rows_differ=2.0, noise=0.05) if spot.fold or spot.size in (16, 30)]
    full = [pair for spot in spots if spot.full for pair in spot.losses.values()]
    level = next(level for level in forecast(spots, 38, 20).levels if level.full)
    assert level.loss == pytest.approx(sum(loss for loss, _ in full) / sum(tokens for _, tokens in full))


def test_the_floor_is_never_below_nothing():
    law = fit(cells([Spot(0, size, {"a": (loss * 10, 10)}) for size, loss in ((8, 3.0), (16, 1.5), (32, 0.1))]))
    assert law.floor == 0 and law.at(1000) >= 0


def test_it_says_what_is_missing_rather_than_a_number():
    law = Law(3, 2, 0.5)
    assert "none is measured" in forecast([], 38).sentence
    two = forecast(curve(law, sizes=(8, 30)), 38, 50)
    assert two.interval is None and "2 are measured" in two.sentence and two.word == "cannot tell yet"
    one = forecast(curve(law, folds=1), 38, 50)
    assert "it takes 2 folds" in one.sentence and one.levels[0].interval is None
    single = forecast(curve(law, sizes=(30,)), 38, 50)
    assert single.law is None and single.levels[0].interval and single.levels[0].full


def test_the_words():
    steep = forecast(curve(Law(3, 3, 0.4), noise=0.01), 38, 60)
    assert steep.word == "gains" and "should lower the loss by" in steep.sentence
    flat = forecast(curve(Law(3, 0.02, 1.0), noise=0.005), 38, 60)
    assert flat.word == "enough" and flat.interval[1] < ENOUGH and flat.sentence.startswith("Enough")
    noisy = forecast(curve(Law(3, 0.3, 0.4), noise=0.3, seed=4), 38, 60)
    assert noisy.word == "cannot tell yet" and noisy.interval[0] < 0 < noisy.interval[1]
    barely = Forecast(20, (), gain=0.01, interval=(0.0004, 0.03))
    assert barely.sentence == "Cannot tell yet what 10 more rows would bring: a loss between 0.0 % higher and 3.0 % lower."
    width = [told.interval[1] - told.interval[0] for told in (steep, noisy)]
    assert width[1] > 5 * width[0]
    assert forecast(curve(Law(3, 3, 0.4), noise=0.01), 38, 60) == steep  # the same points, the same numbers


@pytest.fixture(scope="module")
def simulated():
    """The true gain and what was forecast, over laws from steep to flat."""
    found = []
    for number in range(45):
        law = (Law(3.5, 3, 0.4), Law(3.9, 6, 0.9), Law(4, 0, 0.5))[number % 3]
        found.append((law.gain(38, 10), forecast(curve(law, sizes=(8, 16, 30), noise=0.05, seed=number), 38, 50)))
    return found


def covered(simulated, width=1.0):
    """The share of the intervals, made `width` times as wide, that hold the truth."""
    hits = [
        told.gain - width * (told.gain - told.interval[0]) <= true <= told.gain + width * (told.interval[1] - told.gain)
        for true, told in simulated
    ]
    return sum(hits) / len(hits)


def test_the_interval_holds_the_truth_nine_times_of_ten(simulated):
    assert 0.83 <= covered(simulated) <= 0.99


def test_an_interval_that_is_too_narrow_would_be_seen(simulated):
    """The planted fault: a third and half of the width."""
    assert covered(simulated, 1 / 3) < covered(simulated, 1 / 2) < 0.83


def test_the_row_that_stands_out_is_named():
    losses = {f"r{n}": 4 + 0.1 * (n % 5) for n in range(20)}
    assert outliers(losses) == []
    (found,) = outliers(losses | {"odd": 6.5})
    assert found.row == "odd" and found.far > 2.5
    assert outliers({"a": 1.0, "b": 9.0}) == []
    assert outliers(dict.fromkeys("abcdefghij", 2.0)) == []
