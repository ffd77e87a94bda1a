"""Settings side by side: what counts as larger than its noise, the grid, what is kept, and the command with a real worker on a tiny base."""

import json
import math
import random
import re
import signal
import subprocess
import sys

import msgspec
import pytest

from core.errors import FlavorError
from core.gauges.sidebyside import Trial, compare, sentence
from core.gauges.statistics import t_quantile
from core.protocol import Point
from core.worker import curve
from tests.engine.conftest import make_tiny
from tests.made import sample, write
from tui.session.session import Session
from tui.session.sweep import NUMBERS, Grid, Sweep, named, parse_grid, table

NAMES = ["present", "a", "b", "c", "d", "e"]


@pytest.mark.parametrize(("share", "freedom", "value"), [(0.975, 4, 2.776), (0.95, 9, 1.833), (0.995, 2, 9.925), (0.99, 30, 2.457)])
def test_students_t(share, freedom, value):
    assert t_quantile(share, freedom) == pytest.approx(value, abs=0.001)


def drawn(draw, effects, folds=5, noise=0.03):
    """Trials whose folds differ far more than their settings."""
    hard = [draw.gauss(3.5, 0.4) for _ in range(folds)]
    return [Trial(name, fold, 0, hard[fold] + effects.get(name, 0.0) + draw.gauss(0, noise), 4) for fold in range(folds) for name in NAMES]


def test_equal_settings_are_rarely_told_apart_and_a_real_difference_is_found():
    draw = random.Random(5)
    alarms = sum(any(each.word in ("lower", "higher") for each in compare(drawn(draw, {}), NAMES, 5)) for _ in range(400))
    assert alarms <= 0.1 * 400
    found = [compare(drawn(draw, {"b": -0.3}), NAMES, 5) for _ in range(60)]
    assert sum([each.word for each in told][2] == "lower" for told in found) >= 54
    plain = compare(drawn(draw, {"b": -0.3}, noise=0.001), NAMES, 5)
    assert [each.word for each in plain] == ["the present settings", "within the noise", "lower", *["within the noise"] * 3]
    assert plain[2].difference == pytest.approx(-0.3, abs=0.01) and sentence(plain).startswith("b lowers the held-out loss by 0.")


def test_only_folds_in_common_are_compared():
    """A setting that was measured on the easy fold alone is no better for that."""
    trials = [Trial("present", fold, 0, 3.0 + fold, 4) for fold in range(5)] + [Trial("a", 0, 0, 3.1, 2), Trial("a", 1, 0, 4.1, 2)]
    present, a = compare(trials, ["present", "a"], 5)
    assert present.loss == 5.0 and a.loss == pytest.approx(5.1) and a.difference == pytest.approx(0.1)
    assert (a.word, a.interval, a.trials, a.epoch) == ("cannot tell yet", None, 2, 2)
    assert sentence([present, a]).startswith("Cannot tell yet")
    assert compare([], ["present", "a"], 5)[1].word == "cannot tell yet"
    assert sentence(compare(trials[:5], ["present"], 5)) == "There is nothing to compare."


def test_a_grid_is_parsed_or_refused():
    assert parse_grid("8, 16 32", "2e-4,1e-3", "") == Grid((8, 16, 32), (2e-4, 1e-3), ())
    for words in (("8.5", "", ""), ("0", "", ""), ("", "nan", ""), ("", "2", ""), ("", "", "x"), ("", "", "101")):
        with pytest.raises(FlavorError, match="no usable"):
            parse_grid(*words)


def test_settings_of_a_grid(session):
    write(session, 12)
    star = Sweep(session).recipes
    assert [named(recipe) for recipe in star] == [
        "rank 16, rate 0.0005, 8 epochs", "rank 8, rate 0.0005, 8 epochs", "rank 32, rate 0.0005, 8 epochs",
        "rank 16, rate 0.00025, 8 epochs", "rank 16, rate 0.001, 8 epochs", "rank 16, rate 0.0005, 4 epochs",
    ]  # fmt: skip
    assert [recipe.alpha for recipe in star[:3]] == [32, 16, 64]
    product = Sweep(session, Grid((8, 16), (), (4, 8))).recipes
    assert len(product) == 4 and product[0] == star[0]
    with pytest.raises(FlavorError, match="settings are too many"):
        Sweep(session, Grid(tuple(range(1, 30)), (), ()))


def keep(sweep, effects, most=10**9):
    """Trainings as the worker would have measured them."""
    for number, (recipe, subset, key) in enumerate(sweep._plan()[:most]):
        loss = 3.0 + subset.fold / 5 + effects.get(recipe.r, 0.0) + (number % 3) / 1000
        sweep._points.add(
            Point(key, subset.fold, 0, len(subset.learn), 3, dict.fromkeys(subset.held, (loss * 9, 9)), 1.0), sweep._settings(), "f"
        )


