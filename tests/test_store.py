"""The store: what it acknowledged survives kill -9, a torn tail, a full disk; undo reaches back over restarts."""

import json
import os
import random
import signal
import subprocess
import sys

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tinydb import TinyDB

from core.config import Sampling
from core.errors import FlavorError
from core.files import new_uid, now
from dataset.rows import Batch, Candidate, Example, Tables
from dataset.storage import AtomicStorage
from dataset.store import Store

KILLS = 40
WRITER = """
import sys
from pathlib import Path
from core.files import new_uid, now
from dataset.rows import Example, Tables
from dataset.store import Store
store = Store(Path(sys.argv[1]))
while True:
    uid = new_uid()
    op = store.commit("write", Tables(examples={uid: Example(uid, "x" * 400, {}, "written", now())}))
    print(op.seq, flush=True)
    if op.seq % 7 == 0:
        store.write_view(store.snapshot())
"""


def example(text="a text"):
    return Example(new_uid(), text, {}, "written", now())


def add(store, text="a text"):
    row = example(text)
    store.commit("write", Tables(examples={row.uid: row}))
    return row


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path):
    rng = random.Random(1)
    acknowledged = 0
    for _ in range(KILLS):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        seen = b""
        for _ in range(rng.randrange(1, 25)):
            seen = child.stdout.readline() or seen
        child.send_signal(signal.SIGKILL)
        seen = (child.stdout.read().splitlines() or [seen])[-1]
        child.wait()
        child.stdout.close()
        acknowledged = max(acknowledged, int(seen))
        store = Store(tmp_path)
        assert store.journal.seq in (acknowledged, acknowledged + 1)
        assert len(store.examples) == store.journal.seq
        store.journal.close()
        if (tmp_path / "dataset.json").exists():
            assert AtomicStorage(tmp_path / "dataset.json").read() is not None
        acknowledged = store.journal.seq


def test_what_was_done_is_told_with_its_text(tmp_path):
    store = Store(tmp_path)
    row = example("A stew of one root, seven regrets and a spoon that nobody saw again.")
    told = store.commit("write", Tables(examples={row.uid: row}), "written").told()
    assert told == "written, “A stew of one root, seven regrets and a…”"
    assert store.commit("write", Tables(examples={row.uid: None})).told().startswith("write, “A stew")  # a deleted one
    two = {row.uid: row for row in (example("one"), example("two"))}
    assert store.commit("import", Tables(examples=two), "2 imported").told() == "2 imported"


def test_the_view_is_a_plain_tinydb(tmp_path):
    store = Store(tmp_path)
    rows = [add(store, f"text {n} é") for n in range(5)]
    store.close()
    with TinyDB(tmp_path / "dataset.json") as plain:
        assert [doc["text"] for doc in plain.table("examples")] == [row.text for row in rows]
        assert plain.table("candidates").all() == []


