"""What comes before a worker's first token: `python -m bench.waking [--calibration]`.

Seconds of its imports, as it does them and plainly, by turns in processes of their own (medians of three), and of loading the starter; with
`--calibration` those of choosing its 4-bit codes anew, which a person waits for once; what the cache holds stays as it is.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from statistics import median

TURNS = 3
BEGIN = "import time; began = time.perf_counter()\n"
END = "\nprint(time.perf_counter() - began)"
IMPORTS = {
    "imports": "from core.lean import import_bitsandbytes\nimport_bitsandbytes()\nimport core.engine",
    "imports, plainly": "import core.engine",
}
LOADING = f"""
from core.lean import import_bitsandbytes
import_bitsandbytes()
from core.config import Lora
from core.engine import Engine
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

    from core import starter
    from core.calibration import CALIBRATING, calibrate
    from core.model import hardware

    folder = starter.convert(starter.find())
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=hardware()[1]).requires_grad_(False).eval()
    began = time.perf_counter()
    written = 0.0
    for step in calibrate(model, AutoTokenizer.from_pretrained(folder)):
        if isinstance(step, tuple) and step == (CALIBRATING, 0.0):
            written = time.perf_counter() - began
    print(f"calibration: {written:.0f} s of writing texts, {time.perf_counter() - began - written:.0f} s of choosing codes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibration", action="store_true")
    if parser.parse_args().calibration:
        calibration()
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
