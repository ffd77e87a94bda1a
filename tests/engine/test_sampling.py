"""Sampling: filters against hand-worked cases, the same again from the record, ends where it should."""

import pytest
import torch

from core.config import Sampling
from core.sampling import Text, Tick, draw, filter_logits

PROMPT = [("# Heading\n\n", 0.0)]


def logits(*probabilities):
    return torch.tensor([probabilities]).log()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Sampling(min_p=0), [0.5, 0.3, 0.15, 0.05]),
        (Sampling(min_p=0.2), [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0]),
        (Sampling(min_p=0, top_k=2), [0.625, 0.375, 0, 0]),
        (Sampling(min_p=0, top_p=0.75), [0.625, 0.375, 0, 0]),
        (Sampling(min_p=0, temperature=0), [1, 0, 0, 0]),
        (Sampling(min_p=0, temperature=0.5), [0.25 / 0.365, 0.09 / 0.365, 0.0225 / 0.365, 0.0025 / 0.365]),
    ],
)
def test_filters(settings, expected):
    assert filter_logits(logits(0.5, 0.3, 0.15, 0.05), settings)[0].tolist() == pytest.approx(expected, abs=1e-5)


def test_draw_inverts_the_distribution():
    probabilities = torch.tensor([[0.5, 0.0, 0.3, 0.2]]).repeat(5, 1)
    uniform = torch.tensor([0.0, 0.49, 0.51, 0.81, 0.9999999])
    assert draw(probabilities, uniform).tolist() == [0, 0, 2, 3, 3]


def sample(engine, seeds, tokens=24, **settings):
    engine._forms.sample(False, "")
    found = engine._sampler.sample([PROMPT] * len(seeds), list(seeds), Sampling(max_tokens=tokens, **settings))
    return {event.index: event for event in found if isinstance(event, Text)}


def test_a_batch_can_be_sampled_again(engine):
    one, two = sample(engine, range(6)), sample(engine, range(6))
    assert one == two
    assert len({text.text for text in one.values()}) == 6
    assert set(one) == set(range(6))


def test_texts_are_cut_at_the_limit(engine):
    texts = sample(engine, range(3), tokens=5)
    assert all(text.tokens <= 5 for text in texts.values())
    assert all(text.finish == "length" for text in texts.values() if text.tokens == 5)


def test_the_end_token_ends_a_text(engine):
    engine._sampler.end = engine._base.tokenizer.convert_tokens_to_ids("e")
    texts = sample(engine, range(12), tokens=400)
    ended = [text for text in texts.values() if text.finish == "stop"]
    assert len(ended) >= 6  # 79 % of them, were all tokens alike
    assert not any("e" in text.text for text in ended)


def test_a_new_heading_ends_a_text(engine, monkeypatch):
    """The rows are fed a fixed text by a stand-in for the drawing of tokens, since an untrained model writes no headings."""
    ids = engine._base.tokenizer("A text.\n# Heading", add_special_tokens=False).input_ids
    fed = iter(ids)
    monkeypatch.setattr("core.sampling.draw", lambda probabilities, uniform: torch.tensor([next(fed)] * len(uniform)))
    text = sample(engine, [1])[0]
    assert (text.text, text.finish, text.cut_at_heading) == ("A text.", "stop", True)


def test_hash_inside_a_line_is_no_heading(engine, monkeypatch):
    ids = engine._base.tokenizer("room #4", add_special_tokens=False).input_ids
    fed = iter([*ids, engine._sampler.end])
    monkeypatch.setattr("core.sampling.draw", lambda probabilities, uniform: torch.tensor([next(fed)] * len(uniform)))
    assert sample(engine, [1])[0].text == "room #4"


def test_sampling_stops_when_iteration_stops(engine):
    engine._forms.sample(False, "")
    events = engine._sampler.sample([PROMPT] * 2, [1, 2], Sampling(max_tokens=400))
    assert isinstance(next(event for event in events if isinstance(event, Tick)), Tick)
    events.close()
    assert next(events, None) is None
