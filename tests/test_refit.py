"""A checkpoint that was trained on all rows, from the files alone: it is active and sampled, and never measured on rows that it learned."""

import json
import shutil

import msgspec
import pytest

from core import runfiles
from core.errors import FlavorError
from core.runfiles import CheckpointInfo, Result
from dataset.rows import Tables
from runs import measured
from runs.measured import Losses
from tests.made import bake, refit, sample, write
from tui.commands.card import adapter_card
from tui.commands.tasting import _run_line
from tui.report.contents import _course, _row_losses
from tui.session import losses, runlist
from tui.session.advice import next_step
from tui.session.sheet import telling
from tui.session.taste import plan_taste

HELD = {"row03", "row04", "row09"}


@pytest.fixture
def refitted(session):
    write(session, 12)
    bake(session, [4.0, 3.4, 3.2, 3.25])
    assert refit(session, "0001/epoch-02") == "0001/refit-02" == session.registry.current()
    return session


def test_names():
    assert runfiles.measured_by("0001/refit-02") == "0001/epoch-02" == runfiles.measured_by("0001/epoch-02")
    assert runfiles.measured_by("base") == "base" and not runfiles.is_refit("0001/epoch-02") and runfiles.is_refit("0001/refit-02")
    assert runfiles.CHECKPOINT.fullmatch("0001/refit-02") and not runfiles.CHECKPOINT.fullmatch("0001/refit-2")


def test_it_has_the_held_out_measures_of_its_epoch(refitted):
    run = refitted.registry.run("0001")
    assert run.epochs == ("epoch-01", "epoch-02", "refit-02", "epoch-03")
    own = run.checkpoint("0001/refit-02")
    assert own.held_out_loss == 3.2 and own.recall_held_out == 0.02 and own.recall == 0.09


def test_a_loss_of_its_own_is_never_believed(session):
    """Planted: a refit that claims a held-out loss, which it can only have of rows that it learned."""
    write(session, 12)
    bake(session, [4.0, 3.4, 3.2])
    refit(session, "0001/epoch-02", held_out_loss=0.1, recall_held_out=0.9, p_end=1.0)
    assert session.registry.run("0001").checkpoint("0001/refit-02").held_out_loss == 3.2
    readings = session.tasting.readings("0001/refit-02").readings
    assert next(reading.number for reading in readings if reading.name == "held-out loss") == 3.2
    (session.registry.folder / "0001/checkpoints/epoch-02/checkpoint.json").write_text("{")
    assert session.registry.run("0001").checkpoint("0001/refit-02").held_out_loss is None  # nothing else can tell


@pytest.mark.parametrize(
    ("name", "claim"),
    [("0001/refit-02", "0001/epoch-01"), ("0001/refit-02", None), ("0002/refit-02", "0002/epoch-02"), ("0001/epoch-02", None)],
)
def test_a_foreign_one_is_named(refitted, name, claim):
    path = refitted.registry.folder / "0001/checkpoints/refit-02/checkpoint.json"
    told = runfiles.read(path, CheckpointInfo)
    runfiles.write(path, msgspec.structs.replace(told, name=name, measured_by=claim))
    run = refitted.registry.run("0001")
    assert "0001/refit-02 holds another checkpoint" in run.damaged["0001/refit-02"]
    assert [info.name for info in run.checkpoints] == ["0001/epoch-01", "0001/epoch-02", "0001/epoch-03"]


def test_a_damaged_one_breaks_nothing_else(refitted):
    (refitted.registry.folder / "0001/checkpoints/refit-02/checkpoint.json").write_bytes(b"\0" * 9)
    assert "damaged" in refitted.tasting.readings("0001/refit-02").verdict.sentence
    assert len(refitted.registry.run("0001").checkpoints) == 3
    lines = {line.key: line for line in runlist.build(refitted, refitted.registry.runs(), {"0001"}, {})}
    assert lines["0001/refit-02"].verdict == "! unreadable"


