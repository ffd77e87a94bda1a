"""The doctor on real files: what it says, what it mends, what it keeps; snapshots rotate."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core import choices, config, environment, files
from core.errors import FlavorError
from core.finding import Finding
from core.lock import Lock
from dataset import snapshots
from dataset.store import Store
from runs.registry import Registry
from tests.test_cli import run
from tui.commands import checking
from tui.session.doctor import examine
from tui.session.drafts import Draft, Typed, kept_drafts
from tui.session.rescue import save_copy
from tui.session.session import Session


def write(there, count):
    with Session(there) as session:
        for number in range(count):
            session.write_example(f"The {number} dish is a stew of {number} roots and one regret.", {"Mood": "Calm"})
        return session.store.tables()


async def test_what_the_doctor_asks_ends_with_it(tmp_path, monkeypatch):
    """It sees nothing of the person's, as a worker."""
    code = f"import os, pathlib, time\nnew = pathlib.Path({str(tmp_path)!r}, 'new')\nnew.write_text(' '.join([str(os.getpid()), os.getcwd(), str(os.getsid(0)), os.environ['HF_HUB_OFFLINE']]))\n"
    (tmp_path / "sleepy.py").write_text(f"{code}new.rename(new.with_name('told'))\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    asked = asyncio.create_task(checking._ask("sleepy"))
    while not (tmp_path / "told").exists():  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    pid, where, leader, offline = (tmp_path / "told").read_text().split()
    assert (where, leader, offline) == (str(environment.empty_folder().resolve()), pid, "1")
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_cache_that_cannot_be_made_is_left_to_the_doctor(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FLAVOR_TUI_CACHE", str(tmp_path / "file"))
    assert checking._away() == Path("/")


def flip(path, line):
    """Damage one line of a file."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line][:40] + bytes([lines[line][40] ^ 1]) + lines[line][41:]
    path.write_bytes(b"".join(lines))


def test_a_damaged_line_is_taken_from_the_snapshot(there):
    tables = write(there, 5)
    flip(there / "journal.log", 2)
    before = (there / "journal.log").read_bytes()
    said = run("status", there)
    assert said.returncode == 1 and "line 3 is damaged" in said.stderr and f"doctor {there} --repair" in said.stderr
    said = run("doctor", there)
    assert said.returncode == 1 and "damaged  journal.log:" in said.stdout and "snapshots/0001/journal.log" in said.stdout
    assert (there / "journal.log").read_bytes() == before
    said = run("doctor", there, "--repair", "--json")
    assert said.returncode == 0, said
    assert json.loads(said.stdout.splitlines()[-1]) == {"well": True, "damaged": 0, "lost": 0, "mended": 2}
    assert (there / "damaged/0001-journal.log").read_bytes() == before
    assert Store(there).tables() == tables
    assert run("doctor", there).stdout.endswith("all is well\n")


def test_a_line_that_is_nowhere_is_remembered_by_the_view(there):
    tables = write(there, 5)
    shutil.rmtree(there / "snapshots")
    flip(there / "journal.log", 2)
    found = examine(there, repair=True)
    assert any("line 3 is in no file; the texts and decisions after it are known" in one.what for one in found)
    assert not any(one.level == "lost" for one in found)
    assert sorted(Store(there).tables().examples) == sorted(tables.examples)


def test_the_command_that_mends_can_be_pasted(there):
    folder = there.rename(there.with_name("my evening"))
    write(folder, 1)
    (folder / "journal.log").unlink()
    said = run("doctor", folder)
    assert said.returncode == 1 and said.stderr.endswith(f"flavor-tui doctor '{folder}' --repair\n")


def test_what_is_lost_is_named_by_its_line(there):
    tables = write(there, 5)
    shutil.rmtree(there / "snapshots")
    (there / "dataset.json").unlink()
    flip(there / "journal.log", 2)
    said = run("doctor", there, "--repair")
    assert said.returncode == 0 and "LOST     journal.log: line 3 is in no file" in said.stdout
    assert said.stdout.endswith("lost, as said above: 1; everything else is whole\n")
    assert list(Store(there).tables().examples) == [uid for number, uid in enumerate(tables.examples) if number != 2]


@pytest.mark.parametrize("gone", [("journal.log",), ("journal.log", "lock"), ("journal.log", "dataset.json"), ("dataset.json", "lock")])
def test_what_is_gone_comes_back_with_one_command(there, gone):
    tables = write(there, 5)
    for name in gone:
        (there / name).unlink()
    assert run("doctor", there, "--repair").returncode == 0
    assert Store(there).tables() == tables


def test_undo_does_not_reach_behind_a_repair(there):
    write(there, 3)
    shutil.rmtree(there / "snapshots")
    flip(there / "journal.log", 1)
    examine(there, repair=True)
    with Session(there) as session:
        assert session.undo() is not None  # line 3, which is whole
        assert session.undo() is None
        assert len(session.store.examples) == 2


@pytest.mark.parametrize("saved", [False, True])
def test_a_draft_that_went_is_named_unless_its_text_was_saved(there, saved):
    draft = Draft(there, "write")
    draft.keep(Typed("A stew of one root. ", {}))
    write(there, 2)
    draft.drop()
    shutil.copytree(there / "snapshots", there / "kept")
    with Session(there) as session:
        session.write_example("A stew of one root." if saved else "Another stew.", {})
    shutil.rmtree(there / "snapshots")  # as if that session had been killed
    (there / "kept").rename(there / "snapshots")
    said = [one for one in examine(there, repair=False) if one.where.startswith("drafts")]
    assert [one.level for one in said] == ["well" if saved else "note"]


def test_a_base_that_is_no_model_is_named(there):
    path = there / "flavor.toml"
    path.write_text(re.sub(r'base = ".*"', 'base = "A rumour"', path.read_text()))
    said = run("doctor", there).stdout
    assert "LOST     flavor.toml: its base 'A rumour' is no model. Give `starter`, a hub id" in said and "all is well" not in said


def test_nothing_is_mended_while_another_session_writes(there):
    write(there, 2)
    with Session(there):
        with pytest.raises(FlavorError, match=f"open elsewhere: process {os.getpid()} on "):
            examine(there, repair=True)
        assert Finding("note", "lock", examine(there, repair=False)[-1].what).what.startswith("open elsewhere")


def test_strays_open_files_and_damaged_drafts(there):
    write(there, 1)
    (there / "drafts").mkdir(exist_ok=True)
    (there / "drafts/write.json").write_text('{"text": "half a te')
    (there / ".journal.log.0123456789ab.tmp").write_text("x")
    for name in ("flavor.toml", "sheet.jsonl", "sweep.jsonl", "desk.json", "metrics"):
        (there / name).touch()
        (there / name).chmod(0o644)
    said = {one.where: one for one in examine(there, repair=True)}
    assert said["drafts/write.json"].level == "lost" and (there / "damaged/0001-write.json").read_text() == '{"text": "half a te'
    assert said[".journal.log.0123456789ab.tmp"].mended == "removed"
    assert not [path for path in there.iterdir() if path.is_file() and path.stat().st_mode & 0o077]


def test_nothing_goes_through_a_link_inside(there, tmp_path):
    write(there, 1)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "checkpoints").mkdir(parents=True)
    (elsewhere / ".tmp-mine").write_text("a person's own")
    (there / "runs").mkdir()
    (there / "runs/0001").symlink_to(elsewhere)
    write(there, 1)  # each start removes what killed writers left
    said = {one.where: one.what for one in examine(there, repair=True)}
    assert (elsewhere / ".tmp-mine").exists()
    assert "link" in said["runs/0001"] and Registry(there).run("0001").spec is None


def test_an_export_into_the_workspace_goes_on_beside_a_start(there):
    """It holds no lock; what a killed one left is removed."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    going, given_up = (there / f".exporting-{pid}-0a1b2c3d-model" for pid in (os.getpid(), gone.pid))
    for folder in (going, given_up):
        folder.mkdir()
    write(there, 1)
    assert going.exists() and not given_up.exists()


def test_what_a_person_keeps_beside_it_stays(there):
    write(there, 1)
    (there / ".tmp-mine").write_text("a person's own")
    (there / "snapshots").mkdir(exist_ok=True)
    (there / "snapshots/.tmp-0009").mkdir()
    write(there, 1)
    assert (there / ".tmp-mine").exists() and not (there / "snapshots/.tmp-0009").exists()


def test_every_file_is_closed_to_others(there):
    write(there, 1)
    inner = next(path for path in (there / "snapshots").rglob("*") if path.is_file())
    inner.chmod(0o664)
    assert any("may be read by other users" in one.what for one in examine(there, repair=True))
    assert not [path for path in there.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]


def test_settings_come_back_from_the_snapshot(there):
    write(there, 1)
    text = (there / "flavor.toml").read_text()
    (there / "flavor.toml").write_text("[task\n")
    examine(there, repair=True)
    assert (there / "flavor.toml").read_text() == text


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes().replace(b"dry", b"wet")), Path.unlink])
def test_strengths_and_notes_come_back_from_the_snapshot(there, damage):
    write(there, 1)
    path = there / choices.FILE
    with Session(there) as session:
        session.choices.set_note("0001/epoch-01", "dry")  # and nothing else
    assert {one.level for one in examine(there, repair=False)} == {"well"}
    damage(path)
    gone = not path.exists()
    with Session(there) as session:  # its snapshot takes the place of the one before
        assert session.choices.problem == ("is gone" if gone else "is damaged")
        session.write_example("Another stew.", {})
        with pytest.raises(FlavorError, match="no strength and no note can be kept"):
            session.choices.set_strength("0002/epoch-01", 0.5)
    (found,) = (one for one in examine(there, repair=True) if one.where == choices.FILE)
    assert found.level == "mend" and "taken from snapshots/" in found.mended and ("damaged/0001-choices.json" in found.mended) != gone
    assert choices.read_choices(there)["0001/epoch-01"].note == "dry"
    assert {one.level for one in examine(there, repair=False)} == {"well"}


