"""What the shells complete, in the shells themselves; the launcher and the parser know the same commands."""

import shutil
import subprocess
import sys

import pytest

from tui.commands.completion import SHELLS, commands, script
from tui.commands.parser import parser
from tui.launcher import COMMANDS


def complete(*words, shell="bash"):
    """What bash offers for the last word."""
    line = " ".join(f"'{word}'" for word in words)
    code = f"{script(parser(), shell)}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _flavor_tui; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_the_launcher_knows_every_command():
    assert {command.name for command in commands(parser())} == COMMANDS


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_bash(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").touch()
    assert complete("flavor-tui", "ret") == ["retrain"]
    assert complete("flavor-tui", "import", "ws", "--dry") == ["--dry-run"]
    assert "parquet" in complete("flavor-tui", "import", "ws", "--format", "")
    assert complete("flavor-tui", "import", "ws", "ro") == ["rows.jsonl"]
    assert complete("flavor-tui", "decide", "ws", "x", "acc") == ["accept"]
    assert complete("flavor-tui", "export", "ws", "dataset", "out", "--as", "f") == ["folder"]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_can_read_it(shell):
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    done = subprocess.run([sys.executable, "-m", "tui", "completion", shell], capture_output=True, text=True, check=True)
    checked = subprocess.run([shell, "-n"], input=done.stdout, capture_output=True, text=True, check=False)
    assert not checked.returncode, checked.stderr
