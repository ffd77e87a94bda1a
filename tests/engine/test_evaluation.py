"""What is measured of a checkpoint: against plain forwards, and by hand."""

import pytest
import torch

from core.protocol import Row
from core.worker.encoding import encode_row
from core.worker.evaluation import drift, mean, measure_rows, neutral_scores, recited_share

PROMPT = [("# Heading\n\n", 0.0)]


def test_runs_of_right_guesses_are_recited():
    yes, no = [True], [False]
    assert recited_share([]) == 0
    assert recited_share(yes * 4 + no + yes * 4) == 0
    assert recited_share(yes * 5 + no * 5) == 0.5
    assert recited_share(no + yes * 6 + no + yes * 3 + no) == pytest.approx(0.5)
    assert recited_share(yes * 7) == 1


def test_a_measure_is_what_a_plain_forward_gives(engine):
    base, forms, _ = engine._ready()
    forms.fresh_adapter(1)
    with torch.no_grad():
        for tensor in forms.parameters():
            tensor.add_(0.01)
    forms.train()
    end = base.tokenizer.eos_token_id
    rows = [encode_row(base.tokenizer, Row(str(n), PROMPT, "some words, and some more " * (n + 1)), 2.0) for n in range(3)]
    rows.append(encode_row(base.tokenizer, Row("empty", PROMPT, ""), 2.0))
    found = {row.row: row for part in measure_rows(base.model, rows, end) for row in part}
    assert set(found) == {"0", "1", "2"}
    for row in rows[:3]:
        with torch.no_grad():
            scores = base.model(input_ids=torch.tensor([row.ids])).logits[0].float().log_softmax(-1)
        text = range(row.start, row.end)
        loss = -sum(scores[place - 1, row.ids[place]].item() for place in text)
        assert found[row.row].total == pytest.approx(loss, rel=0.02)
        assert found[row.row].tokens == len(text)
        assert found[row.row].end == pytest.approx(scores[row.end - 1, end].exp().item(), rel=0.1)
        assert found[row.row].early_end == pytest.approx(max(scores[place - 1, end].exp().item() for place in text), rel=0.1)
        right = [scores[place - 1].argmax().item() == row.ids[place] for place in text]
        assert found[row.row].recited == pytest.approx(recited_share(right), abs=0.2)
    assert mean(list(found.values())) == pytest.approx(sum(r.total for r in found.values()) / sum(r.tokens for r in found.values()))


def test_drift_is_nothing_at_the_base_and_grows(engine):
    base, forms, _ = engine._ready()
    forms.train(with_adapter=False)
    neutral = neutral_scores(base.model, base.tokenizer)
    forms.fresh_adapter(1)
    forms.train()
    assert drift(neutral_scores(base.model, base.tokenizer), neutral) == pytest.approx(0, abs=1e-4)
    found = []
    for amount in (0.02, 0.2):
        with torch.no_grad():
            for layer in forms.layers:
                layer.b.fill_(amount)
        found.append(drift(neutral_scores(base.model, base.tokenizer), neutral))
    assert 0 < found[0] < found[1]
    forms.train(with_adapter=False)
    assert drift(neutral_scores(base.model, base.tokenizer), neutral) == pytest.approx(0, abs=1e-6)
