"""What comes before a worker's first token: `python -m bench.waking [--calibration | --first]`.

Seconds of its imports, as it does them and plainly, by turns in processes of their own (medians of three), and of loading the starter; with
`--calibration` those of choosing its 4-bit codes anew; what the cache holds stays as it is. With `--first` those of a first start, in an empty
cache: from the app's start to the first card, and to a base that can be trained; and the most memory that the worker held until then.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

TURNS = 3
BEGIN = "import time; began = time.perf_counter()\n"
END = "\nprint(time.perf_counter() - began)"
IMPORTS = {
    "imports": "from core.worker.lean import prepare\nprepare()\nimport core.worker.engine",
    "imports, plainly": "import core.worker.engine",
}
LOADING = f"""
from core.worker.lean import prepare
prepare()
from core.config import Lora
from core.worker.engine import Engine
from core.protocol import Load
{BEGIN}
for _ in Engine().load(Load(id=1, base="starter", quantization="nf4", lora=Lora(), calibrate=True)):
    pass
"""


def seconds(script: str) -> float:
    """What a process of its own prints last."""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return float(done.stdout.split()[-1])


def calibration() -> None:
    """Choose the starter's codes, and say how long its texts and its layers took."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from core.worker import starter
    from core.worker.calibration import CALIBRATING, calibrate
    from core.worker.model import hardware

    folder = starter.convert(starter.find())
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=hardware()[1]).requires_grad_(False).eval()
    began = time.perf_counter()
    written = 0.0
    for step in calibrate(model, AutoTokenizer.from_pretrained(folder)):
        if isinstance(step, tuple) and step == (CALIBRATING, 0.0):
            written = time.perf_counter() - began
    print(f"calibration: {written:.0f} s of writing texts, {time.perf_counter() - began - written:.0f} s of choosing codes")


async def first() -> None:
    """The app at its first start; nobody decides."""
    from bench.common import workspace
    from tui.app import FlavorApp

    with tempfile.TemporaryDirectory() as scratch:
        os.environ.update(FLAVOR_TUI_STATE=f"{scratch}/state", FLAVOR_TUI_CACHE=f"{scratch}/cache")
        there = workspace(Path(scratch) / "evening", 36)
        began = time.perf_counter()
        app, waits = FlavorApp(there), {"a card": 0.0, "a base to train": 0.0}
        async with app.run_test(size=(80, 24)) as pilot:
            while not all(waits.values()):
                await pilot.pause(0.1)
                loaded = app.jobs.doing in ("ready", "sampling")
                for what, there_is in (("a card", bool(app.session.store.pending)), ("a base to train", loaded)):
                    waits[what] = waits[what] or (time.perf_counter() - began if there_is else 0.0)
            assert app.session.worker
            status = Path(f"/proc/{app.session.worker.pid}/status").read_text()
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    sys.stdout.write("".join(f"first start, to {what}: {waited:.0f} s\n" for what, waited in waits.items()))
    sys.stdout.write(f"peak memory: {peak / 1e9:.2f} GB\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--calibration", action="store_true")
    what.add_argument("--first", action="store_true")
    args = parser.parse_args()
    if args.calibration:
        calibration()
        return
    if args.first:
        asyncio.run(first())
        return
    seconds(LOADING + END)  # now the starter is converted and calibrated, and the files are in memory
    scripts = {name: BEGIN + script + END for name, script in IMPORTS.items()} | {"loading the starter": LOADING + END}
    taken: dict[str, list[float]] = {name: [] for name in scripts}
    for _ in range(TURNS):
        for name, script in scripts.items():
            taken[name].append(seconds(script))
    for name, each in taken.items():
        print(f"{name}: {median(each):.1f} s")


if __name__ == "__main__":
    main()
