"""Curate in the ranking's order: it says why a card is there, and the card stays while it is looked at."""

import msgspec
import pytest

from core.config import FILE
from core.files import new_uid, now
from dataset.rows import Batch, Candidate, Tables
from tests.app.conftest import TEXTS, add_candidates
from tests.app.test_screens import on_disk, shown
from tests.made import bake, write
from tests.test_choices import loaded
from tests.test_ranking import add, teach
from tui.app import FlavorApp
from tui.desk import Desk
from tui.screens import curate
from tui.session.back import go
from tui.session.session import Session


async def test_gauges_alone_are_said(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(130, 30)) as pilot:
        await pilot.pause()
        assert "by gauges" in shown(app, "#place") or "at random" in shown(app, "#place")
        side = shown(app, "#queue")
        assert "by gauges alone: 0 kept and 0 rejected" in side
        assert sum(side.count(why) for why in ("  by gauges", "  at random")) == len(TEXTS)


async def test_the_card_says_why_it_is_there(workspace):
    with Session(workspace) as session:
        for uid in list(session.store.pending):
            session.decide(uid, "skip")
        teach(session)
        add(session, 12)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(130, 40)) as pilot:
        await pilot.pause()
        why = app.session.ranking.why(app.screen.shown)
        assert why in shown(app, "#place")
        assert "predicted " in shown(app, "#queue") and "most novel, " in shown(app, "#queue")
        assert "Kept: 0 of 0 in this order" in shown(app, "#queue")
        await pilot.press("a")
        last = list(on_disk(workspace).decisions.values())[-1]
        assert last.slot in ("ranked", "uncertain", "novel", "random") and 0 < last.predicted < 1


async def test_the_card_stays_when_better_ones_arrive(workspace):
    with Session(workspace) as session:
        for uid in list(session.store.pending):
            session.decide(uid, "skip")
        teach(session)
        add(session, 1, good=False)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        card = app.screen.shown
        add(app.session, 8)
        app.changed()
        await pilot.pause()
        assert app.screen.shown == card and "9 ready" in shown(app, "#place")
        await pilot.press("x")
        await pilot.press("u")
        assert app.screen.shown == card


async def test_what_is_taken_back_comes_again_in_its_order(workspace):
    """Three decisions in one key's rhythm, and three times u: whatever the order says now, the three come first, as they did."""
    with Session(workspace) as session:
        for uid in list(session.store.pending):
            session.decide(uid, "skip")
        teach(session)
        add(session, 3, good=False)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(130, 60)) as pilot:
        await pilot.pause()
        came = []
        for _ in range(3):
            came.append(app.screen.shown)
            await pilot.press("x")
        add(app.session, 4)  # better ones
        app.changed()
        await pilot.press("u", "u", "u")
        listed = [candidate.uid for candidate in app.screen._in_turn(app.session.queue(), app.screen.candidate())]
        assert listed[:3] == came and len(set(listed)) == len(listed) == 7
        again = []
        for _ in range(4):
            again.append(app.screen.shown)
            await pilot.press("x")
        assert again[:3] == came and again[3] not in came


async def test_what_is_taken_back_waits_until_it_is_decided(workspace, monkeypatch):
    """Three kept, a retraining, and three times u: the next batch passes none of them over, nor does it after a restart, and they come again."""
    with Session(workspace) as session:
        for uid in list(session.store.pending):
            session.decide(uid, "skip")
        teach(session)
        write(session, 12)
        old = bake(session, [3.0, 2.5])
        back = add(session, 3, old)
        for uid in back:
            session.decide(uid, "accept")
        add(session, 20, bake(session, [2.5, 2.3]))
        for _ in back:
            session.undo()
        session.pass_over(8)
    with Session(workspace) as session:
        session.pass_over(8)
        assert [session.store.candidates[uid].state for uid in back] == ["pending"] * 3
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        monkeypatch.setattr(curate, "READING", 0)
        monkeypatch.setattr(curate, "GLANCE", 0)
        app.prefer_new = True  # the new checkpoint's come first, once
        app.changed()
        await pilot.pause()
        came = []
        for _ in range(4):
            came.append(app.screen.shown)
            await pilot.press("x")
        assert came[0] not in back and came[1:] == back and not app.session.store.returned


