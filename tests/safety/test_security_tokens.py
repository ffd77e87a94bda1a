"""No token in any process of the program, nor in a file or a log, while it runs with one in its environment."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core import environment
from tests.safety.program import ROOT, make_workspace, open_program
from tests.safety.sizes import report

TOKEN = "hf_" + "QxZw" * 9


def holds(pid):
    """Where in a process the token can be found."""
    found = ["environment"] if TOKEN.encode() in Path(f"/proc/{pid}/environ").read_bytes() else []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            begin, end = (int(part, 16) for part in span.split("-"))
            if rights.startswith("rw"):
                with contextlib.suppress(OSError):  # given back since the list was read
                    memory.seek(begin)
                    found += ["memory"] if TOKEN.encode() in memory.read(end - begin) else []
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_process_holds_a_token(tmp_path):
    workspace = make_workspace(tmp_path / "lighthouses")
    secrets = {"HF_TOKEN": TOKEN, "WANDB_API_KEY": TOKEN, "AWS_SECRET_ACCESS_KEY": TOKEN}
    with open_program(workspace, tmp_path / "state", **secrets) as terminal:
        terminal.wait_for("ready: fake")
        everyone = [terminal.pid, *terminal.children()]
        assert len(everyone) == 3
        found = [(pid, where) for pid in everyone for where in holds(pid)]
        terminal.press("\x11")
        assert terminal.wait_end() == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    planted = plant()
    report(
        "tokens",
        f"memory and environment of {len(everyone)} processes, all files and logs: {len(found) + len(files)} found",
        f"one that is taken out of os.environ only: {planted}",
    )
    assert not found and not files and planted == "caught"


def plant():
    """A process that was started with a token and took it out of `os.environ` only."""
    code = "import os, sys; os.environ.pop('HF_TOKEN'); print(flush=True); sys.stdin.read()"
    one = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "HF_TOKEN": TOKEN}
    )
    one.stdout.readline()
    found = holds(one.pid)
    one.communicate()
    return "caught" if "environment" in found else "MISSED"


def test_a_download_alone_reads_it():
    """The hub's token, through a descriptor that only a download is given."""
    code = (
        "from core import environment as e; import os, subprocess, sys; e.hide_tokens(); "
        "read = 'from core import environment as e; print(e.read_token())'; "
        "given = {'env': e.of_download(), 'pass_fds': e.token_descriptors()}; "
        "print(subprocess.run([sys.executable, '-c', read], capture_output=True, text=True, **given).stdout); "
        "print(subprocess.run([sys.executable, '-c', read], capture_output=True, text=True, env=e.of_worker()).stdout)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "HF_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}
    )
    assert told.stdout.split() == [TOKEN], told.stderr
    assert environment.SECRET.fullmatch("HF_TOKEN") and not environment.SECRET.fullmatch("TOKENIZERS_PARALLELISM")
