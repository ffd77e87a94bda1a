"""Filters and penalties against hand-worked cases."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.config import Sampling
from core.worker.filters import draw, dry_penalties, end_bonus, guide, likely, pick, probabilities, top_n_sigma, xtc

FIRST, LAST = torch.arange(4) == 0, torch.arange(4) == 3


def logits(*values):
    return torch.tensor([values]).log()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Sampling(min_p=0), [0.5, 0.3, 0.15, 0.05]),
        (Sampling(min_p=0.2), [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0]),
        (Sampling(min_p=0, top_k=2), [0.625, 0.375, 0, 0]),
        (Sampling(min_p=0, top_p=0.75), [0.625, 0.375, 0, 0]),
        (Sampling(min_p=0, temperature=0), [1, 0, 0, 0]),
        (Sampling(min_p=0, temperature=0.5), [0.25 / 0.365, 0.09 / 0.365, 0.0225 / 0.365, 0.0025 / 0.365]),
        # the temperature comes last: min-p sees 0.05 / 0.5 < 0.2, at a temperature of 4 it would not
        (Sampling(min_p=0.2, temperature=4), [x / 2.30 for x in (0.5**0.25, 0.3**0.25, 0.15**0.25, 0)]),
    ],
)
def test_filters(settings, expected):
    found = probabilities(logits(0.5, 0.3, 0.15, 0.05), settings)[0].tolist()
    assert found == pytest.approx([value / sum(expected) for value in expected], abs=1e-5)


def test_top_n_sigma():
    """Logits 4, 2, 0, -2: mean 1, deviation sqrt 5 = 2.236; one deviation below 4 is 1.76, two are -0.47."""
    row = torch.tensor([[4.0, 2.0, 0.0, -2.0]])
    assert (top_n_sigma(row, 1.0) > -math.inf).tolist() == [[True, True, False, False]]
    assert (top_n_sigma(row, 2.0) > -math.inf).tolist() == [[True, True, True, False]]
    barred = torch.tensor([[4.0, 2.0, 0.0, -2.0, -math.inf]])  # what is impossible does not count
    assert torch.equal(top_n_sigma(barred, 1.0)[:, :4], top_n_sigma(row, 1.0))


def test_xtc_leaves_the_least_likely_of_the_likely():
    row = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).repeat(2, 1)
    settings = Sampling(xtc_probability=0.5, xtc_threshold=0.15)
    assert xtc(row, torch.tensor([0.4, 0.6]), settings, LAST)[:, :].tolist() == [
        pytest.approx([0, 0, 0.2, 0.1]),
        pytest.approx([0.4, 0.3, 0.2, 0.1]),
    ]
    assert xtc(row, torch.tensor([0.4, 0.4]), settings, FIRST)[0].tolist() == pytest.approx([0.4, 0, 0.2, 0.1])
    alone = xtc(torch.tensor([[0.9, 0.1]]), torch.tensor([0.0]), settings, torch.tensor([False, True]))
    assert alone[0].tolist() == pytest.approx([0.9, 0.1])


def dry(written, breakers=(), **settings):
    return dry_penalties(list(written), [token in breakers for token in written], Sampling(**settings))


def test_dry():
    """a b c ... a b: c would make a repetition of two, which is what is allowed: the penalty is multiplier * base ** 0."""
    assert dry("abcxab") == {"c": 0.8}
    assert dry("abcdxabc") == {"d": pytest.approx(0.8 * 1.75)}
    assert dry("abcdxabc", dry_allowed_length=4) == {}
    assert dry("abcdxabc", dry_multiplier=0) == {}
    assert dry("bcdxabcyabc") == {"y": pytest.approx(0.8 * 1.75), "d": 0.8}  # the longest match of each
    assert dry("aaaa") == {"a": pytest.approx(0.8 * 1.75)}
    assert dry("ab:cxab:c", ":") == {}  # one token since the colon
    assert dry("abc:xabc:", ":") == {}


def test_a_repetition_however_long_is_unlikely_and_not_impossible():
    """`4 ** 2000` is no float any more, and `1.75 ** 200` none in 32 bits."""
    for base, length in ((4.0, 2000), (1.75, 200)):
        (penalty,) = dry("a" * length, dry_base=base, dry_multiplier=10.0).values()
        assert math.isfinite(torch.tensor(-penalty).item())


def test_the_end_becomes_likelier_beyond_the_usual_length():
    settings = Sampling(end_ramp=0.1)
    assert end_bonus(150, 100, settings) == pytest.approx(5)
    assert end_bonus(90, 100, settings) == 0
    assert end_bonus(150, 0, settings) == 0  # no examples, no usual length


def test_draw_inverts_the_distribution():
    row = torch.tensor([[0.5, 0.0, 0.3, 0.2]]).repeat(5, 1)
    assert draw(row, torch.tensor([0.0, 0.49, 0.51, 0.81, 0.9999999])).tolist() == [0, 0, 2, 3, 3]


def test_guidance_leans_away_from_what_comes_without_the_attributes():
    """Of 0.5, 0.45 and 0.05 after the prompt and 0.2, 0.7, 0.1 without its attributes: 0.5 ** 2 / 0.2 and 0.45 ** 2 / 0.7; the third,
    at a tenth of the likeliest, is not one that min-p 0.2 keeps."""
    found = guide(logits(0.5, 0.45, 0.05), logits(0.2, 0.7, 0.1), Sampling(min_p=0.2, guidance=1.0))[0].exp().tolist()
    assert found == pytest.approx([1.25, 0.45**2 / 0.7, 0], abs=1e-5)
    none = guide(logits(0.5, 0.45, 0.05), logits(0.2, 0.7, 0.1), Sampling(min_p=0, guidance=0.0))[0].exp().tolist()
    assert none == pytest.approx([0.5, 0.45, 0.05], abs=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        Sampling(),
        Sampling(min_p=0.3, temperature=1.4),
        Sampling(min_p=0.02, xtc_probability=0.5, xtc_threshold=0.05),
        Sampling(min_p=1.0),
        Sampling(min_p=0.05, top_k=7),
    ],
)
def test_a_token_is_picked_from_the_likely_ones_as_from_all(settings):
    torch.manual_seed(1)
    scores = torch.randn(64, 500) * 3
    scores[:, 100:] -= torch.rand(64, 1) * 9  # some rows have few likely ones, some many
    scores[3, 5:] = float("-inf")
    uniform, exclude = torch.rand(64), torch.rand(64)
    end = int(scores.sum(0).argmax())
    wanted = draw(probabilities(scores, settings, exclude, torch.arange(500) == end), uniform)
    assert pick(scores, settings, uniform, exclude, [end]).tolist() == wanted.tolist()
    assert len(set(wanted.tolist())) > 5


@pytest.mark.parametrize("settings", [{}, {"top_k": 4}])
def test_xtc_leaves_every_end(settings):
    scores = logits(0.3, 0.4, 0.2, 0.1)
    settings = Sampling(xtc_probability=1.0, xtc_threshold=0.15, **settings)

    def found(*ends):
        return {pick(scores, settings, torch.tensor([place / 99]), torch.zeros(1), ends).item() for place in range(99)}

    assert (found(9), found(0), found(0, 1)) == ({2, 3}, {0, 2, 3}, {0, 1, 2, 3})


def test_the_likely_ones_are_those_that_min_p_keeps():
    tokens, few = likely(torch.tensor([[0.5, 0.1, 0.3, 0.1], [0.04, 0.9, 0.02, 0.04]]).log(), 0.5)
    assert tokens.tolist() == [[0, 2], [1, 0]]
    assert few.exp().tolist() == [pytest.approx([0.5, 0.3]), pytest.approx([0.9, 0])]


filters = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 1e-300, 1e-40, 0.3, 1.0, 5.0]),
    min_p=st.sampled_from([0.0, 0.05, 1.0]),
    top_k=st.sampled_from([0, 1, 3]),
    top_p=st.sampled_from([1e-9, 0.5, 1.0]),
    top_n_sigma=st.sampled_from([0.0, 1e-9, 1.0]),
    xtc_probability=st.sampled_from([0.0, 1.0]),
    xtc_threshold=st.sampled_from([1e-9, 0.1, 1.0]),
)
barred = st.sets(st.integers(0, 7))


@given(filters, st.lists(barred, min_size=1, max_size=4), st.integers(0, 1000), st.sampled_from([0.0, 1.0, 50.0]))
def test_no_filters_together_leave_a_row_with_nothing(settings, rows, seed, spread):
    """What is picked is possible; a row to which nothing is (or of which the model made no numbers) ends."""
    torch.manual_seed(seed)
    scores = torch.randn(len(rows), 8) * spread
    for row, tokens in enumerate(rows):
        scores[row, list(tokens)] = -math.inf
    uniform, end = torch.rand(len(rows)), 5
    for row, token in enumerate(pick(scores, settings, uniform, uniform, [end]).tolist()):
        assert token == end if len(rows[row]) == 8 else token not in rows[row]
    assert pick(torch.full((1, 8), math.nan), settings, uniform[:1], uniform[:1], [end]).tolist() == [end]