def test_how_deep_a_checkpoint_stands_is_read_once(workspace):
    """All rows of its run are read for it, and each key that keeps a text asks."""
    with Session(workspace) as session:
        write(session, 12)
        last = bake(session, [3.0, 2.5])
        asked, depth = [], session.registry.depth
        session.registry.depth = lambda checkpoint: asked.append(checkpoint) or depth(checkpoint)
        for uid in add(session, 3, last):
            assert session.store.examples[session.decide(uid, "accept").example].depth == 1
        assert asked == [last]


async def test_what_was_passed_over_is_in_the_library(workspace):
    with Session(workspace) as session:
        teach(session)
        add(session, 21)
        assert session.pass_over(8) == 4
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        await pilot.press("f4", *"oooooooo")
        assert app.screen.query_one("#library-table").row_count == 4
        assert "4 passed shown" in shown(app, "#library-head")
        await pilot.press("enter", "ctrl+s")
        await pilot.pause()
        store = app.session.store
        example, decision = list(store.examples.values())[-1], list(store.decisions.values())[-1]
        assert (example.origin, example.depth, store.counts["passed"]) == ("accepted", 1, 3)
        assert (decision.example, store.candidates[example.candidate].state) == (example.uid, "accepted")


async def test_a_key_meant_for_the_card_that_has_just_gone_decides_nothing(workspace, monkeypatch):
    """After a retraining the first new card takes the place of an old one by itself: a key pressed in that moment was not meant for it."""
    app = FlavorApp(workspace, start_worker=False)
    said = []
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        old = app.screen.shown
        monkeypatch.setattr(curate, "GLANCE", 3600)
        app.say = lambda text, *_, **__: said.append(text)
        new = add(app.session, 2, checkpoint="0001/epoch-01")
        monkeypatch.setattr(app.session.registry, "current", lambda: "0001/epoch-01")
        app.prefer_new = True
        app.changed()
        assert app.screen.shown == old  # it is being read
        monkeypatch.setattr(curate, "READING", 0)
        app.changed()
        await pilot.pause()
        card = app.screen.shown
        assert card in new and card != old
        await pilot.press("x", "e")
        assert app.screen.shown == card and not on_disk(workspace).decisions
        assert len(said) == 2 and "just changed" in said[0]
        monkeypatch.setattr(curate, "GLANCE", 0)
        await pilot.press("x")
        assert [decision.candidate for decision in on_disk(workspace).decisions.values()] == [card]


async def with_new_texts(app, pilot, monkeypatch):
    """One card was decided, another is being read, and a new checkpoint has texts; the card that was decided, that which is read, the new ones."""
    await pilot.pause()
    decided = app.screen.shown
    await pilot.press("a")
    read = app.screen.shown
    new = add(app.session, 2, checkpoint="0001/epoch-01")
    monkeypatch.setattr(app.session.registry, "current", lambda: "0001/epoch-01")
    app.prefer_new = True
    for _ in range(20):
        app.changed()
    await pilot.pause()
    assert app.screen.shown == read and read not in new
    return decided, read, new


async def test_a_decision_taken_back_shows_its_card_whatever_is_new(workspace, monkeypatch):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        decided, _, _ = await with_new_texts(app, pilot, monkeypatch)
        timers = len(app.screen._timers)
        app.changed()
        assert len(app.screen._timers) == timers  # one looks again, however much changes
        await pilot.press("u", "x")
        assert [(one.candidate, one.verdict) for one in on_disk(workspace).decisions.values()] == [(decided, "reject")]