def test_a_torn_tail_is_set_aside(tmp_path):
    store = Store(tmp_path)
    add(store)
    store.close()
    whole = (tmp_path / "journal.log").read_bytes()
    (tmp_path / "journal.log").write_bytes(whole + whole[: len(whole) // 2])
    store = Store(tmp_path)
    assert len(store.examples) == 1
    assert (tmp_path / "journal.log").read_bytes() == whole
    assert (tmp_path / "damaged/0001-journal.log.torn").read_bytes() == whole[: len(whole) // 2]
    add(store)
    store.close()
    assert len(Store(tmp_path).examples) == 2


@pytest.mark.parametrize("damage", ["bit", "line gone", "lines swapped"])
def test_damage_in_the_middle_is_named_and_nothing_is_changed(tmp_path, damage):
    store = Store(tmp_path)
    for _ in range(5):
        add(store)
    store.close()
    path = tmp_path / "journal.log"
    lines = path.read_bytes().splitlines(keepends=True)
    if damage == "bit":
        lines[2] = lines[2][:30] + bytes([lines[2][30] ^ 1]) + lines[2][31:]
    elif damage == "line gone":
        del lines[2]
    else:
        lines[2], lines[3] = lines[3], lines[2]
    path.write_bytes(b"".join(lines))
    with pytest.raises(FlavorError, match="line 3 is damaged"):
        Store(tmp_path)
    assert path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("damage", ["gone", "empty", "shortened", "of another workspace"])
def test_a_journal_that_lacks_what_was_acknowledged_is_refused(tmp_path, damage):
    (tmp_path / "other").mkdir()
    store, other = Store(tmp_path), Store(tmp_path / "other")
    for number in range(3):
        add(store, f"text {number}")
        add(other, f"another {number}")
    store.close()
    path = tmp_path / "journal.log"
    data = {
        "gone": None,
        "empty": b"",
        "shortened": b"".join(path.read_bytes().splitlines(keepends=True)[:-1]),
        "of another workspace": (tmp_path / "other/journal.log").read_bytes(),
    }[damage]
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(FlavorError, match="acknowledged") as caught:
        Store(tmp_path)
    assert "doctor" in caught.value.hint
    assert (path.read_bytes() if path.exists() else None) == data


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_a_full_disk_acknowledges_nothing_and_ends_writing(tmp_path, monkeypatch, call):
    store = Store(tmp_path)
    add(store)
    before = (tmp_path / "journal.log").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(FlavorError, match="No space left"):
            add(store)
    assert len(store.examples) == 1 and store.read_only
    assert (tmp_path / "journal.log").read_bytes() == before
    with pytest.raises(FlavorError, match="read-only"):  # no retry: the next fsync would succeed without the lost pages
        add(store)
    assert len(Store(tmp_path).examples) == 1


def test_a_damaged_view_is_never_taken_for_empty(tmp_path):
    (tmp_path / "view.json").write_text('{"examples": {"1"')
    with pytest.raises(FlavorError, match="damaged"):
        AtomicStorage(tmp_path / "view.json").read()


def state(session):
    store = session.store
    return (dict(store.examples), dict(store.candidates), dict(store.decisions), set(store.pending), +store.counts)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "change", "delete", "accept", "edit", "reject", "skip", "after all", "sample"]), st.integers(0, 50)
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_undo_is_the_inverse_of_everything(tmp_path_factory, task, steps):
    """Any sequence of deeds, taken back one by one, some of them after a restart, gives every state in between again."""
    from core import config
    from tui.session.session import Session

    folder = tmp_path_factory.mktemp("undo") / "w"
    config.create(folder, task)
    session = Session(folder)
    states = []
    for deed, number in steps:
        examples, pending = list(session.store.examples), list(session.store.pending)
        if deed == "sample":
            batch = Batch(new_uid(), "base", [], [], {}, now())
            made = Candidate(new_uid(), f"candidate {number}", {"Mood": "Calm"}, "base", batch.uid, 0, 0, "stop", 3, [], now())
            session.commit("sample", Tables(candidates={made.uid: made}, batches={batch.uid: batch}))
            states = [
                (*old[:1], {**old[1], made.uid: made}, old[2], old[3] | {made.uid}, old[4] + type(old[4])(pending=1)) for old in states
            ]
            continue
        before = state(session)
        if deed == "write":
            session.write_example(f"text {number}", {})
        elif deed in ("change", "delete") and examples:
            uid = examples[number % len(examples)]
            session.change_example(uid, f"changed {number}", {}) if deed == "change" else session.delete_example(uid)
        elif pending and deed in ("accept", "edit", "reject", "skip"):
            verdict = "accept" if deed == "edit" else deed
            session.decide(pending[number % len(pending)], verdict, f"edited {number}" if deed == "edit" else None)
        elif deed == "after all" and (thrown := [c.uid for c in session.store.candidates.values() if c.state in ("rejected", "skipped")]):
            session.decide(thrown[number % len(thrown)], "accept")
        else:
            continue
        states.append(before)
    for count, expected in enumerate(reversed(states)):
        if count == len(states) // 2:
            session.close()
            session = Session(folder)
        assert session.undo() is not None
        assert state(session) == expected
    assert session.undo() is None
    session.close()
    lines = (
        [json.loads(line[9:]) for line in (folder / "journal.log").read_bytes().splitlines()] if (folder / "journal.log").exists() else []
    )
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))


def test_an_example_that_comes_back_has_its_old_place(tmp_path):
    store = Store(tmp_path)
    rows = [add(store, f"text {number}") for number in range(4)]
    named = Example("demo001", "one of the demo's", {}, "imported", now())
    store.commit("demo", Tables(examples={named.uid: named}))
    rows += [named, add(store)]
    store.commit("delete", Tables(examples={rows[1].uid: None, rows[0].uid: None}))
    store.undo()
    assert list(store.examples.values()) == rows
    store.close()
    store = Store(tmp_path)
    assert list(store.examples.values()) == rows
    store.close()


def test_sampling_settings_come_back_as_they_were(tmp_path):
    """After a reload too, a candidate can be sampled again from its record: whole numbers stay whole."""
    wanted = Sampling(top_k=40, temperature=1.0, preset="wild")
    store = Store(tmp_path)
    batch = Batch("b", "base", [], [1], msgspec.to_builtins(wanted), "now")
    store.commit("sample", Tables(batches={"b": batch}))
    store.close()
    store = Store(tmp_path, read_only=True)
    assert msgspec.convert(store.batches["b"].settings, Sampling) == wanted


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    """A value of a kind that its field cannot have: a fault of the program, which must not become damage on the disk."""
    store = Store(tmp_path)
    store.commit("sample", Tables(batches={"b": Batch("b", "base", [], [1], {}, "now")}))
    before = (tmp_path / "journal.log").read_bytes()
    with pytest.raises(FlavorError, match="could not be read again"):
        store.commit("sample", Tables(batches={"c": Batch("c", "base", [], [1], {"min_p": [0.1]}, "now")}))
    assert (tmp_path / "journal.log").read_bytes() == before and set(store.batches) == {"b"} and not store.read_only
    store.commit("sample", Tables(batches={"d": Batch("d", "base", [], [1], {"vary": True}, "now")}))
    store.close()
    assert set(Store(tmp_path, read_only=True).batches) == {"b", "d"}