def test_what_is_chosen_in_a_session_that_is_open_is_said_to_be(there):
    write(there, 1)
    with Session(there) as session:
        session.choices.set_note("0001/epoch-01", "dry")
    with Session(there) as session:
        session.choices.set_note("0001/epoch-01", "wet")
        (found,) = (one for one in examine(there, repair=False) if one.where == choices.FILE)
        assert found.level == "note" and "by one that is open or was killed" in found.what


def test_strengths_and_notes_that_are_nowhere_are_named_once(there):
    write(there, 1)
    (there / choices.FILE).write_text("{")
    with Session(there):  # which knows the damaged file
        pass
    (found,) = (one for one in examine(there, repair=True) if one.where == choices.FILE)
    assert found.level == "lost" and (there / "damaged/0001-choices.json").read_text() == "{"
    assert {one.level for one in examine(there, repair=False)} == {"well"}


def test_looking_leaves_the_note_of_the_lock_as_it_is(there):
    write(there, 3)
    (there / "lock").unlink()
    for _ in range(2):
        assert any(one.where == "lock" and "does not tell where" in one.what for one in examine(there, repair=False))
    lock = Lock(there / "lock")  # as something that writes a note and knows no journal
    assert lock.acquire() is None
    lock.release()
    with Session(there) as session:
        assert session.unsure
    with Session(there) as session:
        assert not session.unsure


