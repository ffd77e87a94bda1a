"""The ranking's bench: it sees an order that helps, and none where there is nothing to be learned."""

import random

from bench.ranking import COUNT, Decided, Evening, ratio, rounds


def evening(kept, seed=3):
    """Four rounds of texts with a lamp or mud in them; `kept` decides."""
    rng = random.Random(seed)
    made = []
    for number in range(4 * COUNT):
        lamp = rng.random() < 0.4
        text = f"The {'lamp' if lamp else 'mud'} of keeper number {number} is {rng.choice(['warm', 'cold', 'old'])}."
        made.append(Decided(text, {}, [], "stop", 0, -1.0, -2.0, "base", kept(lamp, rng)))
    return Evening(
        [(text, {}) for text in ("The lamp of Sarn is warm.", "The mud of Gull Point is cold.", "The keeper of Mere is old.")], made
    )


def test_a_taste_is_learned():
    evenings = [list(rounds(evening(lambda lamp, rng: lamp, seed))) for seed in range(6)]
    found = [each for rounds_ in evenings for each in rounds_ if each.learned]
    assert len(found) >= 3 * len(evenings) - 2 and not any(rounds_[0].learned for rounds_ in evenings)
    best, low, _ = ratio(found)
    assert best > 1.4 and low > 1.25
    assert ratio(found, bare=True)[0] >= best


def test_chance_is_not_learned():
    """The planted fault: decisions that nothing foretells."""
    found = [each for seed in range(6) for each in list(rounds(evening(lambda lamp, rng: rng.random() < 0.4, seed)))[1:]]
    best, low, high = ratio(found)
    assert low < 1.15 and 0.7 < best < 1.3 and high > low
