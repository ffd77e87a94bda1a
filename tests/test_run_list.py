"""The rows of Runs from the files alone: the tree, curves as they grow, and folders that are half written, foreign or newer."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from core import runfiles
from core.protocol import Step
from core.runfiles import RunSpec
from runs.curves import Curves, thin
from runs.tree import lanes
from tests.made import bake, sample, write
from tui.session import runlist


def test_a_line_of_runs_is_one_lane():
    assert lanes({"1": None, "2": "1", "3": "2"}, ["3", "2", "1"]) == {"3": ("●", "│"), "2": ("●", "│"), "1": ("●", "")}


def test_branches_join_at_their_parent():
    drawn = lanes({"1": None, "2": "1", "3": "1", "4": None, "5": "2"}, ["5", "4", "3", "2", "1"])
    assert [drawn[name][0] for name in "54321"] == ["●", "│●", "│●", "●│", "●╯"]
    assert [drawn[name][1] for name in "54321"] == ["│", "│", "││", "││", ""]


@given(st.lists(st.one_of(st.none(), st.integers(0, 30)), min_size=1, max_size=20))
def test_every_run_has_its_place_whatever_the_parents(picked):
    names = [f"{number:04}" for number in range(len(picked))]
    parents = {name: None if at is None else f"{at:04}" for name, at in zip(names, picked, strict=True)}
    drawn = lanes(parents, names[::-1])
    assert all(drawn[name][0].count("●") == 1 for name in names)
    assert drawn[names[0]][1] == ""  # nothing is awaited below the oldest


def test_curves_grow_by_whole_lines(tmp_path):
    path, curves = tmp_path / "metrics.jsonl", Curves()
    assert curves.of(tmp_path).train == []
    step = {"type": "step", "step": 1, "loss": 3.5, "celsius": 61.0}
    path.write_text(json.dumps({"type": "epoch", "epoch": 0, "held_out_loss": 4.0}) + "\n" + json.dumps(step) + "\n" + '{"type": "st')
    assert curves.of(tmp_path).held == [(0.0, 4.0)] and curves.of(tmp_path).train == [(1, 3.5)]
    assert curves.of(tmp_path).celsius == 61
    with path.open("a") as file:
        file.write(
            'ep", "step": 2, "loss": 3.0}\n{"type": "step", "step": "x", "loss": 1}\n[]\n{"type": "epoch", "epoch": 1, "held_out_loss": 3.2}\n'
        )
    assert curves.of(tmp_path).train == [(1, 3.5), (2, 3.0)] and curves.of(tmp_path).held == [(0.0, 4.0), (2, 3.2)]
    path.unlink()
    path.write_text("")  # another file of that name
    assert curves.of(tmp_path).train == []


def test_the_wire_is_what_the_curves_read(tmp_path):
    step = Step(id=1, step=7, steps=9, epoch=1, loss=2.5, rate=1e-3, tokens=5, seconds=1.0, celsius=50.0, device_memory=3)
    (tmp_path / "metrics.jsonl").write_bytes(msgspec.json.encode(step) + b"\n")
    curve = Curves().of(tmp_path)
    assert (curve.train, curve.celsius, curve.device_memory) == ([(7, 2.5)], 50.0, 3)


@given(st.lists(st.floats(0, 9), max_size=90), st.integers(1, 20))
def test_a_thin_curve_keeps_the_mean(losses, most):
    points = [(float(step), loss) for step, loss in enumerate(losses)]
    kept = thin(points, most)
    assert len(kept) == min(len(points), most)
    assert [step for step, _ in kept] == sorted(step for step, _ in kept)
    if points:
        assert min(losses) - 1e-9 <= min(loss for _, loss in kept) and max(loss for _, loss in kept) <= max(losses) + 1e-9


def lines_of(session, open_=None, words=None):
    runs = session.registry.runs()
    return {one.key: one for one in runlist.build(session, runs, {run.name for run in runs} if open_ is None else open_, words or {})}


def test_rows_of_a_lineage(session):
    write(session, 12)
    first = bake(session, [4.0, 3.4, 3.2])
    made = sample(session, first, ["One stew.", "Two stews.", "Three."])
    session.decide(made[0].uid, "accept")
    session.decide(made[1].uid, "reject")
    session.decide(made[2].uid, "skip")
    bake(session, [3.2, 3.1])
    session.choices.set_note(first, "dry")
    session.choices.set_strength(first, 0.7)
    session.choices.set_note("0002", "a run has one too")
    found = lines_of(session, words={first: "✓ good"})
    assert list(found) == ["0002/", "0002/epoch-01", "0001/", "0001/epoch-02", "0001/epoch-01", "base"]
    assert found["0002/"][1:6] == ("▾●", "0002", "13, 1 new", "", "") and found["0002/"].note == "a run has one too"
    assert found["0002/epoch-01"].tree == "▶│" and found["0002/epoch-01"].held == "3.100"
    assert (found[first].verdict, found[first].kept, found[first].note) == ("✓ good", "1/2", "×0.7 dry")
    folded = lines_of(session, open_=set())
    assert list(folded) == ["0002/", "0001/", "base"]
    assert (folded["0001/"].tree, folded["0001/"].held, folded["0001/"].verdict, folded["0001/"].kept) == (
        "▸●",
        "3.200",
        "→ epoch-02",
        "1/2",
    )


def test_what_cannot_be_read_is_shown_and_breaks_nothing(session):
    write(session, 12)
    last = bake(session, [4.0, 3.4, 3.2])
    folder = session.registry.folder
    assert lines_of(session)[last].verdict == "…"
    (folder / "0001/checkpoints/epoch-02/checkpoint.json").write_text("{")  # in its place, after it was read
    assert lines_of(session)[last].verdict == "! unreadable"
    (folder / "0001/checkpoints/epoch-03").mkdir()  # deleted by half
    (folder / "0002").mkdir()
    (folder / "0003").mkdir()
    spec = msgspec.to_builtins(runfiles.read(folder / "0001/run.json", RunSpec))
    (folder / "0003/run.json").write_text(json.dumps({**spec, "kind": "of tomorrow", "format": runfiles.FORMAT + 1}))
    (folder / "0004").write_text("not even a folder")
    (folder / "my notes").mkdir()
    found = lines_of(session)
    assert {key: found[key].verdict for key in ("0001/epoch-03", "0001/epoch-02", "0002/", "0003/", "0004/", "my notes//")} == {
        "0001/epoch-03": "! unreadable", "0001/epoch-02": "! unreadable", "0002/": "! unreadable", "0003/": "! newer", "0004/": "! unreadable",
        "my notes//": "! foreign",
    }  # fmt: skip
    assert "newer version of flavor-tui" in session.registry.run("0003").reason
    assert [info.name for info in session.registry.run("0001").checkpoints] == ["0001/epoch-01"]
    assert list(session.registry.run("0001").damaged) == ["0001/epoch-02", "0001/epoch-03"]


def test_many_runs_are_folded_at_first(session):
    write(session, 12)
    for _ in range(8):
        bake(session, [4.0, *[3.0] * 9])
    runs = session.registry.runs()
    assert runlist.unfolded(runs, "0002/epoch-03") == {"0002", "0006", "0007", "0008"}
    assert runlist.unfolded(runs[:3], "base") == {"0001", "0002", "0003"}
