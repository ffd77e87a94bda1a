"""The figures of the evening loop, on the starter: `python -m bench.loop [--only NAME ...] [--rounds N]` prints them as a table.

Medians, and ratios within one run: the machine may be shared. Nothing here is asserted; a target that is missed is printed so.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.common import demo_rows, measure, spread, workspace
from core.protocol import Provisional, Refit, Sampled, Step, Trained
from dataset.rows import Candidate
from tui.session.session import Session
from tui.session.ways import SHOWN

Line = tuple[str, str, str, bool]
"""What, the target, what was measured, and whether it is reached."""


def start(rounds: int) -> list[Line]:
    found = measure("bench.screen", "start")
    ratio = median(found["ours"]) / median(found["empty"])
    text = f"{ratio:.2f} ({median(found['ours']):.2f} s against {median(found['empty']):.2f} s)"
    return [("start to first painted screen, over an empty Textual app", "at most 1.3", text, ratio <= 1.3)]


def decide(rounds: int) -> list[Line]:
    lines = []
    for count, target in ((500, 50), (10_000, 100)):
        found = measure("bench.screen", "decide", str(count))
        text = f"p50 {found['p50']:.0f} ms, p99 {found['p99']:.0f} ms"
        lines.append((f"decision while the worker trains, {count} candidates", f"p99 {target} ms", text, found["p99"] <= target))
    return lines


def _ratio(what: str, ours: list[str], plain: list[str], target: float, rounds: int) -> list[Line]:
    """Tokens a second of two contenders, by turns."""
    speeds = [[measure("bench.contenders", *words)["tokens_a_second"] for words in (ours, plain)] for _ in range(rounds)]
    ratios = [one / two for one, two in speeds]
    text = f"{spread(ratios)} ({median(one for one, _ in speeds):.0f} against {median(two for _, two in speeds):.0f} tokens/s)"
    return [(what, f"at least {target:g} times", text, median(ratios) >= target)]


def sampling(rounds: int) -> list[Line]:
    what = "sampling 8 at once, over one-at-a-time `generate()` with plain peft on the same 4-bit model"
    return _ratio(what, ["sample", "ours-8", "nf4"], ["sample", "plain-1", "nf4"], 5, rounds)


def training(rounds: int) -> list[Line]:
    what = "training tokens a second, over the plainest correct peft loop in 16 bit"
    short = ["--rows", "16", "--epochs", "1"]
    return _ratio(what, ["train", "ours", "nf4", *short], ["train", "plain", "bf16", *short], 0.9, rounds)


async def _evening(there: Path) -> dict[str, float]:
    """Train on 30 rows, add 5, retrain as `t` does, sample: seconds, and the worker's peak memory."""
    found: dict[str, float] = {}
    with Session(there) as session:
        async for _ in session.start_worker():
            pass
        try:
            async for _ in session.retrain(session.plan(seed=1)):
                pass
            async for event in session.sample(8, {}, seed=1):
                if isinstance(event, Candidate):
                    continue
            for text, fields in demo_rows()[30:35]:
                session.write_example(text, fields)
            last_step = checkpoint = 0.0
            async for event in session.retrain(session.plan(seed=2)):
                match event:
                    case Step() | Refit():
                        last_step = time.perf_counter()
                    case Provisional():
                        found["usable"] = event.seconds
                    case Trained():
                        found.setdefault("usable", event.seconds)
                        found["retrain"], checkpoint = event.seconds, time.perf_counter()
            asked = time.perf_counter()
            for name, shown in (("first token", 0), ("first token, shown", SHOWN)):  # the first batch of a checkpoint stands alone
                async for event in session.sample(8, {}, seed=9, shown=shown, vary=False):
                    if isinstance(event, Sampled):
                        found[name] = event.first_token
            found["wait"] = asked - checkpoint + found["first token"]
            found["measuring"] = checkpoint - last_step
            status = Path(f"/proc/{session.worker.pid}/status").read_text() if session.worker else ""
            found["memory"] = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
        finally:
            await session.stop_worker()
    return found


def evening(rounds: int) -> list[Line]:
    with tempfile.TemporaryDirectory() as scratch:
        runs = [asyncio.run(_evening(workspace(Path(scratch) / str(number), 30))) for number in range(rounds)]
    wait, usable, retrain, memory = ([run[name] for run in runs] for name in ("wait", "usable", "retrain", "memory"))
    measuring = median(run["measuring"] for run in runs)
    shown = median(run["first token, shown"] for run in runs)
    gigabytes = [value / 1e9 for value in memory]
    return [
        (
            "last training step to the first token of a new candidate",
            "at most 1 s",
            f"{spread(wait)} s, and {measuring:.1f} s for the held-out loss and the checkpoint; {shown:.1f} s in a batch with examples shown",
            median(wait) <= 1,
        ),
        (
            "retrain after 5 new rows on 30, until its checkpoint is active",
            "at most 45 s",
            f"{spread(usable, '{:.0f}')} s; measured too after {spread(retrain, '{:.0f}')} s",
            median(usable) <= 45,
        ),
        ("the worker's peak memory", "at most 2 GB", f"{spread(gigabytes)} GB ({median(memory) / 2**30:.2f} GiB)", median(gigabytes) <= 2),
    ]


PARTS: dict[str, Callable[[int], list[Line]]] = {
    "start": start,
    "decide": decide,
    "sampling": sampling,
    "training": training,
    "evening": evening,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print("| what | to reach | measured | |\n|---|---|---|---|", flush=True)
    for name in args.only:
        for what, target, text, reached in PARTS[name](args.rounds):
            print(f"| {what} | {target} | {text} | {'reached' if reached else 'missed'} |", flush=True)


if __name__ == "__main__":
    main()
