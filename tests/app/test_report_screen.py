"""Report behind F6: what it says at both widths, that it follows the evening, and what it writes."""

from textual.containers import VerticalScroll

from tests.app.test_screens import shown
from tui.app import FlavorApp
from tui.screens.report import ReportScreen
from tui.session import Session


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
        await gathered(pilot, "2 candidates decided: 1 accepted as they were, 0 edited")
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