def test_where_nobody_can_write_no_session_is_said_to_be_open(there, monkeypatch):
    def none(*_, **__):
        raise OSError(30, "Read-only file system")

    write(there, 1)
    monkeypatch.setattr(Lock, "acquire", none)
    for attempt in (lambda: examine(there, repair=True), lambda: Session(there).must_write()):
        with pytest.raises(FlavorError, match=r"cannot be written: Read-only file system\.") as said:
            attempt()
        assert "session" not in str(said.value)
    assert [one.what for one in examine(there, repair=False) if one.where == "lock"] == [
        "the workspace cannot be written: Read-only file system"
    ]


def test_a_strangers_file_whose_name_is_no_text(there):
    (there / "runs").mkdir()
    (there / os.fsdecode(b"runs/Caf\xe9.txt")).touch(0o644)
    write(there, 1)
    assert len(snapshots.snapshots(there)) == 1
    assert run("undo", there).returncode == 0
    assert run("doctor", there, "--json").returncode == 0


def test_ten_snapshots_are_kept_and_one_for_a_session(there, monkeypatch):
    for number in range(13):
        write(there, 1)
        monkeypatch.setattr("dataset.snapshots.time.time", lambda number=number: 1e9 + 1000 * number)
    kept = snapshots.snapshots(there)
    assert len(kept) == 10 and kept[0].sums.seq == 13
    write(there, 1)  # a second after the last one
    write(there, 1)
    assert [one.sums.seq for one in snapshots.snapshots(there)][:2] == [15, 13]


