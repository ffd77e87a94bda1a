"""The training loop on 1, 2, 3 and 7 rows: all of them seen, weighted by position, and the same again with the same seed."""

import pytest
import torch
import torch.nn.functional as F

from core.config import Training
from core.errors import FlavorError
from core.protocol import Row
from core.task import Field, Task
from core.worker.encoding import Curriculum, encode_prompt, encode_row
from core.worker.training import EpochDone, StepDone, TokenLoss, micro_batches, rate_at, token_losses, train

TASK = Task("Heading", fields=(Field("Mood"),))


def make_rows(count):
    return [Row(id=str(n), prompt=TASK.segments({"Mood": "calm"}), text=f"text number {n} " * (n + 1)) for n in range(count)]


def run(engine, count, epochs=2, batch=2, seed=1, rows=None):
    base, forms, _ = engine._ready()
    forms.fresh_adapter(seed)
    forms.train()
    rows = rows or make_rows(count)
    encoded = [encode_row(base.tokenizer, row, 2.0) for row in rows]
    settings = Training(batch_size=batch)
    curriculum = Curriculum(base.tokenizer, rows, settings, None, seed)
    events = train(base.model, forms.parameters(), curriculum, settings, epochs=epochs, peak=1e-2, seed=seed)
    return [event for event in events if event], encoded


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_row_is_seen_in_every_epoch(engine, count):
    events, encoded = run(engine, count)
    steps = [event for event in events if isinstance(event, StepDone)]
    assert len(steps) == -(-count // 2) * 2 == steps[-1].steps
    for epoch in (1, 2):
        assert sum(step.tokens for step in steps if step.epoch == epoch) == sum(len(row.ids) for row in encoded)
    first, last = [event.loss for event in events if isinstance(event, EpochDone)]
    assert last < first


def test_repeated_rows_are_drawn_more_often(engine):
    rows = make_rows(3)
    rows[0] = Row(id="0", prompt=rows[0].prompt, text=rows[0].text, repeat=3)
    events, encoded = run(engine, 3, epochs=1, rows=rows)
    drawn = sum(event.tokens for event in events if isinstance(event, StepDone))
    assert drawn == sum(len(row.ids) for row in encoded) + 2 * len(encoded[0].ids)


def test_the_same_seed_gives_the_same_adapter(engine):
    def result(seed):
        run(engine, 3, seed=seed)
        return torch.cat([tensor.detach().flatten().clone() for tensor in engine._forms.parameters()])

    one, two, other = result(1), result(1), result(2)
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_weights_stand_by_position(engine):
    """Heading 0, attribute lines 0.2, text 1, end token 2, though the end token is also the padding."""
    tokenizer = engine._base.tokenizer
    row = Row(id="1", prompt=TASK.segments({"Mood": "calm"}), text="abc")
    encoded = encode_row(tokenizer, row, 2.0)
    assert encoded.ids[-1] == tokenizer.eos_token_id == tokenizer.pad_token_id
    assert encoded.weights[-1] == 2.0
    assert encoded.weights[-4:-1] == [1.0, 1.0, 1.0]
    assert tokenizer.decode(encoded.ids[encoded.start : encoded.end]) == "abc"
    lines = [token for token, weight in zip(encoded.ids, encoded.weights, strict=True) if weight == 0.2]
    assert tokenizer.decode(lines) == "Mood: calm\n"


def test_prompt_ids_are_the_same_in_training_and_sampling(engine):
    prompt = TASK.segments({"Mood": "calm"})
    ids, _ = encode_prompt(engine._base.tokenizer, prompt)
    encoded = encode_row(engine._base.tokenizer, Row(id="1", prompt=prompt, text="x"), 1.0)
    assert encoded.ids[: encoded.start] == ids


def test_a_batch_in_parts_has_the_gradient_of_the_whole(engine):
    base, forms, _ = engine._ready()
    forms.fresh_adapter(1)
    with torch.no_grad():
        for tensor in forms.parameters():
            tensor.add_(0.01)
    forms.train()
    rows = [encode_row(base.tokenizer, row, 2.0) for row in make_rows(4)]

    def gradient(limit):
        for part in micro_batches(rows, limit):
            losses, weights = token_losses(base.model, part, [row.weights for row in part])
            (losses * weights).sum().backward()
        found = torch.cat([tensor.grad.flatten() for tensor in forms.parameters()])
        for tensor in forms.parameters():
            tensor.grad = None
        return found

    whole, parts = gradient(100_000), gradient(1)
    assert (whole - parts).norm() < 0.02 * whole.norm()


def test_positions_that_come_along_change_nothing(engine):
    """Rows of nearly one length, some positions without weight: the loss and its gradients are those of the weighted positions alone."""
    base, forms, _ = engine._ready()
    forms.fresh_adapter(2)
    forms.train()
    rows = [encode_row(base.tokenizer, Row(str(at), [("# Heading\n\n", 0.0)], "a" * (40 + at)), 2.0) for at in range(3)]
    weights = [[weight if at % 9 else 0.0 for at, weight in enumerate(row.weights)] for row in rows]

    def learned(spare):
        losses, found = token_losses(base.model, rows, weights, spare)
        (losses * found).sum().backward()
        gradient = torch.cat([tensor.grad.flatten() for tensor in forms.parameters()])
        for tensor in forms.parameters():
            tensor.grad = None
        return len(found), (losses * found).sum().item(), gradient

    alone, along = learned(False), learned(True)
    assert alone[0] < along[0]
    assert alone[1] == pytest.approx(along[1], rel=1e-3)
    assert (alone[2] - along[2]).norm() < 0.02 * alone[2].norm()


def test_token_loss_is_cross_entropy():
    torch.manual_seed(0)
    logits = torch.randn(150, 37, requires_grad=True)
    target = torch.randint(0, 37, (150,))
    weight = torch.rand(150)
    (TokenLoss.apply(logits, target) * weight).sum().backward()
    ours, logits.grad = logits.grad, None
    expected = F.cross_entropy(logits, target, reduction="none")
    (expected * weight).sum().backward()
    assert torch.allclose(ours, logits.grad, atol=1e-6)
    assert torch.allclose(TokenLoss.apply(logits, target), expected, atol=1e-5)


def test_the_rate_warms_up_in_steps_and_ends_slowly():
    rates = [rate_at(step, 40, 1.0, 3) for step in range(40)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[31] == 1.0 > rates[32] > rates[39] == pytest.approx(0.1)
    assert all(rate_at(step, 1, 1.0, 3) == 1.0 for step in range(1))


def test_a_loss_that_is_no_number_stops_the_run(engine):
    base, forms, _ = engine._ready()
    forms.fresh_adapter(1)
    with torch.no_grad():
        forms.parameters()[1].fill_(float("nan"))
    forms.train()
    curriculum = Curriculum(base.tokenizer, make_rows(1), Training(), None, 1)
    with pytest.raises(FlavorError, match="no longer a number"):
        list(train(base.model, forms.parameters(), curriculum, Training(), epochs=1, peak=1e-3, seed=1))


@pytest.mark.parametrize(("steps", "ends"), [(range(1, 3), False), (range(2, 5), True)])
def test_a_gradient_that_is_no_number_is_passed_over_twice_and_not_again(engine, monkeypatch, steps, ends):
    counts = iter(range(1, 100))
    plain = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(
        torch.nn.utils, "clip_grad_norm_", lambda *given: torch.tensor(float("inf")) if next(counts) in steps else plain(*given)
    )
    if ends:
        with pytest.raises(FlavorError, match="no longer a number"):
            run(engine, 7)
    else:
        events, _ = run(engine, 7)
        assert sum(isinstance(event, StepDone) for event in events) == 8


def test_the_loss_that_is_told_is_a_mean_however_machine_texts_are_weighed(engine):
    """They weigh less in the gradient; of equal texts the loss is the same all the same."""
    prompt, text = TASK.segments({"Mood": "calm"}), "the same text in every row"
    people = [Row(id=f"p{n}", prompt=prompt, text=text) for n in range(4)]
    machines = [Row(id=f"m{n}", prompt=prompt, text=text, origin="accepted", depth=1) for n in range(12)]
    base, forms, _ = engine._ready()

    def told(rows, **more):
        forms.fresh_adapter(1)
        forms.train()
        settings = Training(batch_size=2, **more)
        curriculum = Curriculum(base.tokenizer, rows, settings, None, 1)
        events = list(train(base.model, forms.parameters(), curriculum, settings, epochs=1, peak=0.0, seed=1))
        return [event.loss for event in events if isinstance(event, (StepDone, EpochDone))]

    alone = told(people)
    assert told([*people, *machines]) == pytest.approx([alone[0]] * 9, rel=1e-4)
    without = told([*people, *machines], human_share=1.0)  # in some batches nothing counts
    assert 0.0 in without and [loss for loss in without if loss] == pytest.approx([alone[0]] * len(list(filter(None, without))), rel=1e-4)