def test_a_run_whose_measuring_gave_way_is_not_called_cancelled(refitted):
    result = refitted.registry.folder / "0001/result.json"
    for status, verdict in (("cancelled", "✓ trained"), ("failed", "✗ failed")):
        runfiles.write(result, Result(status))
        assert runlist.build(refitted, refitted.registry.runs(), {"0001"}, {})[0].verdict == verdict
    write(refitted, 2, 12)
    bake(refitted, [3.3, 3.2])
    runfiles.write(refitted.registry.folder / "0002/result.json", Result("cancelled"))
    assert runlist.build(refitted, refitted.registry.runs(), {"0002"}, {})[0].verdict == "· cancelled"  # nothing of it was in use


def test_a_top_up_starts_at_its_epoch(refitted):
    write(refitted, 3, 12)
    plan = refitted.plan(seed=1)
    assert plan.spec.parent == "0001/epoch-02"
    rows = {row.id: row for row in plan.rows}
    assert {uid: rows[uid].seen for uid in HELD} == dict.fromkeys(HELD, 0.0)  # its parent never saw them
    assert all(row.seen == 2 for uid, row in rows.items() if uid < "row12" and uid not in HELD)
    bake(refitted, [3.2, 3.1])
    course = refitted.tasting.course("0002/epoch-01")
    assert course.leaked == 0 and [name for name, _ in course.points][-2:] == ["0001/epoch-02", "0002/epoch-01"]


def test_a_rewritten_row_is_no_unseen_one(session):
    write(session, 12)
    (written,) = sample(session, "base", [session.store.examples["row04"].text])
    row = msgspec.structs.replace(session.store.examples["row04"], origin="accepted", candidate=written.uid)
    session.commit("change", Tables(examples={"row04": row}))
    bake(session, [4.0, 3.4, 3.2])
    assert not session.registry.rows("0001")["row04"].held_out  # a machine's text
    session.change_example("row04", "Dish 4 is a stew of four roots, many regrets and a spoon.", {})
    bake(session, [3.2, 3.1])
    rewritten = session.registry.rows("0002")["row04"]
    assert (rewritten.origin, rewritten.held_out, rewritten.seen) == ("edited", False, 0)  # a fresh run would hold it out
    assert session.tasting.course("0002/epoch-01").leaked == 0


def test_a_top_up_from_it_would_be_seen(refitted, monkeypatch):
    """Planted: the refit itself as the parent. Its run would measure held-out rows that were learned, as if nobody had seen them."""
    monkeypatch.setattr("runs.registry.measured_by", lambda name: name)
    plan = refitted.plan(seed=1)
    with pytest.raises(FlavorError, match="0001/refit-02 was trained on the held-out rows"):
        refitted.registry.create(plan.spec, plan.rows)
    assert refitted.registry.names() == ["0001"]


def test_the_verdict_is_of_its_epoch_and_says_so(refitted):
    epoch, own = (refitted.tasting.readings(f"0001/{kind}-02").verdict for kind in ("epoch", "refit"))
    assert own.word == epoch.word == "good"
    assert epoch.sentence.startswith("Held-out loss, 3.200, is at its lowest") and "Measured" not in epoch.sentence
    assert own.sentence.startswith("Held-out loss, 3.200, is at its lowest")
    assert own.sentence.endswith("The held-out loss is that of 0001/epoch-02; this one was trained on all rows, up to twice as long.")
    readings = {reading.name: reading.sentence for reading in refitted.tasting.readings("0001/refit-02").readings}
    assert readings["held-out loss"].endswith(
        "The held-out loss is that of 0001/epoch-02; this one was trained on all rows, up to twice as long."
    )
    assert next_step(refitted).action == "curate"


