"""Going back: any moment, dataset and checkpoint together, and forward again; nothing is deleted; undo."""

import asyncio
import random
from types import SimpleNamespace

import pytest

from core.errors import FlavorError
from core.files import sync, write_atomic
from dataset.journal import Journal
from dataset.moments import moments, tables_at, way
from dataset.rows import Tables
from tests.made import bake, sample, write
from tui.commands.back import back
from tui.commands.making import make_demo
from tui.session.back import all_moments, go
from tui.session.session import Session


def tables(session):
    """What going back changes."""
    now = session.store.tables()
    return now.examples, now.candidates, now.decisions


def evening(session):
    """Some work; at every moment what there was: line, tables, checkpoint."""
    stood = {}

    def note():
        stood[session.store.journal.seq] = tables(session), session.registry.current()

    write(session, 12)
    note()
    bake(session, [4.0, 3.4, 3.2])
    session.use("0001/epoch-02")
    note()
    made = sample(session, "0001/epoch-02", [f"Stew {n}." for n in range(4)])
    session.decide(made[0].uid, "accept")
    note()
    session.decide(made[1].uid, "reject")
    note()
    session.delete_example("row03")
    note()
    session.undo()
    note()
    session.use("0001/epoch-01")
    note()
    session.change_example("row05", "Changed, and changed again.", {})
    note()
    return stood


def test_any_moment_and_forward_again(there):
    with Session(there) as session:
        stood = evening(session)
        lines = session.store.journal.path.read_bytes()
        order = list(stood) * 2
        random.Random(1).shuffle(order)
        for seq in order:
            go(session, seq)
            assert (tables(session), session.registry.current()) == stood[seq]
        assert session.store.journal.path.read_bytes().startswith(lines)  # nothing was deleted
        last = order[-1]
    with Session(there) as session:
        assert (tables(session), session.registry.current()) == stood[last]
        assert len(session.store.batches) == 1  # what was sampled stays true


def test_undo_takes_the_going_back(session):
    stood = evening(session)
    first, last = min(stood), max(stood)
    go(session, first)
    assert session.store.counts["pending"] == 0 and not session.store.pending
    session.undo()
    assert (tables(session), session.registry.current()) == stood[last]
    assert all_moments(session)[-1].checkpoint == session.registry.current() != all_moments(session)[-2].checkpoint
    assert session.store.counts["pending"] == 2 == len(session.store.pending)
    session.undo()  # and then what was before it
    assert session.store.examples["row05"].text.startswith("Dish 5")


def test_undo_of_a_going_back_knows_what_only_sampling_wrote_down(session):
    stood = evening(session)
    session.registry.use("0001/epoch-02")  # and killed before the journal had it
    sample(session, "0001/epoch-02", ["One more stew."])
    go(session, min(stood))
    session.undo()
    assert session.registry.current() == "0001/epoch-02" == all_moments(session)[-1].checkpoint


@pytest.mark.parametrize("deed", ["go", "undo", "use"])
@pytest.mark.parametrize("broken", ["dataset.journal.sync", "runs.registry.write_atomic"])
def test_a_disk_that_fails_leaves_dataset_and_checkpoint_together(session, monkeypatch, deed, broken):
    stood = evening(session)
    wanted = next(seq for seq, (_, checkpoint) in stood.items() if checkpoint == "0001/epoch-02")
    deeds = {"go": lambda: go(session, wanted), "undo": session.undo, "use": lambda: session.use("0001/epoch-02")}
    if deed == "undo":
        go(session, wanted)
    before = tables(session), session.registry.current(), session.copying.longest("Changed, and changed again.")
    failing = iter([True])

    def no_room(*args):
        if next(failing, False):
            raise OSError(28, "No space left on device")
        return real(*args)

    real = write_atomic if broken.endswith("write_atomic") else sync
    monkeypatch.setattr(broken, no_room)
    with pytest.raises(FlavorError, match="No space left"):
        deeds[deed]()
    assert (tables(session), session.registry.current(), session.copying.longest("Changed, and changed again.")) == before
    session.store.renew()
    deeds[deed]()
    now = tables(session), session.registry.current()
    assert now == {"go": stood[wanted], "undo": stood[max(stood)], "use": (before[0], "0001/epoch-02")}[deed]
    assert all_moments(session)[-1].checkpoint == session.registry.current()


def test_work_goes_on_from_there(session):
    stood = evening(session)
    session.write_example("Taken away again by going back.", {})
    assert session.copying.longest("again by going back")[0] == 4 and session.ranking is not None
    go(session, min(stood))
    assert session.copying.longest("again by going back")[0] == 0  # what was worked out before is worked out anew
    session.write_example("Written after going back.", {})
    (one,) = sample(session, "0001/epoch-02", ["One more stew."])
    assert session.queue() == [one] and session.ranking is not None
    session.decide(one.uid, "accept")
    assert len(session.store.examples) == 14 and session.copying.longest("Written after going back.")[0] == 4
    go(session, max(stood))
    assert tables(session) == stood[max(stood)][0]


def test_moments_say_what_happened(session):
    evening(session)
    told = all_moments(session)
    assert [moment.what for moment in told] == [
        "rows", "0001/epoch-02 is active", "accepted", "rejected", "example deleted", "taken back: example deleted",
        "0001/epoch-01 is active", "example changed",
    ]  # fmt: skip
    assert [moment.examples for moment in told] == [12, 12, 13, 13, 12, 13, 13, 13]
    assert [(moment.kept, moment.decided) for moment in told][-1] == (1, 2)
    assert [moment.checkpoint for moment in told] == ["base", *["0001/epoch-02"] * 5, *["0001/epoch-01"] * 2]
    about = ["", "", "Stew 0.", "Stew 1.", *["Dish 3 is a stew of 3 roots, 21 regrets…"] * 2, "", "Changed, and changed again."]
    assert [moment.about for moment in told] == about
    session.use("0001/epoch-01")  # it is active already: no moment
    assert len(all_moments(session)) == len(told)