def test_keys_of_ones_own_that_the_screen_would_refuse(there):
    write(there, 2)
    with Session(there):
        pass
    path = there / "flavor.toml"
    good = path.read_text()
    path.write_text(good.replace("[keys]\n", '[keys]\naccept = "y"\nreject = "y"\n'))
    (found,) = (one for one in examine(there, repair=False) if one.where == "flavor.toml")
    assert found.level == "mend" and "gives 'y' to both accept and reject" in found.what
    examine(there, repair=True)
    assert path.read_text() == good


def test_a_workspace_that_is_called_as_its_folders_keeps_what_is_a_persons(tmp_path):
    workspace = tmp_path / "runs"
    (workspace / "runs").mkdir(parents=True)
    mine, left = workspace / ".tmp-mine", workspace / "runs" / ".tmp-0009"
    for path in (mine, left):
        path.touch()
    assert files.stale(*files.folders_of(workspace)) == [left]


def test_a_copy_saved_elsewhere_has_the_base_of_the_original(there, tmp_path):
    (there / "models/m").mkdir(parents=True)
    config.put_base(there, "models/m")
    with Session(there) as session:
        save_copy(session, tmp_path / "copy")
        assert config.load(tmp_path / "copy").model.base == session.base() == str(there.resolve() / "models/m")


def test_a_copy_is_saved_where_the_path_of_its_base_is_no_text(task, tmp_path):
    there = tmp_path / os.fsdecode(b"Caf\xe9")
    config.create(there, task)
    (there / "models/m").mkdir(parents=True)
    config.put_base(there, "models/m")
    with Session(there) as session:
        save_copy(session, tmp_path / "copy")
    assert config.load(tmp_path / "copy").model.base == "models/m"


def test_an_edit_to_the_text_of_another_row_is_offered_again(there):
    write(there, 2)
    with Session(there) as session:
        one, other = session.store.examples.values()
        Draft(there, f"edit-{one.uid}").keep(Typed(other.text, other.fields, one.uid, one.text))
        assert [typed.row for typed in kept_drafts(there, session.store.examples.values())] == [one.uid]


def test_an_edit_that_was_saved_is_not_offered_again(there):
    write(there, 1)
    with Session(there) as session:
        (uid,) = session.store.examples
        for text in ("Mine.", "Mine, and more."):
            Draft(there, f"edit-{uid}-{len(text)}").keep(Typed(text, {"Mood": "Calm"}, uid))
        session.change_example(uid, "Mine.", {"Mood": "Calm"})  # and killed before the draft was dropped
        assert [typed.text for typed in kept_drafts(there, session.store.examples.values())] == ["Mine, and more."]
    assert len(list((there / "drafts").iterdir())) == 1


def test_a_damaged_draft_is_set_aside_once(there):
    (there / "drafts").mkdir()
    (there / "drafts/write.json").write_text("{")
    said = []
    for _ in range(2):
        draft = Draft(there, "write")
        draft.read()
        said.append(draft.problem)
    assert "damaged/0001-write.json" in said[0] and not said[1] and len(list((there / "damaged").iterdir())) == 1
