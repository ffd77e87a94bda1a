"""Report behind F6: what it says at both widths, that it follows the evening, and what it writes."""

import re

import pytest
from rich.cells import cell_len
from textual.containers import VerticalScroll
from textual.widgets import Input

from core.config import FILE
from runs.points import SWEEP, Points
from tests.app.test_jobs import until
from tests.app.test_screens import shown
from tests.engine.conftest import make_tiny
from tui.app import FlavorApp
from tui.screens.report import ReportScreen
from tui.screens.sweep import SweepDialog
from tui.session.session import Session


async def gathered(pilot, word, where="#report-left"):
    """Wait until the report says it."""
    for _ in range(200):
        if isinstance(pilot.app.screen, ReportScreen) and word in shown(pilot.app, where):
            return
        await pilot.pause(0.02)
    raise AssertionError(shown(pilot.app, where))


async def test_the_report_follows_the_evening(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f6")
        await gathered(pilot, "3 rows: 3 written.")
        assert app.screen.focused is app.screen.query_one("#report", VerticalScroll)
        assert not app.screen.query_one("#report-right").display
        await pilot.press("f3", "a", "x", "f6")
        await gathered(pilot, "2 candidates decided: 1 accepted as it was, 0 edited")
        assert "Examples by Height and Keeper" in shown(app, "#report-left")
        await pilot.press("pagedown")
        assert app.screen.query_one("#report").scroll_offset.y > 0


async def test_a_wide_terminal_has_two_columns(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.press("f6")
        await gathered(pilot, "What 4 bits cost", "#report-right")
        assert "What to do next" in shown(app, "#report-left")
        await pilot.resize_terminal(80, 24)
        await gathered(pilot, "What 4 bits cost")
        await pilot.resize_terminal(44, 24)
        await pilot.pause()
        report = app.screen.query_one("#report-left")
        assert max(cell_len(text.strip()) for text in shown(app, "#report-left").splitlines()) <= report.size.width


async def test_it_is_written_into_the_workspace(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.press("f3", "a", "f6")
        await gathered(pilot, "1 candidate decided")
        await pilot.press("e")
        await pilot.pause()
        assert (
            "# Brief Description of a Lighthouse" in (workspace / "report.md").read_text()
            and "<svg" in (workspace / "report.html").read_text()
        )
        (workspace / "report.md").write_text("my own notes")
        await pilot.press("e")
        await pilot.pause()
        assert any("is no report" in note.message for note in app._notifications)
        assert (workspace / "report.md").read_text() == "my own notes"


async def test_who_only_reads_writes_nothing(workspace):
    with Session(workspace):
        app = FlavorApp(workspace, start_worker=False)
        async with app.run_test(size=(100, 30)) as pilot:
            await pilot.press("f6")
            await gathered(pilot, "3 rows: 3 written.")
            await pilot.press("e")
            assert not (workspace / "report.md").exists()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def quick(workspace, base):
    """Ten rows on the tiny base, with one epoch a run, and no candidate wanted."""
    path = workspace / FILE
    text = path.read_text().replace('base = "starter"', f'base = "{base}"').replace("# calibrate = true", "calibrate = false")
    text = re.sub(r"\[training\]\n", "[training]\nepochs = 1\nbatch_size = 1\n", text)
    path.write_text(re.sub(r"\[sampling\]\n", "[sampling]\nmax_tokens = 6\nbatch = 2\nkeep_ready = 0\n", text))
    with Session(workspace) as session:
        for number in range(7):
            session.write_example(f"Tower {number}, and its light.", {})
    return workspace


async def test_what_is_missing_is_measured_from_here(quick):
    app = FlavorApp(quick)
    sweep = Points(quick, SWEEP)
    async with app.run_test(size=(100, 40)) as pilot:
        jobs = app.jobs
        await until(pilot, lambda: jobs.doing == "ready")
        await pilot.press("f6")
        await gathered(pilot, "Not measured yet: m on Report")
        await pilot.press("m")
        await gathered(pilot, "Measured with base, which learned 0 of the 10 rows")

        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, SweepDialog) and "5 settings" in shown(app, "#sweep-plan"))
        await pilot.press("tab", *"4")  # a rank: two settings now
        await until(pilot, lambda: "2 settings" in shown(app, "#sweep-plan"))
        app.screen.query_one("#sweep-rank", Input).value = "four"
        await until(pilot, lambda: "'four' is no usable rank" in shown(app, "#sweep-plan"))
        app.screen.query_one("#sweep-rank", Input).value = "4"
        await pilot.press("enter")
        await until(pilot, lambda: jobs.doing == "sweeping" and "sweep" in jobs.line().plain and sweep.all())
        app.screen.query_one("#evidence").focus()
        await pilot.press("c")
        await until(pilot, lambda: jobs.doing == "ready")
        kept = len(sweep.all())
        await pilot.press("enter")
        await until(pilot, lambda: "all done" in shown(app, "#sweep-plan"))
        keys = [each.point.key for each in sweep.all()]
        assert len(set(keys)) == len(keys) >= kept > 0 and "present" in shown(app, "#evidence-text")
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, ReportScreen)


async def test_what_is_written_is_what_holds_now(workspace):
    """The report of before is still on the screen while the new one is gathered."""
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("f6")
        await gathered(pilot, "3 rows: 3 written.")
        await pilot.pause()
        app.session.write_example("A fourth tower, and its bell.", {})
        await pilot.press("e")
        await until(pilot, lambda: (workspace / "report.md").exists())
        assert "4 rows: 4 written." in (workspace / "report.md").read_text()
