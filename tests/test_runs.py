"""Runs as their folders tell, folds, and the plan of a retrain."""

import json
import shutil

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import runfiles
from core.errors import FlavorError
from core.files import now
from core.protocol import Loaded, Provisional, Trained
from core.runfiles import CheckpointInfo, Result
from core.text import duration
from dataset.activity import acts
from dataset.folds import fold, held_out
from dataset.rows import Tables
from runs import measured
from runs.checkup import check_runs
from runs.registry import Registry
from runs.sheets import Column, Sheet, Sheets
from tests.made import bake, sample, top_up
from tui.session.again import plan_again
from tui.session.back import go


@given(st.sets(st.text("abcdef0123456789", min_size=8, max_size=8), max_size=60), st.text("ghij", min_size=8, max_size=8))
def test_held_out_rows(uids, later):
    """A row keeps its place for ever, held out or not, whatever is written after it."""
    out = held_out(uids)
    assert out <= uids and len(out) <= len(uids) / 3 and bool(out) == (len(uids) >= 8)
    if out:
        assert len(out) >= 2 and all(fold(uid) <= 1 for uid in out - set(sorted(uids)[:8]))
        assert held_out(uids | {later}) - {later} == out


def finish(session, name, checkpoint=True, status="done"):
    """A run as the worker would leave it, without the tensors."""
    folder = session.registry.folder / name
    if checkpoint:
        where = folder / "checkpoints/epoch-01"
        where.mkdir(parents=True)
        runfiles.write(where / "checkpoint.json", CheckpointInfo(f"{name}/epoch-01", 1, "starter", "f", "0" * 64, 2.5, 2.0, "now"))
    runfiles.write(
        folder / "result.json", Result(status, checkpoint=f"{name}/epoch-01", steps=4, tokens=1000, train_seconds=10.0, peak_memory=7)
    )


def write(session, count, start=0):
    for number in range(start, start + count):
        session.write_example(f"The {number} dish is a stew of {number} roots and one regret.", {"Mood": "Calm"})


def train(session):
    """A first run of all rows, whose checkpoint is active."""
    plan = session.plan(seed=1)
    session.registry.create(plan.spec, plan.rows)
    finish(session, "0001")
    session.registry.use("0001/epoch-01")


def test_a_plan_says_what_will_happen(session):
    with pytest.raises(FlavorError, match="no example to train on"):
        session.plan()
    write(session, 1)
    plan = session.plan(seed=1)
    assert (plan.learned, plan.held, plan.steps, plan.spec.parent) == (1, 0, 8, None)
    assert plan.line().startswith("afresh from the base: 1 row (1 new), at most 8 epochs, 8 steps, about ")
    write(session, 11, 1)
    plan = session.plan(seed=1)
    assert plan.learned + plan.held == 12 and 1 <= plan.held <= 4
    session.registry.create(plan.spec, plan.rows)
    finish(session, "0001")
    session.registry.use("0001/epoch-01")
    write(session, 2, 12)
    first = next(iter(session.store.examples))
    session.change_example(first, "Changed since.", {})
    few = session.plan()
    assert few.spec.parent is None and few.spec.shrink == 1 and few.spec.epochs == 8  # so few rows learn better afresh
    assert (
        few.line().startswith(f"afresh from the base on all {len(few.rows)} rows (3 new), in use after about ")
        and f"measured on {few.held} held out" in few.line()
    )
    assert session.planner.plan(onwards=True).spec.parent == "0001/epoch-01"  # as taste asks for it
    top_up(session)
    topup = session.plan()
    assert (topup.spec.name, topup.spec.parent, topup.spec.new_rows, topup.spec.epochs) == ("0002", "0001/epoch-01", 3, 2)
    assert topup.spec.shrink == 0.5 and plan.spec.shrink == 1 and topup.spec.learning_rate == plan.spec.learning_rate
    assert {first, *list(session.store.examples)[-2:]} <= {row.id for row in topup.rows if row.repeat == 2}
    assert all(row.seen == 0 if row.repeat == 2 else row.seen == 1 for row in topup.rows)
    assert topup.memory == 7  # what the last run used
    fresh = session.plan(fresh=True)
    assert fresh.spec.parent is None and all(row.repeat == 1 for row in fresh.rows)


