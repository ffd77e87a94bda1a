"""Passing notes: one whose time is over before it can be shown does not stop the program."""

import asyncio
from time import time

from textual.notifications import Notification
from textual.widgets._toast import Toast, ToastRack

from tests.safety.program import make_workspace
from tui.app import FlavorApp
from tui.widgets import notes
from tui.widgets.notes import MOST_NOTES, SHORTEST, Note


def word(number):
    """A number without digits: notes that differ in these only take each other's place."""
    return f"{number:b}".replace("0", "o").replace("1", "i")


def test_some_time_is_always_left():
    assert Toast(Notification("late", timeout=5, raised_at=time() - 60))._timeout < 0  # of what Textual's own timer never ends
    late = Note("late", timeout=5, raised_at=time() - 60)
    assert Toast(late)._timeout == SHORTEST
    assert late.has_expired
    fresh = Note("fresh", timeout=5)
    assert not fresh.has_expired
    assert 4 < fresh.time_left <= 5


async def test_a_note_that_comes_too_late_goes_by_itself(tmp_path):
    app = FlavorApp(make_workspace(tmp_path / "lighthouses"), start_worker=False)
    async with app.run_test(notifications=True) as pilot:
        rack = app.screen.get_child_by_type(ToastRack)
        await rack.mount(Toast(Note("[b]late", timeout=5, raised_at=time() - 60)))
        await asyncio.wait_for(pilot.pause(4 * SHORTEST), 20)
        assert not rack.query(Toast)
        app.say("in time [b]")
        await pilot.pause(0.2)
        assert [toast._notification.message for toast in rack.query(Toast)] == ["in time [b]"]
        assert isinstance(rack.query_one(Toast)._notification, Note)


async def test_notes_leave_nothing_behind(tmp_path):
    """Of hundreds of notes the latest few are there, and no empty holders of those before."""
    app = FlavorApp(make_workspace(tmp_path / "lighthouses"), start_worker=False)
    async with app.run_test(notifications=True) as pilot:
        for number in range(4 * MOST_NOTES):
            app.say(f"note {word(number)}")
            await pilot.pause(0.01)
            if number == 2 * MOST_NOTES:
                await pilot.press("f2")
                await pilot.press("f3")
        await pilot.pause(0.2)
        app.say("the last")
        await pilot.pause(0.3)
        rack = app.screen.get_child_by_type(ToastRack)
        assert len(rack.query(Toast)) == len(rack.children) == MOST_NOTES
        app.clear_notifications()
        await pilot.pause(0.2)
        assert not rack.children


async def test_a_flood_of_notes_is_drawn_once(tmp_path, monkeypatch):
    """Thousands in one moment, as a worker that raves makes them: a toast for those that are left, the same one once."""
    app = FlavorApp(make_workspace(tmp_path / "lighthouses"), start_worker=False)
    made = []
    start = Toast.__init__
    monkeypatch.setattr(Toast, "__init__", lambda self, note: (made.append(note.message), start(self, note))[1])
    async with app.run_test(notifications=True) as pilot:
        for number in range(3000):
            app.say("again")
            app.say(f"note {word(number)}")
        await pilot.pause(0.2)
        assert len(made) == MOST_NOTES
        assert {"again", f"note {word(2999)}"} < set(made)


async def test_a_note_that_counts_on_takes_the_place_of_the_one_before(tmp_path):
    app = FlavorApp(make_workspace(tmp_path / "lighthouses"), start_worker=False)
    async with app.run_test(notifications=True) as pilot:
        for said in ("Saved: 9 examples.", "Saved: 10 examples.", "base at strength 1.1", "0001/epoch-03 is gone", "0002/epoch-01 is gone"):
            app.say(said)
        await pilot.pause(0.2)
        assert [note.message for note in app._notifications] == [
            "Saved: 10 examples.", "base at strength 1.1", "0001/epoch-03 is gone", "0002/epoch-01 is gone",
        ]  # fmt: skip


async def test_the_next_key_puts_away_what_was_read(tmp_path):
    """A note covers a part of the screen: who goes on has read it, if there was time to. An error stays."""
    app = FlavorApp(make_workspace(tmp_path / "lighthouses"), start_worker=False)
    async with app.run_test(notifications=True) as pilot:
        for text, age, severity in (
            ("short, read", 2, "information"),
            ("new", 0, "information"),
            ("long " * 20, 2, "information"),
            ("!", 3, "error"),
        ):
            app._notifications.add(Note(text, severity=severity, timeout=9, raised_at=time() - age))
        await pilot.press("down")
        await pilot.pause()
        assert sorted(note.message for note in app._notifications) == ["!", "long " * 20, "new"]
        assert len(app.screen.query(Toast)) == 3


async def test_a_question_goes_with_whatever_key_comes(tmp_path):
    """Another key takes it back: on the next page it would not be true."""
    app = FlavorApp(make_workspace(tmp_path / "lighthouses"), start_worker=False)
    async with app.run_test(notifications=True) as pilot:
        app.session.write_example("One more tower.", {})
        await pilot.press("f3", "u")
        assert any("once more takes it back" in note.message for note in app._notifications)
        await pilot.press("f4")
        assert not any("once more" in note.message for note in app._notifications)


async def test_notes_leave_the_line_of_activity_free(tmp_path):
    app = FlavorApp(make_workspace(tmp_path / "lighthouses"), start_worker=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        for words in (3, 40):
            app.jobs.tell("training", "word " * words)
            app.say("a note")
            await pilot.pause(0.3)
            activity, toast = app.screen.query_one("#activity"), app.screen.query_one(Toast)
            assert activity.region.height == (1 if words == 3 else 3)
            assert 0 < toast.region.bottom <= activity.region.y


async def test_a_note_takes_the_place_of_one_about_the_same(tmp_path):
    """Five decisions taken back in a row are one note, not five over the card."""
    app = FlavorApp(make_workspace(tmp_path / "lighthouses"), start_worker=False)
    async with app.run_test(notifications=True):
        for what in ("accepted", "rejected", "skipped"):
            app.say(f"Taken back: {what}.", about="undo")
        app.say("another")
        assert [note.message for note in app._notifications] == ["Taken back: skipped.", "another"]


async def test_a_note_for_a_person_who_was_away_waits_for_a_key(tmp_path, monkeypatch):
    app = FlavorApp(make_workspace(tmp_path / "lighthouses"), start_worker=False)
    async with app.run_test(notifications=True) as pilot:
        app.say("passing")
        app.say("0001/refit-02 is active.", about="the run", waits=True)
        later = time() + 600
        monkeypatch.setattr(notes, "time", lambda: later)
        assert [note.message for note in app._notifications if not note.has_expired] == ["0001/refit-02 is active."]
        await pilot.press("j")
        assert "0001/refit-02 is active." not in [note.message for note in app._notifications]
