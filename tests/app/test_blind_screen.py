"""Blind A/B on the screen: nothing tells whose a text is before the unveiling; a key a vote; hostile texts."""

import pytest

from tests.app.test_jobs import until
from tests.app.test_runs_screen import baked, to_runs  # noqa: F401
from tests.app.test_screens import HOSTILE, shown
from tests.app.test_sheet_screen import fill
from tui.app import FlavorApp
from tui.screens.blind import BlindScreen


def picture(app):
    return "\n".join("".join(segment.text for segment in strip if not segment.control) for strip in app.screen._compositor.render_strips())


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_votes_by_keys_and_the_unveiling(baked, size):  # noqa: F811
    texts = [f"A text of the sea, number {n}, with its own {n} gulls." for n in range(30)]
    fill(baked, texts)
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=size, notifications=True) as pilot:
        await to_runs(pilot)
        await pilot.press("b")
        await pilot.pause()
        assert isinstance(app.screen, BlindScreen)
        for key, said in (("left", "left"), ("2", "right"), ("t", "tie"), ("x", "bad")):
            seen = picture(app)
            assert "epoch" not in seen and "few-shot" not in seen and "base" not in seen.replace("based", "")
            duel = app.screen._duel
            assert shown(app, "#blind-left") == duel.left.text and shown(app, "#blind-right") == duel.right.text
            await pilot.press(key)
            await pilot.pause()
            assert [vote.preferred for vote in app.session.store.votes.values()][-1] == said
        assert "3 votes" in shown(app, "#blind-head")  # that both were bad counts for neither
        await pilot.press("u")
        await pilot.pause()
        assert len(app.session.store.votes) == 3 and app.screen._duel == duel  # a slip of a key is mended by the same two
        assert shown(app, "#blind-left") == duel.left.text and shown(app, "#blind-right") == duel.right.text
        await pilot.press("enter")
        await pilot.pause()
        assert "preferred to the others" in picture(app) and "0001/epoch-03" in picture(app) and "few-shot" in picture(app)
        await pilot.press("left")  # no vote while the names are seen
        assert len(app.session.store.votes) == 3
        await pilot.press("enter")
        await pilot.pause()
        assert "epoch" not in picture(app) and app.screen._duel is not None
        app.screen._blind.next = lambda: None
        await pilot.press("u")  # whose those were has been seen
        await pilot.pause()
        assert len(app.session.store.votes) == 2 and app.screen._duel is None
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, BlindScreen)


def footer(app):
    return picture(app).splitlines()[-1]


async def test_the_footer_offers_what_does_something(baked):  # noqa: F811
    fill(baked, [f"A text of the sea, number {n}, with its own {n} gulls." for n in range(30)])
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        await pilot.press("b")
        await until(pilot, lambda: app.screen.query("FooterKey"))
        await pilot.pause()
        assert all(word in footer(app) for word in ("left", "right", "tie", "both bad", "undo", "unveil", "leave", "help"))
        await pilot.press("left", "enter")
        await until(pilot, lambda: "go on" in footer(app))
        assert not any(word in footer(app) for word in ("left", "right", "tie", "both bad", "unveil"))
        assert "undo" in footer(app) and "leave" in footer(app)
        table = picture(app).splitlines()
        (head,) = [line for line in table if "preferred to the others" in line]
        assert "compared  won" in head and "votes" not in head
        assert max(len(line.rstrip()) for line in table if "█" in line or " to " in line) <= 80
        await pilot.press("v")
        await until(pilot, lambda: "unveil" in footer(app))
        assert app.screen._duel is not None and "go on" not in footer(app)


async def test_undo_there_touches_nothing_but_votes(baked):  # noqa: F811
    fill(baked)
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await to_runs(pilot)
        count = len(app.session.store.examples)
        await pilot.press("b", "u")
        await pilot.pause()
        assert len(app.session.store.examples) == count
        assert "was no vote" in [note.message for note in app._notifications][-1]


async def test_without_texts_it_waits(baked):  # noqa: F811
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        await pilot.press("b")
        await pilot.pause()
        assert "made as soon as a model is loaded" in shown(app, "#blind-left")
        await until(pilot, lambda: app.screen.query("FooterKey"))
        await pilot.pause()
        assert "leave" in footer(app) and "tie" not in footer(app)
        await pilot.press("left", "t")
        assert app.session.store.votes == {}


async def test_hostile_texts_are_compared_as_they_are(baked):  # noqa: F811
    fill(baked, [f"{text} {at}" for at, text in enumerate(HOSTILE)])
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await to_runs(pilot)
        await pilot.press("b")
        for key in ("left", "right", "t", "x", "left", "enter"):
            await pilot.press(key)
            await pilot.pause()
            for strip in app.screen._compositor.render_strips():
                for segment in strip:
                    assert segment.control or not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u2066" for c in segment.text)


async def test_what_will_not_be_made_is_not_promised(baked):  # noqa: F811
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        app.jobs.doing = "training"
        await pilot.press("b")
        await pilot.pause()
        assert "is made when the model has nothing else to do" in shown(app, "#blind-left")
        app.jobs.sheet.forget()  # as c or x does
        await until(pilot, lambda: "was given up" in shown(app, "#blind-left"))
        app.session.held_by = "somebody"
        await until(pilot, lambda: "this session only reads" in shown(app, "#blind-left"))
        app.jobs.doing, app.session.held_by = "none", ""


async def test_long_texts_are_scrolled_together_by_keys(baked):  # noqa: F811
    fill(baked, [f"A text of the sea with its own {n} gulls. " * 60 for n in range(30)])
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        await pilot.press("b")
        await pilot.pause()
        where = lambda: [side.scroll_y for side in app.screen.query("#duel .side")]  # noqa: E731
        await pilot.press("down", "down")
        assert where() == [2, 2]
        await pilot.press("pagedown")
        assert min(where()) > 5
        await pilot.press("pageup", "up")
        assert where() == [1, 1]
        await pilot.press("left")  # the next two are read from their beginning
        await pilot.pause()
        assert where() == [0, 0]


async def test_texts_that_are_all_the_same_are_not_said_to_be_missing(baked):  # noqa: F811
    fill(baked, ["The lamp burns whale fat and gossip."])
    app = FlavorApp(baked, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_runs(pilot)
        await pilot.press("b")
        await pilot.pause()
        assert shown(app, "#blind-left") == "Nothing is left to compare; enter unveils."
