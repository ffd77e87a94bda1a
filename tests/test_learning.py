"""What the starter really learns: attributes move the text, later is not better, and the verdict sees it."""

import random
from pathlib import Path

import pytest

from bench.common import TASKS, rows_of
from bench.planted import verdicts
from core.config import Lora, Sampling, Training
from core.protocol import Candidate, Load, Row, Sample
from core.worker.encoding import Curriculum, encode_row
from core.worker.evaluation import mean, measure_rows
from tui.session.inventing import listing, parsed

ORDER = ["underbaked", "good", "overbaked"]


def test_planted_adapters_are_judged_in_order():
    """As measured by `bench.planted` on the starter: never back, the first one underbaked, the last ones overbaked, for every seed."""
    import json

    runs = json.loads((Path(__file__).parent / "data/planted.json").read_text())
    assert {(run["task"], run["seed"]) for run in runs} == {("checks", 1), ("checks", 2), ("paintings", 1), ("paintings", 2)}
    for run in runs:
        for texts in (False, True):
            words = [judgement.verdict.word for _, judgement in verdicts(run, texts)]
            places = [ORDER.index(word) for word in words]
            assert places == sorted(places) and words[0] != "overbaked" and words[-2:] == ["overbaked"] * 2
            assert "good" in words or words[0] == "underbaked"
        losses = [planted["held_out_loss"] for planted in run["planted"]]
        assert losses[-1] > 1.1 * min(losses)  # later is not better


@pytest.fixture(scope="module")
def engine():
    from core.worker.engine import Engine

    engine = Engine()
    for _ in engine.load(Load(id=1, base="starter", quantization="nf4", lora=Lora(), calibrate=True)):
        pass
    return engine


def make_rows(count, start=0):
    task = TASKS["checks"]()
    rows = rows_of("checks")[start : start + count]
    return task, [Row(f"row{n}", task.segments(fields), text, fields=fields) for n, (text, fields) in enumerate(rows)]


def bake(engine, task, rows, epochs, peak=1e-3):
    """Yields after each epoch."""
    from core.worker.training import EpochDone, train

    base, forms, _ = engine._ready()
    forms.fresh_adapter(1)
    forms.train()
    curriculum = Curriculum(base.tokenizer, rows, Training(), task, 1)
    for event in train(base.model, forms.parameters(), curriculum, Training(), epochs=epochs, peak=peak, seed=1):
        if isinstance(event, EpochDone):
            yield event
            forms.train()
            base.model.train()


@pytest.mark.starter
def test_fixing_an_attribute_moves_the_text(engine):
    """Held-out texts are likelier under their own attributes than under others'."""
    task, rows = make_rows(16)
    for _ in bake(engine, task, rows, 1):
        pass
    base = engine._ready()[0]
    _, unseen = make_rows(8, 24)
    order = random.Random(1).sample(range(len(unseen)), len(unseen))
    order = [place if place != number else (number + 1) % len(unseen) for number, place in enumerate(order)]

    def loss(fields):
        encoded = [
            encode_row(base.tokenizer, Row(row.id, task.segments(values), row.text), 2.0)
            for row, values in zip(unseen, fields, strict=True)
        ]
        return mean([row for part in measure_rows(base.model, encoded, base.tokenizer.eos_token_id) for row in part])

    own = loss([row.fields for row in unseen])
    others = loss([unseen[place].fields for place in order])
    none = loss([{} for _ in unseen])
    assert own < 0.98 * others
    assert own < none


@pytest.mark.starter
def test_the_base_makes_values_up(engine):
    """After scenarios and what is done in them, most of what the starter adds is another one, and hardly one is one of those."""
    task, rows = make_rows(12)
    prompts = [listing(task, [row.fields for row in random.Random(n).sample(rows, 6)]) for n in range(16)]
    settings = Sampling(max_tokens=60, end_ramp=0.0)
    command = Sample(id=2, checkpoint=None, prompts=prompts, seeds=list(range(16)), settings=settings, examples=[])
    found = [parsed(task, event.text) for event in engine.sample(command) if isinstance(event, Candidate) and event.finish == "stop"]
    whole = [values for values in found if list(values) == ["Scenario", "Action"]]
    assert len({values["Scenario"] for values in whole}) >= 7  # what it draws differs from processor to processor
    assert sum(values in [row.fields for row in rows] for values in whole) <= 1


@pytest.mark.starter
def test_the_verdict_sees_what_is_overbaked(engine):
    from core.gauges.reading import Course, Measured
    from core.gauges.verdict import judge
    from core.worker.retraining import Probe

    def drain(events):
        while True:
            try:
                next(events)
            except StopIteration as end:
                return end.value

    task, rows = make_rows(12)
    base, forms, _ = engine._ready()
    encoded = [encode_row(base.tokenizer, row, 2.0) for row in rows]
    probe = Probe(base, forms, encoded[8:], encoded[:8])
    drain(probe.prose())
    points = [("base", drain(probe.base()))]
    measured = []
    for event in bake(engine, task, rows[:8], 5, peak=2e-3):  # twice the usual rate: as far in five epochs as else in nine
        if event.epoch in (1, 2, 5):
            gauges = drain(probe.gauges())
            points.append((f"epoch {event.epoch}", gauges.held_out_loss))
            measured.append(
                Measured(
                    f"epoch {event.epoch}", gauges.held_out_loss, event.loss, gauges.p_end, gauges.p_end_early, gauges.recall,
                    gauges.recall_held_out, gauges.drift, event.epoch,
                )
            )  # fmt: skip
    words = [judge(one, Course(tuple(points), True)).verdict.word for one in measured]
    assert words[-1] == "overbaked" and words[0] in ("underbaked", "good")
    assert [ORDER.index(word) for word in words] == sorted(ORDER.index(word) for word in words)