def test_the_same_rows_are_baked_on_and_others_are_not(session):
    write(session, 12)
    train(session)
    assert (session.plan().spec.parent, session.planner.new_rows("0001/epoch-01")) == ("0001/epoch-01", 0)
    assert session.plan(fresh=True).spec.parent is None
    first, second, *_ = session.store.examples
    session.change_example(first, session.store.examples[first].text, {"Mood": "Grim"})
    assert (session.plan().spec.parent, session.planner.new_rows("0001/epoch-01")) == (None, 1)
    session.undo()
    assert session.plan().spec.parent == "0001/epoch-01"
    session.delete_example(second)
    assert session.plan().spec.parent is None


def test_a_changed_task_is_learned_afresh(session):
    """An adapter that learned another heading, or other names of attributes, is no start; and what is not asked for any more is said."""
    write(session, 12)
    train(session)
    top_up(session)
    task = session.settings.task
    for changed in (
        msgspec.structs.replace(task, heading="Another Menu"),
        msgspec.structs.replace(task, fields=tuple(msgspec.structs.replace(field, name=f"The {field.name}") for field in task.fields)),
    ):
        assert session.plan().spec.parent == "0001/epoch-01"
        session.settings = msgspec.structs.replace(session.settings, task=changed)
        assert (session.plan().spec.parent, session.planner.new_rows("0001/epoch-01")) == (None, 12)
        assert session.planner.plan(onwards=True).spec.parent == "0001/epoch-01"
        renamed = session.plan().line().endswith("; without the values of Mood, which flavor.toml has no attribute for")
        assert renamed == (changed.heading == task.heading)
        session.settings = msgspec.structs.replace(session.settings, task=task)


def test_statuses_are_read_from_files(session):
    write(session, 2)
    for name, status in (("0001", "done"), ("0002", "cancelled"), ("0003", "failed")):
        plan = session.plan()
        assert plan.spec.name == name
        session.registry.create(plan.spec, plan.rows)
        finish(session, name, checkpoint=status == "done", status=status)
    plan = session.plan()
    session.registry.create(plan.spec, plan.rows)
    (session.registry.folder / "0005").mkdir()
    (session.registry.folder / "0006").mkdir()
    (session.registry.folder / "0006/run.json").write_text("{")
    assert [run.status for run in session.registry.runs()] == ["done", "cancelled", "failed", "interrupted", "unreadable", "unreadable"]
    session.registry.live = "0004"
    assert session.registry.run("0004").status == "running"
    assert session.registry.next_name() == "0007"
    session.choices.set_note("0008", "what was thought of a run, which was removed since")
    assert session.registry.next_name() == "0009"


def test_a_checkpoint_must_be_there_to_be_used(session):
    with pytest.raises(FlavorError, match="no checkpoint '0009/epoch-01'"):
        session.registry.use("0009/epoch-01")
    for name in ("../../etc", "0001", "0001/epoch-1/..", ""):
        with pytest.raises(FlavorError):
            session.registry.use(name)
    session.registry.use("base")
    assert session.registry.current() == "base"
    (session.registry.folder / "current").write_text("../../etc/passwd")
    assert session.registry.current() == "base"


