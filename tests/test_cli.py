"""The command line on bad and good input: one clear line, exit 1, and nothing changed; no model is needed for these."""

import codecs
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from core.errors import FlavorError
from core.files import new_uid, now
from core.protocol import Trained
from dataset.rows import Batch, Candidate, Tables
from tests.made import bake, sample, write
from tui.commands import cli
from tui.commands.output import at_once
from tui.commands.parser import parse, parser
from tui.session.session import Session

ROOT = Path(__file__).parent.parent


def run(*words, cwd=None):
    return subprocess.run([sys.executable, "-m", "tui", *map(str, words)], capture_output=True, text=True, timeout=60, cwd=cwd, check=False)


def snapshot(folder):
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def refused(folder, *words):
    """Run a command that must fail; its one line."""
    before = snapshot(folder)
    done = run(*words)
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("flavor-tui: ")
    assert "Traceback" not in done.stderr
    assert snapshot(folder) == before
    return done.stderr


@pytest.fixture
def waiting(there):
    """The id of a waiting candidate."""
    with Session(there) as session:
        batch = Batch(new_uid(), "base", [], [5], {"temperature": 1.0}, now())
        made = Candidate(new_uid(), "A grim soup.", {"Mood": "Grim"}, "base", batch.uid, 0, 5, "stop", 3, [], now())
        session.commit("sample", Tables(candidates={made.uid: made}, batches={batch.uid: batch}))
    return made.uid


def test_bad_input_is_one_line(there, tmp_path):
    (tmp_path / "bad.jsonl").write_bytes(b'{"text": "a"}\n\xff')
    (tmp_path / "long.jsonl").write_text(json.dumps({"text": "x" * 30_000}))
    for said, words in [
        ("not a workspace", ("status", tmp_path)),
        ("not UTF-8 at byte 14", ("import", there, tmp_path / "bad.jsonl")),
        ("30000 characters", ("import", there, tmp_path / "long.jsonl")),
        ("cannot be opened", ("import", there, tmp_path / "absent.csv")),
        ("no candidate 'x'", ("decide", there, "x", "accept")),
        ("no example to train on", ("retrain", there)),
        ("no checkpoint '0009/epoch-01'", ("use", there, "0009/epoch-01")),
        ("no checkpoint 'x'", ("generate", there, "--checkpoint", "x")),
        ("no field 'Mod'", ("generate", there, "--set", "Mod=Calm")),
        ("is not NAME=VALUE", ("generate", there, "--set", "Mood")),
        ("one of Calm, Grim", ("generate", there, "--set", "Mood=Loud")),
        ("0 is no usable number for -n. From 1", ("generate", there, "-n", "0")),
        ("99 is no usable number for --few-shot. From 0 to 16", ("generate", there, "--few-shot", "99")),
        ("9000 is no usable number for --max-tokens. From 1 to 8192", ("generate", there, "--max-tokens", "9000")),
        ("101 is no usable number for --epochs. From 1 to 100", ("retrain", there, "--epochs", "101")),
        ("9999999999999999999 is no usable number for --seed. From 0 to 4", ("generate", there, "--seed", "9999999999999999999")),
        ("--strength says nothing of the base", ("generate", there, "--strength", "0.5")),
        ("--strength says nothing of the base", ("export", there, "merged", tmp_path / "out", "--strength", "0.5")),
        ("There is no example to push", ("push", there, "dataset", "me/soups")),
        ("'soups' is no name of a repository", ("push", there, "dataset", "soups")),
        ("not a workspace", ("push", tmp_path, "dataset", "me/soups")),
        ("no example to export", ("export", there, "dataset", tmp_path / "out.jsonl")),
        ("nothing to prefer", ("export", there, "dpo", tmp_path / "out.jsonl")),
        ("Taste is switched off", ("taste", there)),
        ("The base is active", ("export", there, "adapter", tmp_path / "out")),
        ("a workspace already", ("new", there, "--heading", "x")),
        ("needs a heading", ("new", tmp_path / "n")),
        ("unknown kind", ("new", tmp_path / "n", "--heading", "x", "--field", "A=b")),
        ("'A rumour' is no model. Give `starter`, a hub id", ("new", tmp_path / "n", "--heading", "x", "--base", "A rumour")),
        ("no template", ("new", tmp_path / "n", "--template", "x")),
    ]:
        assert said in refused(there, *words), words