def test_one_that_was_never_measured(session):
    """Planted: a run that was stopped after its repetition on all rows, with no epoch of it yet."""
    write(session, 12)
    bake(session, [4.0, 3.4, 3.2])
    refit(session, "0001/epoch-02")
    folder = session.registry.folder / "0001"
    shutil.rmtree(folder / "checkpoints/epoch-02")
    verdict = session.tasting.readings("0001/refit-02").verdict
    assert (verdict.word, verdict.sentence) == (
        "cannot tell yet",
        "It has no held-out loss: it repeats 0001/epoch-02 on all rows, and that was never measured.",
    )
    (folder / "result.json").unlink()
    session.registry.live = "0001"
    assert session.tasting.readings("0001/refit-02").verdict.sentence.endswith("0001/epoch-02, which it repeats, is measured next.")
    assert session.registry.measure_of("0001/refit-02") is None and session.registry.measure_of("base") == "base"
    plan = session.plan(seed=1)
    assert (plan.spec.parent, plan.spec.new_rows) == (None, 0)  # there is no epoch to go on from
    assert session.planner.new_rows("0001/refit-02") == 0 and "are new" not in next_step(session).sentence
    training = msgspec.structs.replace(session.settings.training, taste=True)
    session.settings = msgspec.structs.replace(session.settings, training=training)
    with pytest.raises(FlavorError, match="0001/refit-02 was not measured"):
        plan_taste(session)
    assert "0001/refit-02 was not measured" in _row_losses(session, session.learning.outlook()).how
    assert "epoch-02, which it repeats, is measured next" in adapter_card(session, "0001/refit-02", [])
    verdicts = {name: session.tasting.readings(name).verdict for name in ("0001/epoch-01", "0001/refit-02")}
    assert "0001/refit-02" in _run_line(session.registry.run("0001"), "0001/refit-02", verdicts).text


def test_what_it_copies_from_held_out_rows_is_copied(refitted):
    text = refitted.store.examples["row04"].text
    sample(refitted, "0001/epoch-02", [text] * 8)
    sample(refitted, "0001/refit-02", [text] * 8)
    epoch, own = (refitted.tasting.readings(f"0001/{kind}-02").number("longest span") for kind in ("epoch", "refit"))
    assert own == len(text.split()) > epoch


def test_losses_of_rows_are_measured_with_its_epoch(refitted):
    kept = {uid: (losses._hash(refitted, example), 3.0) for uid, example in refitted.store.examples.items()}
    measured.keep_losses(refitted.folder, "0001/refit-02", Losses("f", kept, "now"))
    assert losses.known(refitted) == {}  # those would be of rows that it learned
    measured.keep_losses(refitted.folder, "0001/epoch-02", Losses("f", kept, "now"))
    assert len(losses.known(refitted)) == 12
    told = _row_losses(refitted, refitted.learning.outlook())
    assert "Measured with 0001/epoch-02, which learned 9 of the 12 rows" in told.how


def test_the_report_and_the_card_tell_its_epoch(refitted):
    assert _course(refitted.registry.run("0001")).chosen == 2
    card = adapter_card(refitted, "0001/refit-02", [])
    assert "| all | 12 | 0 |" in card
    assert "| 2 (this one repeats it on all rows) | 3.200 |" in card
    assert "The held-out loss is that of 0001/epoch-02" in card
    other = adapter_card(refitted, "0001/epoch-02", [])
    assert "| all | 9 | 3 |" in other and "| 2 (this one) | 3.200 |" in other


def test_runs_shows_it_beside_its_epoch(refitted):
    runs = refitted.registry.runs()
    lines = runlist.build(refitted, runs, {"0001"}, {})
    assert [(line.name.strip(), line.held) for line in lines[1:5]] == [
        ("epoch-03", "3.250"), ("refit-02", "(3.200)"), ("epoch-02", "3.200"), ("epoch-01", "3.400"),
    ]  # fmt: skip
    folded = runlist.build(refitted, runs, set(), {})[0]
    assert folded.verdict == "→ refit-02" and folded.held == "(3.200)"
    assert "0001/refit-02" in telling(runs[0]) and "0001/epoch-02" in telling(runs[0])


def test_the_command_says_what_the_loss_is_of(refitted):
    run = refitted.registry.run("0001")
    verdicts = {info.name: refitted.tasting.readings(info.name).verdict for info in run.checkpoints}
    said = _run_line(run, "0001/refit-02", verdicts)
    assert json.loads(json.dumps(said.data))["checkpoints"][2]["measured_by"] == "0001/epoch-02"
    assert "* 0001/refit-02" in said.text and "held-out loss 3.200 of 0001/epoch-02, on all rows" in said.text


def test_ancestry_counts_all_rows(refitted):
    rows = refitted.registry.rows("0001")
    assert set(refitted.registry.learned("0001/refit-02")) == set(rows)
    assert set(refitted.registry.learned("0001/epoch-02")) == set(rows) - HELD
    assert refitted.registry.learned("base") == {}


def test_only_its_epoch_can_be_gone(refitted):
    with pytest.raises(FlavorError, match="no checkpoint '0001/refit-03'"):
        refitted.use("0001/refit-03")