async def test_a_going_back_taken_back_shows_a_card_of_the_checkpoint_that_is_active_again(workspace):
    with Session(workspace) as session:
        write(session, 12)
        bake(session, [4.0, 3.2])
        session.use("0001/epoch-01")
        add(session, 2, "0001/epoch-01")
        go(session, 1)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        assert app.session.registry.current() == "base" and app.screen.shown is None
        await pilot.press("u")
        assert app.session.store.pending[app.screen.shown].checkpoint == "0001/epoch-01" == app.session.registry.current()


async def test_the_card_under_a_dialog_stays(workspace, monkeypatch):
    app = FlavorApp(workspace, start_worker=False)
    said = []
    async with app.run_test(size=(100, 30)) as pilot:
        monkeypatch.setattr(curate, "READING", 1.0)
        _, read, new = await with_new_texts(app, pilot, monkeypatch)
        page = app.screen
        await pilot.press("e")
        await pilot.pause(1.2)
        assert page.shown == read and app.screen is not page
        app.say = lambda text, *_, **__: said.append(text)
        await pilot.press("escape", "a")  # it gives way when the dialog is gone, and no key decides what nobody has read
        await pilot.pause()
        assert len(on_disk(workspace).decisions) == 1 and page.shown in new and "just changed" in said[0]


async def test_what_is_fixed_stays_fixed_at_the_next_start_and_is_said(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(130, 30)) as pilot:
        await pilot.press("f", *"4", "tab", *"Odd", "enter")
        await pilot.pause()
        assert shown(app, "#fields") == "Height 3/5 · Keeper Odd (fixed)   next: Height 4"
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(130, 30), notifications=True) as pilot:
        await pilot.pause()
        assert app.session.fixed == {"Height": "4", "Keeper": "Odd"} and "(fixed)" in shown(app, "#fields")
        assert any("Height = 4, Keeper = Odd" in note.message for note in app._notifications)
    path = workspace / FILE
    path.write_text(path.read_text().split("[[task.fields]]")[0])
    app = FlavorApp(workspace, start_worker=False)
    assert app.session.fixed == {}  # there are no such attributes now
    app.session.close()


async def test_what_is_freed_after_a_restart_is_free(workspace):
    """What was sampled for the fixed values in the session before gives way, as in the same session."""
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(130, 30)) as pilot:
        before = set(app.session.store.pending)
        await pilot.press("f", *"4", "enter")
        four = add_candidates(app.session, ["A tower for four."], fields={"Height": "4"})
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(130, 30)) as pilot:
        assert {each.uid for each in app.session.newest()} == set(four)
        await pilot.press("f", "home", "ctrl+k", "enter")
        assert app.session.fixed == {} and {each.uid for each in app.session.newest()} == before


def test_one_value_that_will_not_do_costs_no_other(workspace):
    Desk(workspace, False).keep(fixed={"Gone": "x", "Height": "4", "Keeper": "Cruel"})
    app = FlavorApp(workspace, start_worker=False)
    assert app.session.fixed == {"Height": "4"}
    app.session.close()


@pytest.mark.parametrize(
    "note", ['{"mode": "curate", "card": "", "fixed": 3}', '{"mode": "curate", "card": "", "fixed": {"Height": [1], "Coast": null}}', "{"]
)
def test_a_desk_that_others_wrote_fixes_nothing(workspace, note):
    (workspace / "desk.json").write_text(note)
    app = FlavorApp(workspace, start_worker=False)
    assert app.session.fixed == {}
    app.session.close()


def test_values_that_are_too_long_for_the_desk_cost_nothing_else(workspace):
    Desk(workspace, False).keep(mode="runs", fixed={"Coast": "é" * 4000})
    kept = Desk(workspace, True)
    assert kept.mode == "runs" and kept.fixed == {}