def test_a_refusal_makes_no_folder(there, tmp_path):
    deep = tmp_path / "a/b/c"
    for said, words in [
        ("The base is active", ("export", there, "adapter", deep)),
        ("not a workspace", ("push", tmp_path, "dataset", "me/soups", "--dry-run", deep)),
        ("nothing can be made in", ("export", there, "merged", there / "flavor.toml/x")),
    ]:
        assert said in refused(there, *words) and not (tmp_path / "a").exists()


def test_every_argument_of_every_command_is_explained():
    (commands,) = (action.choices for action in parser()._actions if action.dest == "command")
    assert not [(name, action.dest) for name, command in commands.items() for action in command._actions if not action.help]


def test_make_says_first_what_it_downloads():
    """pip says nothing for minutes."""
    said = subprocess.run(["make", "--dry-run", "--always-make", "run"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert "some minutes" in said[: said.index("pip install")]


def test_new_says_which_attributes_it_made(tmp_path):
    said = run("new", tmp_path / "n", "--heading", "Tavern Rumour", "--field", "Town, Tone", "--field", "Mood=choice:Calm,Grim").stdout
    assert said == f"{tmp_path / 'n'} is ready: # Tavern Rumour with Town (text), Tone (text), Mood (choice)\n"


def test_a_broken_flavor_toml_names_the_line(there):
    path = there / "flavor.toml"
    path.write_text(path.read_text().replace("[training]", "[training]\nepochs = 0"))
    line = path.read_text().splitlines().index("epochs = 0") + 1
    assert f"line {line}" in refused(there, "status", there)


def test_one_json_object_a_line(there, tmp_path, waiting):
    (tmp_path / "rows.txt").write_text("one\n\ntwo")
    said = json.loads(run("import", there, tmp_path / "rows.txt", "--json").stdout)
    assert (said["imported"], said["examples"], said["rejected"], said["near_duplicates"]) == (2, 2, 0, 0)
    (tmp_path / "mended.txt").write_text("A grim soup, mended.\n")
    decided = json.loads(run("decide", there, waiting, "accept", "--text", tmp_path / "mended.txt", "--json").stdout)
    assert decided["verdict"] == "edit"
    assert run("undo", there).returncode == 0
    decided = json.loads(run("decide", there, waiting, "accept", "--set", "mood=calm", "--json").stdout)
    with Session(there, read_only=True) as session:
        assert session.store.examples[decided["example"]].fields["Mood"] == "Calm" and decided["verdict"] == "edit"
    status = json.loads(run("status", there, "--json").stdout)
    ranking = status.pop("ranking")
    counts = {"pending": 0, "accepted": 0, "rejected": 0, "edited": 1, "skipped": 0, "passed": 0}
    assert status == {"examples": 3, **counts, "checkpoint": "base"}
    assert not ranking["learned"] and ranking["ranked"]["decided"] == 0 and ranking["ratio"] is None
    assert "edited already" in refused(there, "decide", there, waiting, "reject")
    for kind, examples in (("decide", 2), ("import", 0)):
        assert json.loads(run("undo", there, "--json").stdout) == {"undone": kind, "examples": examples}
    assert json.loads(run("undo", there, "--json").stdout)["undone"] is None
    done = run("use", there, "nothing", "--json")
    assert json.loads(done.stdout)["kind"] == "missing" and done.returncode == 1
    assert json.loads(run("runs", there, "--json").stdout) == {"runs": 0, "checkpoint": "base"}


def test_decisions_record_everything(there, waiting):
    run("decide", there, waiting, "reject")
    with Session(there) as session:
        (decision,) = session.store.decisions.values()
    assert (decision.verdict, decision.before, decision.after, decision.seed, decision.checkpoint) == (
        "reject",
        "A grim soup.",
        "",
        5,
        "base",
    )
    assert decision.settings == {"temperature": 1.0} and decision.time


def test_a_second_session_is_told_who_holds_the_workspace(there, waiting):
    with Session(there):
        line = refused(there, "decide", there, waiting, "accept")
        assert f"process {os.getpid()}" in line
        assert run("status", there).returncode == 0
    assert run("decide", there, waiting, "accept").returncode == 0


def test_a_killed_holder_holds_nothing(there):
    code = "import sys, time; from pathlib import Path; from tui.session.session import Session; s = Session(Path(sys.argv[1])); print('open', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, str(there)], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"open\n"
    with Session(there) as second:
        assert second.held_by
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with Session(there) as third:
        assert not third.held_by


def test_without_a_terminal_there_is_no_screen(there):
    assert "needs a terminal" in refused(there, there)
    assert "is no command" in refused(there, "frobnicate", "x")
    assert "Did you mean export?" in refused(there, "exprot")
    assert "Did you mean import?" in refused(there, "Impot", there, "rows.csv")
    assert "needs a terminal" in refused(there, "./exprot")


def test_a_misspelt_option_is_told_with_the_usage_of_its_command(there):
    done = run("generate", there, "--bogus", "\x1b[2J")
    assert done.returncode == 2 and done.stderr.startswith("usage: flavor-tui generate") and "\x1b" not in done.stderr
    assert "unrecognized arguments: --bogus" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export", "dpo", "x.jsonl", "--split", "test"], "--split says nothing of dpo"),
        (["export", "gguf", "x.gguf", "--as", "csv"], "--as says nothing of gguf"),
        (["export", "dataset", "x.csv", "--checkpoint", "0001/epoch-01"], "--checkpoint says nothing of dataset"),
        (["export", "dataset", "folder", "--split", "test"], "the folder has all of them"),
        (["export", "dataset", "x.csv", "--license", "mit"], "--license goes with a folder"),
        (["export", "kto", "k.jsonl", "--as", "folder"], "--as folder goes with dataset: kto is a file"),
        (["export", "dpo", "k.jsonl", "--as", "disk"], "--as disk goes with dataset: dpo is a file"),
        (["push", "dataset", "me/soups", "--checkpoint", "0001/epoch-01"], "--checkpoint says nothing of dataset"),
        (["push", "dataset", "me/soups", "--strength", "0.7"], "--strength says nothing of dataset"),
        (["generate", "--plain", "--json"], "one of them"),
        (["doctor", "--bits", "--repair"], "--bits measures and --repair mends: one of them"),
        (["models", "--get", "me/soups", "--in", "x"], "--in says nothing of --get"),
        (["decide", "x", "reject", "--text", "x.txt"], "--text goes with accept"),
        (["decide", "x", "skip", "--set", "Mood=Calm"], "--set goes with accept"),
        (["retrain", "--again", "0001", "--fresh"], "--again takes everything from the run"),
        (["report", "--html", "r", "--md", "x/../r"], "name the same file"),
        (["report", "--html", "-", "--json"], "one of them"),
        (["export", "dataset", "folder", "--origin", "written"], "--origin goes with a file"),
        (["demo", "--seed", "3"], "--seed goes with --play"),
        (["export", "gguf", "-"], "- is no place here"),
        (["export", "dataset", "-"], "with --as, one of jsonl, csv, tsv, txt, md"),
        (["export", "kto", "-", "--as", "parquet"], "with --as, one of jsonl"),
        (["export", "dataset", "-", "--as", "csv", "--json"], "one of them"),
        (["export", "adapter", "out", "--license", "MIT License"], "'mit license' is no licence"),
        (["export", "dataset", "out", "--license", "MIT License"], "'mit license' is no licence"),
        (["push", "adapter", "me/soups", "--license", "MIT License"], "'mit license' is no licence"),
        (["retrain", "--again", ""], "--again names no run"),
        (["push", "dataset", "me/soups", "--dry-run", "-"], "- is no place here"),
        (["demo", "--at", "-"], "- is no place here"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(there, tmp_path, words, said):
    command, *rest = words
    done = run(command, *([] if command in ("demo", "models") else [there]), *rest, cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr and done.stderr.startswith(f"usage: flavor-tui {command}")
    assert not (tmp_path / "-").exists()


@pytest.mark.parametrize("option", ["--bits", "--repair"])
def test_what_the_doctor_does_to_a_workspace_needs_one(option):
    done = run("doctor", option)
    assert done.returncode == 2 and f"{option} needs a WORKSPACE" in done.stderr


def test_what_evaluate_reads_is_named_as_for_import(there, monkeypatch):
    named = []

    def read(source, _):
        named.append(source)
        raise FlavorError("That is enough.")

    monkeypatch.setattr("tui.commands.tasting.read_source", read)
    assert cli.run(parse(["evaluate", str(there), "hf://datasets/me/soups"])) == 1
    assert named == ["hf://datasets/me/soups"]


@pytest.mark.parametrize("play", [False, True])
def test_a_checkpoint_that_could_not_be_taken_is_told_with_the_way_to_it(there, tmp_path, monkeypatch, capsys, play):
    async def nothing(*_, **__):
        return
        yield

    async def retrain(self, plan):
        self.not_taken = "The journal cannot be written: No space left on device."
        yield Trained(id=1, checkpoint="0001/epoch-02", steps=8, tokens=9, seconds=1.0, train_seconds=1.0, why="epoch 2 is the best")

    for name in ("play", "retraining"):
        monkeypatch.setattr(f"tui.commands.{name}.start", nothing)
    monkeypatch.setattr(Session, "sample", nothing)
    monkeypatch.setattr(Session, "retrain", retrain)
    with Session(there) as session:
        write(session, 12)
    at = str(tmp_path / "demo" if play else there)
    words = ["demo", "--play", "--at", at] if play else ["retrain", at]
    assert cli.run(parse(words)) == 1
    said = capsys.readouterr()
    assert "base stays active; 0001/epoch-02 is done, epoch 2 is the best: 8 steps, in all 0:01" in said.out
    assert "No space left on device." in said.err and f"use {at} 0001/epoch-02\n" in said.err


def test_examples_are_shown_to_the_base_alone(there):
    with Session(there) as session:
        write(session, 3)
        bake(session, [4.0, 3.4])
    assert "--few-shot says nothing of a checkpoint" in refused(there, "generate", there, "--few-shot", "2")


def test_standard_input_is_a_text_where_one_is_wanted(there, waiting):
    words = [sys.executable, "-m", "tui", "decide", str(there), waiting, "accept", "--text", "-", "--json"]
    done = subprocess.run(words, input="A grim soup, mended.\n", capture_output=True, text=True, check=True)
    with Session(there, read_only=True) as session:
        assert session.store.examples[json.loads(done.stdout)["example"]].text == "A grim soup, mended."
    words = [sys.executable, "-m", "tui", "evaluate", str(there), "-"]
    done = subprocess.run(words, input="text\tMood\nSoup.\tLoud\n", capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "standard input, line 2: Mood cannot be 'Loud'" in done.stderr


def test_the_version_is_the_packages_and_looked_up_only_then():
    assert run("--version").stdout == f"flavor-tui {version('flavor-tui')}\n"
    code = "import sys, tui.app, tui.launcher, tui.commands.cli as c; c.parser(); sys.exit('importlib.metadata' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_reader_that_is_gone_is_told_to_the_shell(there):
    """As of other programs: what reads it may have ended a run halfway."""
    with subprocess.Popen([sys.executable, "-m", "tui", "status", str(there)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.close()
        assert child.wait(60) == 141 and child.stderr.read() == b""


def test_a_licence_may_be_in_capitals(there, tmp_path):
    with Session(there) as session:
        session.write_example("Soup.", {})
    assert not run("export", there, "dataset", tmp_path / "x", "--license", "CC-BY-4.0").returncode
    assert "license: cc-by-4.0\n" in (tmp_path / "x/README.md").read_text()


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv", "txt", "md"])
def test_standard_output_has_the_bytes_that_a_file_would_have(there, tmp_path, form):
    with Session(there) as session:
        session.write_example("Soupe à l'oignon.\n\nFor two.", {"Mood": "Grim", "Cook": "An owl"})
    path = there / "flavor.toml"
    path.write_text(path.read_text().replace('name = "Cook"', 'name = "Chef"'))
    words = [sys.executable, "-m", "tui", "export", there, "dataset"]
    done = subprocess.run(
        [*words, "-", "--as", form], capture_output=True, check=False, cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert subprocess.run([*words, tmp_path / f"x.{form}"], capture_output=True, check=False).returncode == 0
    held = (tmp_path / f"x.{form}").read_bytes()
    assert held.startswith(codecs.BOM_UTF8) is (form == "csv")  # which is for a spreadsheet, not for what reads a pipe
    assert done.returncode == 0 and done.stdout == held.removeprefix(codecs.BOM_UTF8) and not (tmp_path / "-").exists()
    left = "" if form == "jsonl" else ", left out here"
    assert done.stderr.decode() == f"1 row has values of attributes that are no more{left}: Cook\n"
    with subprocess.Popen([*words, "-", "--as", form], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.close()
        assert child.wait(60) == 141 and b"Error" not in child.stderr.read()


def test_what_cannot_be_said_ends_in_no_traceback(there, tmp_path):
    words = [sys.executable, "-m", "tui", "status", str(tmp_path / "nowhere"), "--json"]
    for both in (subprocess.PIPE, subprocess.STDOUT):
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=both) as child:
            child.stdout.close()
            assert child.wait(60) == 141 and (both == subprocess.STDOUT or child.stderr.read() == b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_full_standard_output_is_named(there, tmp_path, more):
    for workspace in (there, tmp_path / "nowhere"):
        words = [sys.executable, "-m", "tui", "status", str(workspace), *more]
        with open("/dev/full", "w") as full:
            done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 1 and done.stderr.count("\n") == 1 and done.stderr.startswith("flavor-tui: ")
        assert "Standard output cannot be written: No space left" in done.stderr or (not more and workspace != there)
        assert workspace == there or "not a workspace" in done.stderr


EXPORT = """
import sys
from dataset.exporting import files
from tui.commands import cli
from tui.commands.parser import parse

files.sys.executable = sys.argv[1]
sys.exit(cli.run(parse(sys.argv[2:])))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("more", [[], ["--as", "disk"]])
def test_an_export_by_another_process_ends_at_once_and_takes_it_along(there, tmp_path, number, more):
    with Session(there) as session:
        write(session, 3)
    writer = tmp_path / "writer"
    writer.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/began\nmv {tmp_path}/began {tmp_path}/pid\nexec sleep 60\n")
    writer.chmod(0o755)
    words = [sys.executable, "-c", EXPORT, writer, "export", there, "dataset", tmp_path / "out/x.parquet", *more]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True) as child:
        while not (tmp_path / "pid").exists():
            time.sleep(0.05)
        os.killpg(child.pid, number)
        assert child.wait(20) == 128 + number and child.stderr.read().count("\n") == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert not list((tmp_path / "out").iterdir())


def test_a_writer_that_fails_names_what_was_asked_for(tmp_path, task, monkeypatch):
    from dataset.exporting import files, table, write_file

    monkeypatch.setattr(files.sys, "executable", "/bin/false")
    with pytest.raises(FlavorError, match=f"^{tmp_path}/x.parquet could not be written"):
        write_file(table([], task), tmp_path / "x.parquet")


TOLD = """
import asyncio, signal, sys
from tui.commands import cli
from tui.commands.output import Line
from tui.commands.parser import parse

async def work():
    yield Line({"at": "work"})
    try:
        await asyncio.sleep(60)
    finally:
        sys.stdout.write("cleaned up")

cli._output = lambda args: work()
sys.exit(cli.run(parse(["models", "--json"])))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_lets_a_command_clean_up(number):
    with subprocess.Popen([sys.executable, "-c", TOLD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == '{"at": "work"}\n'
        child.send_signal(number)
        assert child.wait(30) == 128 + number and child.stdout.read() == "cleaned up" and "what was whole is kept" in child.stderr.read()


COMPUTES = """
import sys, time
from tui.commands import cli
from tui.commands.output import Line, at_once
from tui.commands.parser import parse

async def work():
    yield Line({"at": "work"})
    time.sleep(float(sys.argv[1]))
    if sys.argv[2:]:
        yield Line({"at": "end"})
        return
    with at_once():
        time.sleep(60)

cli._output = lambda args: work()
sys.exit(cli.run(parse(["models", "--json"])))
"""


PROGRESS = """
import sys
from core.errors import FlavorError
from tui.commands import cli
from tui.commands.output import Note, Progress
from tui.commands.parser import parse

async def work():
    yield Progress("reading " * 30)
    yield Progress("汤" * 30)
    yield Note("It is an old model.")
    yield Progress("loading")
    raise FlavorError("It broke.")

cli._output = lambda args: work()
sys.exit(cli.run(parse(["models"])))
"""


def test_what_is_under_way_is_gone_before_anything_else_is_said():
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 40))
    done = subprocess.run([sys.executable, "-c", PROGRESS], stderr=theirs, timeout=60, check=False)
    shown = os.read(ours, 4096).decode().split("\r\x1b[2K")
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 1 and len(shown[1]) == 39 and shown[1].startswith("reading reading")
    assert shown[2] == "汤" * 19 + "…"  # two cells each
    assert shown[3:] == ["It is an old model.\r\n", "loading", "flavor-tui: It broke.\r\n"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_is_ignored_stays_so(number):
    """As ctrl+c is by what a script starts with &."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with at_once():
            assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("more", [[], ["ends"]])
def test_a_signal_that_comes_while_a_command_computes_is_not_lost(more):
    """It ends before it waits for anything, or at its end; and never as if all had gone well."""
    words = [sys.executable, "-c", COMPUTES, "1", *more]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == '{"at": "work"}\n'
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 128 + signal.SIGTERM and "what was whole is kept" in child.stderr.read()


def test_a_second_signal_ends_what_computes_at_once():
    with subprocess.Popen([sys.executable, "-c", COMPUTES, "60"], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline()
        child.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == -signal.SIGTERM


def test_under_nohup_a_closed_terminal_says_nothing():
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)" + TOLD.replace("sleep(60)", "sleep(1)")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline()
        child.send_signal(signal.SIGHUP)
        assert child.wait(30) == 0 and child.stdout.read() == "cleaned up"


def test_what_waits_for_standard_input_ends_at_once(there):
    with subprocess.Popen([sys.executable, "-m", "tui", "import", str(there), "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        time.sleep(1.5)
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == 128 + signal.SIGTERM and b"what was whole is kept" in child.stderr.read()


def test_json_stays_json_where_standard_output_knows_no_unicode(there):
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    words = [sys.executable, "-m", "tui", "use", str(there), "thé/é", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, env=ascii_only, check=False)
    assert "thé/é" in json.loads(done.stdout)["error"] and done.returncode == 1


def test_a_loss_of_examples_is_called_no_held_out_loss(there, monkeypatch, capsys):
    from core.protocol import Evaluated

    with Session(there) as session:
        write(session, 3)
        bake(session, [4.0, 3.4])
        own = next(iter(session.store.texts().values()))

    async def nothing(*_):
        return
        yield

    async def measured(*_):
        return Evaluated(id=1, loss=3.0, tokens=9, rows=2, losses=[3.0, 3.0], skipped=[])

    monkeypatch.setattr("tui.commands.tasting.start", nothing)
    monkeypatch.setattr(Session, "evaluate", measured)
    (there / "some.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in (own, "A soup of nobody.")))
    assert cli.run(parse(["evaluate", str(there), str(there / "some.jsonl")])) == 0
    assert "(1 of them is an example here; if it was trained on, it tells nothing of unseen texts)" in capsys.readouterr().out
    (there / "some.jsonl").write_text(2 * (json.dumps({"text": own}) + "\n"))
    assert cli.run(parse(["evaluate", str(there), str(there / "some.jsonl")])) == 0
    assert "(2 of them are examples here; those that were trained on tell nothing of unseen texts)" in capsys.readouterr().out
    assert cli.run(parse(["evaluate", str(there), str(there / "some.jsonl"), "--checkpoint", "base"])) == 0
    assert "example here" not in capsys.readouterr().out


def test_templates_and_export(tmp_path):
    there = tmp_path / "checks"
    assert run("new", there, "--template", "skill-checks").returncode == 0
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": "Roll.", "fields": {"Scenario": "A door.", "Action": "Kick it"}}) + "\n")
    assert run("import", there, tmp_path / "rows.jsonl").returncode == 0
    assert run("export", there, "dataset", tmp_path / "out.md").returncode == 0
    assert "is there already" in refused(tmp_path, "export", there, "dataset", tmp_path / "out.md")
    assert "Scenario: A door.\nAction: Kick it\n\n## Check\n\nRoll." in (tmp_path / "out.md").read_text()


def test_a_push_that_is_only_looked_at_needs_no_licence(there, tmp_path):
    with Session(there) as session:
        write(session, 3)
    assert run("push", there, "dataset", "me/soups", "--dry-run", tmp_path / "out").returncode == 0
    assert (tmp_path / "out/README.md").read_text().startswith("---\nlicense: other\n")


@pytest.mark.parametrize(("rows", "repo", "asked"), [(3, "soups", 0), (0, "me/soups", 0), (3, "me/soups", 1)])
def test_a_licence_is_asked_for_when_the_rest_is_known_to_be_right(there, tmp_path, monkeypatch, rows, repo, asked):
    with Session(there) as session:
        if rows:
            write(session, rows)
    calls = []
    monkeypatch.setattr("tui.commands.pushing.ask_licence", lambda *_: calls.append(1) or "mit")
    assert cli.run(parse(["push", str(there), "dataset", repo, "--dry-run", str(tmp_path / "out")])) == 1 - asked
    assert len(calls) == asked


def test_a_command_says_what_the_start_would(there):
    with Session(there) as session:
        write(session, 12)
        last = bake(session, [4.0, 3.4])
    (there / "lock").unlink()
    said = run("undo", there).stderr
    assert said.count("\n") == 1 and said.startswith("`lock` does not tell where the journal ended")
    (there / "choices.json").write_text("{")
    assert run("status", there).stderr.startswith("choices.json is damaged: strengths and notes do not count. To mend it")
    words = ("export", there, "merged", there / "out")
    assert "choices.json is damaged: nobody knows which strength was chosen" in refused(there, *words, "--checkpoint", last)


def test_gauges_and_verdicts(there):
    with Session(there) as session:
        write(session, 12)
        bake(session, [4.0, 3.4, 3.19, 3.5])
        sample(session, "0001/epoch-03", ["A soup that nobody ordered and everybody ate."] * 2)
    lines = [json.loads(line) for line in run("gauges", there, "--json").stdout.splitlines()]
    held, last = lines[0], lines[-1]
    assert (held["name"], held["number"], held["reference"], held["says"]) == ("held-out loss", 3.5, 3.19, "over")
    assert held["evidence"][0] == {"words": "4.000", "where": "base", "source": ""}
    assert (last["checkpoint"], last["verdict"], last["decided"]) == ("0001/epoch-03", "overbaked", ["held-out loss"])
    assert last["next"] == "use another" and last["next_sentence"].startswith("Use 0001/epoch-02")
    said = run("gauges", there, "0001/epoch-02").stdout
    assert (
        "0001/epoch-02: ✓ good. Held-out loss, 3.190, is at its lowest, on 3 held-out rows only." in said
        and "next: Use 0001/epoch-02" in said
    )
    told = json.loads(run("runs", there, "--json").stdout.splitlines()[0])["checkpoints"]
    assert [checkpoint["verdict"] for checkpoint in told] == ["underbaked", "good", "overbaked"]
    assert told[2]["why"] == "Held-out loss has risen by 10 % since 0001/epoch-02, on 3 held-out rows only."
    assert "0001/epoch-03  ! overbaked" in run("runs", there).stdout
    assert "no checkpoint '0009/epoch-01'" in refused(there, "gauges", there, "0009/epoch-01")


HEAVY = ("torch", "transformers", "peft", "bitsandbytes", "datasets", "huggingface_hub")


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (
            "tui.app, tui.screens.write, tui.screens.library, tui.screens.runs, tui.screens.welcome, tui.commands.making, tui.commands.play",
            HEAVY,
        ),
        (
            "tui.session.session, tui.commands.tasting, tui.commands.retraining, tui.session.tasting, tui.session.advice, tui.commands.cli, tui.commands.play, dataset.store, runs.registry",
            (*HEAVY, "textual"),
        ),
        ("core.worker.__main__", ("torch", "textual", "tinydb")),
    ],
)
def test_what_the_screens_process_never_imports(modules, absent):
    code = f"import sys, {modules}; print([name for name in {absent!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
