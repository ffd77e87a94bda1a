"""The README's transcript: real commands on a scratch workspace with the real starter, written between its marks.

python -m docs.transcript            (prints; --write puts it into README.md)
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- transcript -->", "<!-- /transcript -->"
CUT = 240
"""Characters of a long line that are kept."""


def run(line: str, where: Path) -> str:
    """What a person would see after typing `line`."""
    words = shlex.split(line)
    assert words[0] == "flavor-tui"
    done = subprocess.run([sys.executable, "-m", "tui", *words[1:]], capture_output=True, text=True, cwd=where, check=False)
    return done.stdout + done.stderr


def transcript() -> str:
    with tempfile.TemporaryDirectory() as scratch:
        where = Path(scratch)
        os.environ["FLAVOR_TUI_STATE"] = scratch
        rows = resources.files("dataset").joinpath("demo/alien-empires.jsonl").read_text("utf-8").splitlines()
        (where / "rows.jsonl").write_text("\n".join(rows[:16]) + "\n")
        (where / "unseen.jsonl").write_text("\n".join(rows[16:22]) + "\n")
        out = []

        def say(line: str) -> str:
            answer = run(line, where)
            out.append(f"$ {line}\n{answer}")
            return answer

        say("flavor-tui new evening --template alien-empires")
        say("flavor-tui import evening rows.jsonl")
        first = run("flavor-tui generate evening -n 2 --seed 1 --max-tokens 80 --json", where)
        candidate = json.loads(first.splitlines()[0])["id"]
        out.append(f"$ flavor-tui generate evening -n 2 --seed 1 --max-tokens 80 --json\n{first}")
        say(f"flavor-tui decide evening {candidate} reject")
        say("flavor-tui retrain evening --epochs 2 --seed 1")
        say("flavor-tui generate evening -n 2 --seed 7 --set 'Danger Level=5' --max-tokens 80")
        say("flavor-tui evaluate evening unseen.jsonl --checkpoint base")
        say("flavor-tui evaluate evening unseen.jsonl")
        say("flavor-tui status evening --json")
        say("flavor-tui use evening 0009/epoch-01")
    text = "\n".join(out)
    return "\n".join(line if len(line) <= CUT else line[:CUT] + "..." for line in text.splitlines())


def main() -> None:
    text = f"{BEGIN}\n```console\n{transcript()}\n```\n{END}"
    print(text)
    if "--write" in sys.argv:
        README.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: text, README.read_text(), flags=re.S))


if __name__ == "__main__":
    main()