async def test_what_was_sampled_for_other_attributes_waits_behind(workspace):
    """Who fixes values, or frees them again, wants candidates of that kind next, not twenty of the kind before."""
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(130, 30)) as pilot:
        session = app.session
        before = set(session.store.pending)
        assert {each.uid for each in session.newest()} == before
        await pilot.press("f", "tab", *"Odd", "enter")
        assert session.fixed == {"Keeper": "Odd"} and {each.uid for each in session.newest()} == before  # they have it
        new = add_candidates(session, ["A tower without stairs."])
        assert {each.uid for each in session.newest()} == {*before, *new}
        await pilot.press("f", "tab", "home", "ctrl+k", "enter")
        assert session.fixed == {} and {each.uid for each in session.newest()} == before  # there and back: they are as wanted as they were
        assert session.queue()[-1].uid == new[0]
        app.changed()
        assert app.screen.shown in before  # it is being read
        await pilot.press("f", "tab", *"Odd", "enter")
        assert app.screen.shown in before  # it has the value too
        session.fix({})
        await pilot.press("f", *"3", "enter")
        assert session.fixed == {"Height": "3"} and app.screen.shown in before
        await pilot.press("f", "home", "ctrl+k", *"4", "enter")
        four = add_candidates(session, ["A tower for four."], fields={"Height": "4"})
        await pilot.press("f", "home", "ctrl+k", *"2", "enter")
        await pilot.press("f", "home", "ctrl+k", *"4", "enter")
        assert app.screen.shown == four[0]  # it was there when it was asked for


async def test_a_card_from_the_last_session_stays_and_one_that_is_passed_over_takes_no_key_along(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        card = app.screen.shown
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.screen.shown == card == app.session.ranking.held
        candidate = app.session.store.pending[card]
        app.session.commit("pass", Tables(candidates={card: msgspec.structs.replace(candidate, state="passed")}), "1 passed over")
        app.changed()
        await pilot.press("a")
        await pilot.pause()
        assert app.screen.shown != card and not on_disk(workspace).decisions


def test_another_bases_candidates_are_not_those_of_this_one(workspace):
    with Session(workspace) as session:
        batch = Batch(new_uid(), "base", [[("# x\n\n", 0.0)]], [1], {}, now(), "another/base")
        other = Candidate(new_uid(), "A tower elsewhere.", {}, "base", batch.uid, 0, 1, "stop", 9, [], now())
        session.commit("sample", Tables(candidates={other.uid: other}, batches={batch.uid: batch}))
        assert other not in session.newest() and len(session.newest()) == len(TEXTS)
        assert session.queue()[-1] == other  # it waits behind


async def test_a_wish_for_other_candidates_is_one_for_candidates(workspace):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.jobs.samples.give_up()
        app.session.loaded, app.jobs.doing = loaded(), "ready"
        asked = []
        app.jobs.samples._carry_out = lambda work, **_: asked.append(work) or True
        app.session.settings = msgspec.structs.replace(
            app.session.settings, sampling=msgspec.structs.replace(app.session.settings.sampling, keep_ready=50)
        )
        app.changed()
        assert not asked
        app.want_others()
        assert asked
        app.jobs.doing = "none"


async def test_what_was_fixed_before_the_clock_was_set_back_is_what_is_wanted(workspace, monkeypatch):
    """Lines of the journal are in order whatever the clock says."""
    with Session(workspace) as session:
        monkeypatch.setattr("core.files.now", lambda: "2030-01-01T00:00:00.000Z")
        monkeypatch.setattr("tui.session.workspace.now", lambda: "2030-01-01T00:00:00.000Z")
        session.fix({"Keeper": "Odd"})
        session.fix({})
        monkeypatch.undo()
        new = add_candidates(session, ["A tower without stairs."])
        assert new[0] in {each.uid for each in session.newest()}
        session.fix({"Keeper": "Kind"})
        kind = add_candidates(session, ["A kind tower."], fields={"Keeper": "Kind"})
        assert [each.uid for each in session.newest()] == kind
