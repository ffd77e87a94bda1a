"""The tutorial's commands, in their order, on the starter; with --json added, so that what they print is held to the docs as well."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from docs import json_lines

TUTORIAL = Path(__file__).parent.parent / "docs/tutorial.md"


@pytest.mark.starter
def test_the_tutorial(tmp_path):
    text = TUTORIAL.read_text()
    for name, body in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", text, re.S):
        (tmp_path / name).write_text(body)
    lines = [line[2:] for block in re.findall(r"```console\n(.*?)```", text, re.S) for line in block.splitlines() if line.startswith("$ ")]
    said, newest = {}, ""
    for line in lines:
        words = [newest if word == "ID" else word for word in shlex.split(line)]
        assert words[0] == "flavor-tui"
        done = subprocess.run(
            [sys.executable, "-m", "tui", *words[1:], "--json"], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert not done.returncode, (line, done.stderr)
        printed = done.stdout.splitlines()
        assert [json_lines.check(words[1], one) for one in printed]
        said[line] = [json.loads(one) for one in printed]
        if words[1] == "generate":
            newest = said[line][0]["id"]
    by = {line.split()[1]: answer for line, answer in said.items()}  # the last of each command
    assert by["import"][-1]["imported"] == 12 and by["import"][-1]["fields_from"] == {"Mood": "mood", "Price": "price"}
    assert by["retrain"][-1]["checkpoint"].startswith("0001/") and by["status"][-1]["accepted"] == 1 and by["status"][-1]["rejected"] == 1
    epochs = [one["held_out_loss"] for one in by["retrain"] if "epoch" in one]
    assert min(epochs[1:]) < epochs[0]
    assert (tmp_path / "my-dishes/README.md").exists() and (tmp_path / "my-adapter/adapter_model.safetensors").exists()