def test_a_checkpoint_that_is_gone_is_named_and_the_dataset_goes_all_the_same(session):
    import shutil

    stood = evening(session)
    wanted = next(seq for seq, (_, checkpoint) in stood.items() if checkpoint == "0001/epoch-02")
    shutil.rmtree(session.registry.folder / "0001/checkpoints/epoch-02")
    assert "0001/epoch-02, which was active then, is gone" in go(session, wanted)
    assert tables(session) == stood[wanted][0] and session.registry.current() == "0001/epoch-01"
    with pytest.raises(FlavorError, match="no moment 999"):
        go(session, 999)


def test_going_back_at_random_is_replaying(session):
    """Whatever was done: the way to a line gives the tables that replaying up to that line gives."""
    draw = random.Random(2)
    for _ in range(60):
        match draw.randrange(5):
            case 0:
                write(session, 2, draw.randrange(1000) * 10)
            case 1:
                sample(session, "base", ["A stew.", "Another."])
            case 2 if session.store.pending:
                session.decide(draw.choice(list(session.store.pending)), draw.choice(["accept", "reject", "skip"]))
            case 3:
                session.undo()
            case _ if session.store.journal.seq:
                seq = draw.choice([moment.seq for moment in all_moments(session)] or [0])
                if seq:
                    go(session, seq)
                    then = tables_at(Journal(session.store.journal.path, read_only=True).replay(), seq)
                    assert tables(session) == (then.examples, then.candidates, then.decisions)
                    assert set(session.store.pending) == {c.uid for c in session.store.candidates.values() if c.state == "pending"}
    assert way(session.store.tables(), session.store.tables()) == Tables()
    for moment in all_moments(session):
        then = tables_at(Journal(session.store.journal.path, read_only=True).replay(), moment.seq)
        verdicts = [decision.verdict for decision in then.decisions.values() if decision.verdict != "skip"]
        counts = len(then.examples), sum(verdict != "reject" for verdict in verdicts), len(verdicts)
        assert (moment.examples, moment.kept, moment.decided) == counts


def test_a_line_is_counted_and_not_all_lines_before_it_again():
    class Looked(str):
        times = 0
        __hash__ = str.__hash__

        def __ne__(self, other):
            Looked.times += 1
            return str(self) != other

    def op(seq):
        put = Tables(decisions={f"d{seq}": SimpleNamespace(verdict=Looked("accept"))})
        return SimpleNamespace(seq=seq, time="", kind="decide", note="", of=None, active="", put=put, about=str)

    assert moments(map(op, range(100)))[-1].kept == 100 and Looked.times <= 4 * 100


def test_votes_stay(session):
    from dataset.rows import Side, Vote

    write(session, 2)
    seq = session.store.journal.seq
    session.commit("vote", Tables(votes={"v": Vote("v", "now", {}, Side("base", "a"), Side("few-shot", "b"), "left")}), "vote")
    write(session, 2, 2)
    session.undo()
    session.commit("vote", Tables(votes={"v": Vote("v", "now", {}, Side("base", "a"), Side("few-shot", "b"), "tie")}), "vote")
    assert [moment.what for moment in all_moments(session)] == ["rows", "rows", "taken back: rows"]  # going to a vote would change nothing
    go(session, seq)
    assert len(session.store.examples) == 2 and list(session.store.votes) == ["v"]


def test_a_moment_names_what_was_taken_back(session):
    sample(session, "base", ["One stew.", "Another stew."])
    for uid, verdict in zip(list(session.store.pending), ("reject", "accept"), strict=True):
        session.decide(uid, verdict)
        session.undo()
    session.write_example("A soup\x1b[31m of\nregrets." + " More." * 2000, {})
    told = [moment.told() for moment in all_moments(session)]
    assert told[:4] == [
        "rejected, “One stew.”",
        "taken back: rejected, “One stew.”",
        "accepted, “Another stew.”",
        "taken back: accepted, “Another stew.”",
    ]
    assert told[4] == "example written, “A soup␛[31m of regrets. More. More. Mor…”"


def test_the_command_lists_and_goes(there):
    with Session(there) as session:
        stood = evening(session)

    async def lines(line=None):
        return [out async for out in back(there, line)]

    listed = asyncio.run(lines())
    assert len(listed) == 8 and listed[0].data["what"] == "rows" and listed[0].data["examples"] == 12
    (said,) = asyncio.run(lines(listed[0].data["seq"]))
    assert said.data == {"line": listed[0].data["seq"], "examples": 12, "checkpoint": "base"}
    with Session(there) as session:
        assert tables(session) == stood[min(stood)][0]


def test_an_older_journal_knows_no_checkpoint(session):
    write(session, 1)
    ops = list(Journal(session.store.journal.path, read_only=True).replay())
    import msgspec

    assert moments([msgspec.structs.replace(op, active="") for op in ops])[0].checkpoint == ""


def test_what_the_demo_begins_with_is_not_taken_back(tmp_path):
    made = make_demo(tmp_path / "demo")
    with Session(made.workspace) as session:
        session.write_example("An empire of one, who is seldom at home.", {})
        assert session.undo() and len(session.store.examples) == made.rows
        assert session.undo() is None and len(session.store.examples) == made.rows