def test_what_is_kept_counts_in_every_grid(session):
    write(session, 24)
    sweep = Sweep(session)
    assert sweep.missing() == sweep.total == 6 * 5 and sweep.seconds() > 0
    keep(sweep, {}, 6)
    assert [each.trials for each in sweep.compared()] == [1] * 6  # fold after fold, each under all settings
    keep(sweep, {8: -0.2})
    assert sweep.missing() == 0 and sweep.seconds() == 0
    assert "In flavor.toml: [lora] r = 8, alpha = 16; [training] learning_rate = 0.0005, epochs = 8." in sweep.advice(sweep.compared())
    assert Sweep(session, Grid((8, 64), (), ())).missing() == 5  # only rank 64 is new
    head, *rows = table(sweep.recipes, sweep.compared())
    assert len(head) == len(rows[0]) == 9 and rows[1][6] == "✓ lower" and max(NUMBERS) < 9
    changed = msgspec.structs.replace(session.settings.training, refit_rows=0, stop_early=False, epochs=3, learning_rate=1e-3)
    settings = sweep._settings()
    session.settings = msgspec.structs.replace(session.settings, training=changed)
    assert sweep._settings() == settings  # a training of a sweep knows nothing of the first two, and the others are its recipe's
    session.change_example("row05", "Another dish.", {})
    assert sweep.missing() == sweep.total


def test_the_estimate_is_what_the_worker_counts(session):
    write(session, 60)
    sweep = Sweep(session, Grid((), (), (4,)))
    size = session.planner.sizes(map(session.learning.row, session.learning.rows()))
    tokens = 0.0
    for recipe, subset, _ in sweep._todo():
        learned, held = (sum(size[uid] for uid in uids) for uids in (subset.learn, subset.held))
        tokens += recipe.epochs * (learned + math.ceil(len(subset.learn) / curve.MEASURED) * curve.MEASURING * held)
    assert sweep.seconds() == pytest.approx(tokens / session.planner.train_speed()[0])


def test_how_long_a_token_is_here_is_learned_from_what_was_sampled(session):
    write(session, 12)
    plan = session.plan()
    before = plan.seconds, Sweep(session, Grid()).seconds()
    sample(session, "base", ["Ein Turm, das ist."] * 3)  # nine tokens each
    assert session.plan().seconds == plan.seconds  # too few to tell
    sample(session, "base", ["", "Ein Turm, das ist."])
    after = session.plan().seconds, Sweep(session, Grid()).seconds()
    assert after == pytest.approx([each * 4.2 / 2 for each in before])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def filled(there, base):
    path = there / "flavor.toml"
    text = path.read_text().replace('base = "starter"', f'base = "{base}"').replace("# calibrate = true", "calibrate = false")
    path.write_text(re.sub(r"\[training\]\n", "[training]\nepochs = 1\nlearning_rate = 1e-2\nbatch_size = 4\n", text))
    with Session(there) as session:
        session.import_rows([(f"Dish {number}, grim.", {}) for number in range(10)], "rows", [f"row{number:02}" for number in range(10)])
    return there


def command(*words):
    return [sys.executable, "-m", "tui", "sweep", *map(str, words)]


def test_the_command_goes_on_where_it_was_stopped(filled):
    grid = ("--rank", "4,8", "--json")
    first = subprocess.Popen(command(filled, *grid), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    while '"fold"' not in first.stdout.readline():
        assert first.poll() is None
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    assert first.returncode in (0, 128 + signal.SIGTERM)
    kept = (filled / "sweep.jsonl").read_bytes()
    assert kept.count(b"\n") >= 1
    done = subprocess.run(command(filled, *grid), capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    total = lines[0].get("trainings", 0)
    last = lines[-1]
    assert last["missing"] == 0 and [each["setting"].split(",")[0] for each in last["settings"]] == ["rank 16", "rank 4", "rank 8"]
    assert (filled / "sweep.jsonl").read_bytes().startswith(kept)
    assert sum("fold" in line for line in lines) == (total and total - kept.count(b"\n"))
    assert last["sentence"] and all(each["interval"] for each in last["settings"][1:])
    shown = subprocess.run(command(filled, "--rank", "4,8", "--budget", 0), capture_output=True, text=True, check=True)
    assert "where it lies" in shown.stdout and last["sentence"] in shown.stdout


def test_bad_grids_are_one_line(filled):
    for words, said in ((("--rank", "x"), "'x' is no usable rank"), (("--budget", "-1"), "no usable number for --budget")):
        done = subprocess.run(command(filled, *words), capture_output=True, text=True, check=False)
        assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1
