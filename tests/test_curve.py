"""The learning curve of a workspace: which points are wanted, which are kept, and the command, with a real worker on a tiny base."""

import asyncio
import json
import math
import re
import subprocess
import sys

import msgspec
import pytest

from core.conduct import Nonsense, check
from core.config import Training
from core.errors import FlavorError
from core.gauges.forecast import FEWEST_SIZES
from core.gauges.powerlaw import Law
from core.protocol import Curve, Curving, Point, Row, Wanted
from dataset.folds import FOLDS, fold
from dataset.subsets import nested, rows_for, sizes, subsets, widths
from runs.points import Points
from tests.engine.conftest import make_tiny
from tests.made import bake, write
from tests.test_tasting import decide
from tui.commands.curve import curve
from tui.commands.output import Note
from tui.report.contents import gather
from tui.report.curve import blocks
from tui.report.plot import plot
from tui.report.words import sections
from tui.session.advice import next_step
from tui.session.session import Session
from tui.session.ways import Tally

UIDS = [f"r{number:03}" for number in range(38)]


def test_subsets_are_nested_and_never_hold_their_fold():
    for point in subsets(UIDS, 2):
        assert all(fold(uid) == point.fold for uid in point.held)
        assert not set(point.learn) & set(point.held) and len(set(point.learn)) == len(point.learn)
        others = [p for p in subsets(UIDS, 2) if (p.fold, p.seed) == (point.fold, point.seed)]
        assert all(set(p.learn) <= set(point.learn) for p in others if len(p.learn) <= len(point.learn))
        assert point.full == (len(point.learn) + len(point.held) == len(UIDS))
    measured = {uid for point in subsets(UIDS, 1) if point.full for uid in point.held}
    assert measured == set(UIDS)


def test_a_new_row_moves_no_other():
    before, after = nested(UIDS, 0), nested([*UIDS, "new"], 0)
    assert [uid for uid in after if uid != "new"] == before
    assert nested(UIDS, 1) != before


def test_the_telling_points_come_first():
    order = [(point.fold, len(point.learn)) for point in subsets(UIDS, 2)]
    folds = len({number for number, _ in order})
    first = order[: 3 * folds]
    assert len({number for number, _ in first}) == folds
    for start in range(0, len(first), 3):
        trio = first[start : start + 3]
        assert len({number for number, _ in trio}) == 1 and [size for _, size in trio] == sorted(size for _, size in trio)
        assert trio[0][1] == 8 and trio[1][1] == 16
    assert sizes(30) == [8, 12, 16, 24, 30] and sizes(7) == [7] and sizes(9) == [9] and sizes(40)[-2:] == [32, 40]


def test_a_torn_line_costs_its_point_only(tmp_path):
    points = Points(tmp_path)
    assert points.all() == []
    made = [Point(name, 0, 0, 8, 3, {"a": (12.5, 10)}, 1.0) for name in ("one", "two", "three")]
    points.add(made[0], "s", "f")
    with open(points.path, "ab") as file:
        file.write(b'{"point": {"key": "tw')  # its writer was killed here
    points.add(made[2], "s", "f")
    assert [kept.point for kept in Points(tmp_path).all()] == [made[0], made[2]]
    (tmp_path / "elsewhere").write_text("")
    points.path.unlink()
    points.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FlavorError, match="could not be written"):
        points.add(made[1], "s", "f")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def filled(there, base):
    """A workspace of fourteen rows on the tiny base, with one epoch a run."""
    path = there / "flavor.toml"
    text = path.read_text().replace('base = "starter"', f'base = "{base}"')
    path.write_text(re.sub(r"\[training\]\n", "[training]\nepochs = 1\nbatch_size = 16\n", text))
    with Session(there) as session:
        rows = [(f"Dish {number}, grim.", {"Mood": "Grim"}) for number in range(14)]
        session.import_rows(rows, "rows", [f"row{number:02}" for number in range(14)])
        session.write_example(rows[0][0], {"Mood": "Calm"})  # a twin: its text is known already
    return there


