"""What commands print with --json has the types that the docs give; commands that need the model are held to them in the tutorial's test."""

import argparse
import json

from core.files import new_uid, now
from dataset.rows import Batch, Candidate, Tables
from docs import json_lines
from tests.made import bake, write
from tui.commands import cli
from tui.commands.parser import parser
from tui.session.session import Session


def test_the_schema_in_the_docs_is_the_one_of_the_types():
    assert json.loads(json_lines.HERE.read_text()) == json.loads(json.dumps(json_lines.schema())), "run python -m docs.json_lines"


def test_the_schema_knows_every_command():
    sub = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    assert set(json_lines.LINES) == set(sub.choices)


def test_every_line_has_its_type(tmp_path, there, capsys):
    with Session(there) as session:
        write(session, 12)
        bake(session, [4.0, 3.4, 3.19, 3.5])
        batch = Batch(new_uid(), "base", [], [5], {}, now())
        made = [Candidate(new_uid(), f"Soup {n}.", {}, "base", batch.uid, n, 5, "stop", 3, [], now()) for n in range(2)]
        session.commit("sample", Tables(candidates={one.uid: one for one in made}, batches={batch.uid: batch}))
    (tmp_path / "x.csv").write_text("text,id\nOne.,1\nTwo.,2\n")
    (tmp_path / "bad.csv").write_text("text\n\ufeff\u202e\n")
    seen = set()
    for words, status in [
        (["new", tmp_path / "n", "--heading", "x", "--field", "A=scale"], 0), (["import", there, tmp_path / "x.csv"], 0),
        (["import", there, tmp_path / "x.csv", "--dry-run"], 0), (["import", there, tmp_path / "bad.csv", "--dry-run"], 1),
        (["import", there, tmp_path / "bad.csv"], 1), (["decide", there, made[0].uid, "accept"], 0), (["decide", there, made[1].uid, "reject"], 0),
        (["undo", there], 0), (["runs", there], 0), (["gauges", there], 0), (["use", there, "0001/epoch-02"], 0), (["use", there, "x"], 1),
        (["back", there], 0), (["back", there, "1"], 0), (["back", there, "999"], 1), (["use", there, "0001/epoch-01", "--strength", "0.8"], 0),
        (["status", there], 0), (["report", there], 0),
        (["report", there, "--html", tmp_path / "r.html"], 0), (["sweep", there, "--budget", 0], 0), (["export", there, "dataset", tmp_path / "out.jsonl"], 0), (["export", there, "kto", tmp_path / "kto.jsonl"], 0),
        (["export", there, "dataset", tmp_path / "out", "--license", "mit"], 0), (["export", there, "dataset", tmp_path / "out2"], 1),
        (["completion", "bash"], 0), (["doctor", there], 0), (["report", there], 0), (["curve", there, "--budget", "0"], 0),
        (["push", there, "dataset", "me/soups", "--license", "mit", "--dry-run", tmp_path / "sent"], 0), (["models"], 0),
    ]:  # fmt: skip
        args = parser().parse_args([*map(str, words), "--json"])
        assert cli.run(args) == status, words
        lines = capsys.readouterr().out.splitlines()
        kinds = [json_lines.check(words[0], line) for line in lines]
        assert kinds[-1] == ("Failure" if status else kinds[-1]) and (not status or len(kinds) == 1 + ("--dry-run" in words))
        seen.update(kinds)
    assert seen >= {
        "New",
        "Import",
        "ImportLook",
        "Decide",
        "Undo",
        "Run",
        "Runs",
        "Reading",
        "Gauges",
        "Use",
        "Status",
        "Export",
        "Finding",
        "Health",
        "Failure",
    }