def test_frozen_rows_are_those_of_the_plan(session):
    write(session, 3)
    plan = session.plan()
    session.registry.create(plan.spec, plan.rows)
    assert list(session.registry.rows("0001").values()) == plan.rows
    lines = (session.registry.folder / "0001/rows.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["prompt"][0][0].startswith("# Tiny Tavern Menu")
    rows = session.registry.folder / "0001/rows.jsonl"
    rows.write_text("changed")
    assert session.registry.rows("0001") == {}
    assert [one.level for one in check_runs(session.folder, {}, False)] == ["lost"]  # and nothing of running it again
    for change in (rows.unlink, lambda: rows.symlink_to(session.folder / "flavor.toml")):
        change()
        with pytest.raises(FlavorError, match=r"rows\.jsonl"):
            plan_again(session, "0001")


def test_a_run_of_a_newer_version_is_not_called_lost(session):
    write(session, 3)
    plan = session.plan()
    spec = session.registry.create(plan.spec, plan.rows) / "run.json"
    spec.write_bytes(spec.read_bytes().replace(b'"format": 1', b'"format": 2').split(b',\n "crc32"')[0] + b"}")
    (found,) = (one for one in check_runs(session.folder, {}, False) if one.where == "runs/0001")
    assert found.level == "note" and "newer version" in found.what


def test_lines_of_metrics_that_are_none_of_ours_are_left_out(session):
    write(session, 12)
    name = bake(session, [3.0, 2.5]).partition("/")[0]
    with (session.registry.folder / name / "metrics.jsonl").open("a") as file:
        file.write('7\n["epoch"]\n{"type": "epoch", "base_loss": "low"}\n{"type": "epoch", "base_loss": 4.5}\n')
    assert session.registry.run(name).base_loss() == 4.5


def test_no_runs_yet(tmp_path):
    registry = Registry(tmp_path)
    assert (registry.runs(), registry.current(), registry.next_name()) == ([], "base", "0001")


class Retraining:
    """In the place of a worker: its run leaves `epoch-01` and `epoch-02`, names the first where it is `early` and the second at its end, and
    before the one or the other the person does something."""

    def __init__(self, session, does, early=False, before=Trained):
        self._registry, self._does, self._before = session.registry, does, before
        self._says = [Provisional, Trained] if early else [Trained]

    async def train(self, folder, sinks):
        for epoch in (1, 2):
            where = folder / f"checkpoints/epoch-{epoch:02}"
            where.mkdir(parents=True)
            name = f"{folder.name}/{where.name}"
            runfiles.write(where / "checkpoint.json", CheckpointInfo(name, epoch, "starter", "f", "0" * 64, 3.0, 2.0, "now"))
        for kind in self._says:
            if kind is self._before:
                self._does()
            name = f"{folder.name}/epoch-{1 if kind is Provisional else 2:02}"
            yield Provisional(id=1, checkpoint=name, seconds=1.0) if kind is Provisional else trained(name)


def trained(name, why="the lowest held-out loss"):
    return Trained(id=1, checkpoint=name, steps=1, tokens=9, seconds=1.0, train_seconds=1.0, why=why)


async def carried_out(session, plan, worker):
    """What is active in the end."""
    session.worker, session.loaded = worker, Loaded("tiny", "f", 1, 1, "cpu", "4 bits", id=1)
    async for _ in session.retrain(plan):
        pass
    return session.registry.current()


@pytest.mark.parametrize("early", [False, True])
async def test_what_is_chosen_while_a_run_goes_on_stays(session, early):
    write(session, 12)
    moment = session.store.journal.seq
    nothing, fresh = (lambda: None), early
    first = await carried_out(session, session.plan(), Retraining(session, nothing, early))
    assert first == "0001/epoch-02" == session.store.active
    top_up(session)
    for name, chosen, does in (
        ("0002", "0001/epoch-01", lambda: session.use("0001/epoch-01")), ("0003", "base", lambda: go(session, moment)),
    ):  # fmt: skip
        session.use(first)
        plan = session.plan(fresh)
        assert plan.spec.name == name and plan.spec.parent == (None if fresh else first)
        assert await carried_out(session, plan, Retraining(session, does, early, Provisional if early else Trained)) == chosen
    session.use("base")
    plan = session.plan(fresh=True)
    assert await carried_out(session, plan, Retraining(session, lambda: session.use(first), early)) == first
    assert await carried_out(session, session.plan(fresh), Retraining(session, nothing, early)) == "0005/epoch-02"


async def test_what_is_active_already_and_chosen_again_stays(session):
    write(session, 12)
    top_up(session)
    first = await carried_out(session, session.plan(), Retraining(session, lambda: None, False))
    assert await carried_out(session, session.plan(), Retraining(session, lambda: session.use(first), False)) == first


async def test_what_a_run_makes_active_is_nothing_that_a_person_did(session):
    write(session, 12)
    path, nothing = session.store.journal.path, lambda: None
    done = acts(path)
    assert await carried_out(session, session.plan(), Retraining(session, nothing, early=True)) == "0001/epoch-02"
    assert acts(path) == done
    session.use("base")
    assert len(acts(path)) == len(done) + 1


async def test_a_run_that_ends_while_nothing_can_be_written_is_done_and_not_active(session, monkeypatch):
    write(session, 12)

    def broken(name, kind):
        raise FlavorError("runs/current could not be written.")

    monkeypatch.setattr(session, "use", broken)
    assert await carried_out(session, session.plan(), Retraining(session, lambda: None, early=False)) == "base"
    assert session.registry.checkpoint_folder("0001/epoch-02")


@pytest.mark.parametrize("speaks", ["current", "choices", "candidates", "losses", "sheet", "moments"])
def test_the_name_of_a_run_that_was_removed_by_hand_is_not_used_again(session, speaks):
    """What was chosen, sampled, measured or shown of it would be taken for the new one's."""
    write(session, 12)
    bake(session, [3.0, 2.5])
    name = bake(session, [2.5, 2.3])
    match speaks:
        case "choices":
            session.choices.set_strength(name, 0.4)
        case "candidates":
            sample(session, name, ["A text."])
        case "losses":
            measured.keep_losses(session.folder, name, measured.Losses("f", {}, now()))
        case "sheet":
            Sheets(session.folder).add(Sheet("key", now(), [], [], [], {}))
            Sheets(session.folder).add(Column("key", name, now(), []))
        case "moments":  # to which one may go back
            for one in (name, "0001/epoch-01"):
                session.use(one)
                session.commit("use", Tables())
    if speaks != "current":
        session.registry.use("base")
    shutil.rmtree(session.registry.folder / "0002")
    assert session.plan().spec.name == "0003"


async def test_a_provisional_one_that_could_not_be_written_down_is_made_up_for(session, monkeypatch):
    write(session, 12)
    use = session.use

    def broken(name, kind):
        monkeypatch.setattr(session, "use", use)
        raise FlavorError("runs/current could not be written.")

    monkeypatch.setattr(session, "use", broken)
    assert await carried_out(session, session.plan(), Retraining(session, lambda: None, early=True)) == "0001/epoch-02"


def test_a_run_afresh_expects_the_steps_that_were_best_before(session):
    """First what is best as a rule; then what the last run afresh found, where a step was the same; a top-up nothing."""
    write(session, 12)
    plan = session.plan(seed=1)
    assert plan.spec.expected == 16 and plan.first > 0
    assert (
        "afresh from the base on all 12 rows" in plan.line() and f"in use after about {duration(plan.first)}; then measured" in plan.line()
    )
    session.registry.create(plan.spec, plan.rows)
    result = session.registry.folder / "0001/result.json"
    runfiles.write(result, Result("cancelled"))
    assert session.plan(fresh=True).spec.expected == 16
    runfiles.write(result, Result("done", best_steps=24))
    assert session.plan(fresh=True).spec.expected == 24
    training = session.settings.training
    session.settings = msgspec.structs.replace(session.settings, training=msgspec.structs.replace(training, learning_rate=1e-3))
    other = session.plan(fresh=True)
    assert other.spec.expected == 0 and other.first == 0 and "then again on all 12 rows, about" in other.line()
    session.settings = msgspec.structs.replace(session.settings, training=training)
    bake(session, [4.0, 3.0])
    assert session.plan().spec.parent == "0002/epoch-01" and session.plan().spec.expected == 0