def run(*words):
    done = subprocess.run([sys.executable, "-m", "tui", "curve", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_measures_keeps_and_goes_on(filled):
    first = [json.loads(line) for line in run(filled, "--seeds", 1, "--json").splitlines()]
    points, last = [line for line in first if "fold" in line], first[-1]
    assert last["rows"] == 14 and last["missing"] == 0 and len(points) == last["measured"]
    assert set(last["losses"]) == {f"row{number:02}" for number in range(14)}
    assert last["next"]["sentence"] and last["sentence"]
    assert sum(level["points"] for level in last["levels"]) == len(points)
    kept = (filled / "curve.jsonl").read_bytes()
    started = (filled / "logs/worker.log").stat().st_mtime_ns

    words = run(filled, "--seeds", 1)  # nothing is missing: no worker, the same points
    assert "held-out loss" in words and "The present set: held-out loss" in words
    assert (filled / "curve.jsonl").read_bytes() == kept and (filled / "logs/worker.log").stat().st_mtime_ns == started

    with Session(filled) as session:
        learning = session.learning
        assert learning.missing(1) == 0 and learning.missing(2) == len(points)
        session.write_example("A dish that nobody has ordered yet.", {})
        after = learning.missing(1)
        assert 0 < after <= len(subsets([f"row{number:02}" for number in range(14)] + ["new"], 1))
        session.undo()
        assert learning.missing(1) == 0
        path = filled / "flavor.toml"
        path.write_text(path.read_text().replace("epochs = 1\n", "epochs = 2\n"))
    with Session(filled) as session:
        assert session.learning.missing(1) == len(points)  # other settings, other points
        text = path.read_text().replace("[training]\nepochs = 2\n", "[training]\nepochs = 1\nrefit_rows = 3\nstop_early = false\n")
        path.write_text(text)
    with Session(filled) as session:
        assert session.learning.missing(1) == 0  # a point knows nothing of these
    assert "Cannot tell yet" in run(filled, "--budget", 0)


def measured(session, law):
    """Points as the worker would have measured them, of one seed."""
    learning = session.learning
    for subset, key in learning._plan(1):
        losses = {uid: (10 * (law.at(len(subset.learn)) + len(uid) % 2), 10) for uid in subset.held}
        learning._points.add(Point(key, subset.fold, subset.seed, len(subset.learn), 3, losses, 1.0), learning._settings(), "f")


@pytest.mark.parametrize(
    ("law", "action", "said"),
    [
        (Law(3.0, 4.0, 0.5), "write", "Write more: 5 of 8 kept, no more than the 10 of 12 before, but 10 more rows should lower"),
        (Law(3.0, 0.01, 1.0), "stop", "Stop here: 5 of 8 kept, no more than the 10 of 12 before, and 10 more rows would lower"),
        (None, "stop", "Stop here: 5 of 8 kept, no more than the 10 of 12 before, and the last run gained little."),
    ],
)
def test_the_curve_speaks_for_the_next_step(session, law, action, said):
    write(session, 24)
    good = bake(session, [4.0, 3.2, 3.19])
    decide(session, good, kept=10, rejected=2)
    better = bake(session, [3.19, 3.18], base=4.0)
    decide(session, better, kept=5, rejected=3)
    if law:
        measured(session, law)
    step = next_step(session)
    assert (step.action, step.sentence[: len(said)]) == (action, said)
    assert (session.learning.outlook().forecast.sentence in step.reasons) == bool(law)


def test_from_how_many_rows_on_a_curve_says_something():
    """Fewer than three sizes say nothing: computed, and held against the folds of rows with many ids."""
    assert rows_for(FEWEST_SIZES) == 18
    for draw in range(40):
        uids = [f"{draw} {number}" for number in range(18)]
        if len({fold(uid) for uid in uids}) == FOLDS:
            assert widths(uids) >= 3
        assert widths(uids[:14]) < 3


def test_too_few_rows_for_a_curve_are_said_before_and_after(session):
    write(session, 5)
    section = next(section for section in sections(asyncio.run(gather(session))) if section.title.startswith("Held-out loss"))
    told = "Cannot tell yet what more rows would bring: it takes about 18 rows of yours, and there are {}."
    assert section.lines == (told.format(5),)
    write(session, 7, 5)
    learning = session.learning
    assert learning.outlook().missing and learning.outlook().forecast.sentence == told.format(12)
    measured(session, Law(3.0, 4.0, 0.5))
    assert not learning.missing(1) and learning.outlook(1).forecast.sentence == told.format(12)
    write(session, 12, 12)
    assert not learning.takes() and "it takes 3 sizes" in learning.outlook(1).forecast.sentence


def test_the_command_says_it_before_it_measures(there, monkeypatch):
    with Session(there) as session:
        write(session, 12)

    async def start(session):
        raise FlavorError("The model is loaded now.")
        yield

    monkeypatch.setattr("tui.commands.curve.start", start)

    said = []

    async def measure():
        async for line in curve(there, 1, 60):
            said.append(line)

    with pytest.raises(FlavorError, match="loaded now"):
        asyncio.run(measure())
    assert isinstance(said[0], Note) and said[0].text.startswith("It takes about 18 rows of yours for a curve")


def test_too_few_rows_and_no_model_are_said(there):
    with Session(there) as session:
        session.write_example("one", {})
        with pytest.raises(FlavorError, match="needs 8 rows of yours; there are 1 row"):
            session.learning.check()
        for number in range(8):
            session.write_example(f"text {number}", {})

        async def measure():
            return [event async for event in session.learning.measure()]

        with pytest.raises(FlavorError, match="not loaded"):
            asyncio.run(measure())
        assert plot(session.learning.outlook().forecast) == []


def test_the_picture_and_the_words(session):
    write(session, 24)
    measured(session, Law(3.0, 4.0, 0.5))
    outlook = session.learning.outlook()
    told = outlook.forecast
    drawn = plot(told, width=30, height=7)
    assert sum(line.count("●") for line in drawn) == len(told.levels)
    assert drawn[-1].split()[0] == "8" and drawn[-1].endswith("34 rows")
    lines = [
        number for _, number in sorted((place, number) for number, line in enumerate(drawn) for place, c in enumerate(line) if c == "●")
    ]
    assert lines == sorted(lines) and lines[0] < lines[-1]  # falling
    words = "\n\n".join(
        blocks(
            outlook,
            dict(session.store.examples),
            [],
            {"alone": Tally(3, 9), "shown": Tally(5, 8)},
            {True: Tally(2, 4), False: Tally(6, 13)},
        )
    )
    assert "3 of 9 sampled alone, 5 of 8 with examples shown" in words
    assert "About something made up: 2 of 4 kept; the others: 6 of 13." in words
    told = "".join(blocks(outlook, {}, [], {"alone": Tally(3, 9), "shown": Tally()}, {True: Tally(), False: Tally(3, 9)}))
    assert "Kept lately" not in told and "made up" not in told  # nothing to compare
    assert "n^-0." in words and "(all but a fold)" in words


def test_a_worker_that_measures_what_was_not_asked_for_is_not_believed():
    row = Row("a", [], "text")
    asked = Curve(id=1, rows=[row], points=[Wanted("k", 0, 0, [], [0])], training=Training(), task=None, budget=1.0, speed=1.0)

    def told(**changes):
        point = msgspec.structs.replace(Point("k", 0, 0, 8, 1, {"a": (9.0, 3)}, 1.0), **changes)
        check(asked, Curving(id=1, done=1, of=1, left=0.0, point=point), set())

    told()
    for changes in (
        {"key": "other"},
        {"losses": {"b": (9.0, 3)}},
        {"losses": {"a": (math.nan, 3)}},
        {"losses": {"a": (9.0, 0)}},
        {"losses": {}},
    ):
        with pytest.raises(Nonsense):
            told(**changes)
