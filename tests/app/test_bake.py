"""The bake slider by its keys: shown in the bar, kept, and what was on its way is sampled anew."""

from tests.app.test_runs_screen import baked  # noqa: F401
from tests.app.test_screens import shown
from tui.app import FlavorApp
from tui.session.session import Session


async def test_the_slider_moves_and_the_bar_shows_it(baked):  # noqa: F811
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        await pilot.press("f3")
        assert "0001/epoch-03 ·" in shown(app, "#summary")
        await pilot.press("left_square_bracket", "left_square_bracket")
        await pilot.pause()
        assert "0001/epoch-03 ×0.8 ·" in shown(app, "#summary")
        await pilot.press(*["right_square_bracket"] * 6)
        await pilot.pause()
        assert "0001/epoch-03 ×1.2 ·" in shown(app, "#summary")  # and no farther
        assert "0┤────────────●├1.2" in [note.message for note in app._notifications][-1]
    with Session(baked) as session:
        assert session.active() == "0001/epoch-03 ×1.2"


async def test_the_base_says_that_it_has_none(baked):  # noqa: F811
    with Session(baked) as session:
        session.registry.use("base")
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        await pilot.press("f3", "left_square_bracket")
        await pilot.pause()
        assert "The base has no adapter" in [note.message for note in app._notifications][-1]
