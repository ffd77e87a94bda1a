"""What safety costs: opening a large workspace, and from a key to its decision on the disk. `python -m bench.safety` prints a table."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from bench.common import measure, spread
from core import config
from core.files import new_uid, now, write_atomic
from dataset.journal import encode
from dataset.rows import Batch, Candidate, Example, Op, Tables
from tui.session.session import Session

TEXT = "An empire of patient clerks who file the weather by colour and lend it out to farmers at a modest rate. " * 4
WAITING = 1000
"""Candidates that wait in the workspace, among its records."""
Line = tuple[str, str, str, bool]


def make(folder: Path, records: int) -> None:
    """A workspace with so many records, each from a line of the journal of its own."""
    config.create(folder, config.template("alien-empires"))
    fields = {"Danger Level": "3", "Disposition": "Aloof"}
    batch = Batch(new_uid(), "base", [], [], {}, now())
    lines = []
    for number in range(1, records + 1):
        uid = new_uid()
        if number > records - WAITING:
            made = Candidate(uid, f"{number} {TEXT}", fields, "base", batch.uid, 0, number, "stop", 90, [], now())
            put = Tables(candidates={uid: made}, batches={batch.uid: batch})
        else:
            put = Tables(examples={uid: Example(uid, f"{number} {TEXT}", fields, "written", now())})
        was = Tables(**{name: dict.fromkeys(getattr(put, name)) for name in Tables.__struct_fields__})
        lines.append(encode(Op(number, now(), "sample" if put.candidates else "write", put, was)))
    write_atomic(folder / "journal.log", b"".join(lines))
    with Session(folder):
        pass  # writes the view and the snapshot, as a session does at its end


def open_once(folder: Path) -> dict[str, float]:
    """Seconds to open a workspace in this process, its modules loaded."""
    began = time.perf_counter()
    session = Session(folder)
    seconds = time.perf_counter() - began
    assert not session.held_by
    return {"seconds": seconds, "records": len(session.store.examples) + len(session.store.candidates)}


def decide(folder: Path, keys: int) -> dict[str, float]:
    """Milliseconds from the call that a key makes to the decision on the disk and in memory; by turns with the disk's own time to append
    and fsync as many bytes; and to write the view of all records."""
    times, bare = [], []
    journal = folder / "journal.log"
    with Session(folder) as session, open(folder / "bare.bin", "ab", buffering=0) as file:
        for number, uid in enumerate(list(session.store.pending)[:keys]):
            size = journal.stat().st_size
            began = time.perf_counter()
            session.decide(uid, "accept" if number % 2 else "reject")
            times.append((time.perf_counter() - began) * 1000)
            data = bytes(journal.stat().st_size - size)
            began = time.perf_counter()
            file.write(data)
            os.fsync(file.fileno())
            bare.append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        tables = session.store.snapshot()
        assert tables
        session.store.write_view(tables)
        view = (time.perf_counter() - began) * 1000
    cuts, alone = (quantiles(values, n=100, method="inclusive") for values in (times, bare))
    return {"p50": cuts[49], "p99": cuts[98], "bare50": alone[49], "bare99": alone[98], "keys": len(times), "view": view}


def table(rounds: int, keys: int) -> list[Line]:
    """Every figure beside what it should reach."""
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as scratch:
        for records, most in ((10_000, 1.0), (100_000, 5.0)):
            folder = Path(scratch) / str(records)
            make(folder, records)
            seconds = [measure("bench.safety", "--open", str(folder))["seconds"] for _ in range(rounds)]
            lines.append(
                (f"open a workspace of {records:,} records", f"at most {most:g} s", f"{spread(seconds)} s", median(seconds) <= most)
            )
            if records == 10_000:
                found = measure("bench.safety", "--decide", str(folder), "--keys", str(keys))
                reached = found["p50"] <= 2 and found["p99"] <= 20
                text = f"p50 {found['p50']:.2f} ms, p99 {found['p99']:.1f} ms over {found['keys']} decisions"
                text += f"; the same bytes, nothing but appended and fsynced: p50 {found['bare50']:.2f} ms, p99 {found['bare99']:.1f} ms"
                text += f"; at p50 {found['p50'] / found['bare50']:.2f} times the bare disk"
                lines.append((f"key to durable acknowledgement, {records:,} records", "p50 2 ms, p99 20 ms", text, reached))
                lines.append((f"write the view of {records:,} records, behind the keys", "", f"{found['view']:.0f} ms", True))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open", type=Path, metavar="WORKSPACE", help="only open it, and print one JSON line")
    parser.add_argument("--decide", type=Path, metavar="WORKSPACE", help="only decide candidates of it, and print one JSON line")
    parser.add_argument("--keys", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    if args.open or args.decide:
        print(json.dumps(open_once(args.open) if args.open else decide(args.decide, args.keys)))
        return
    print("| what | to reach | measured | |\n|---|---|---|---|", flush=True)
    for what, target, text, reached in table(args.rounds, args.keys):
        print(f"| {what} | {target} | {text} | {('reached' if reached else 'missed') if target else ''} |", flush=True)


if __name__ == "__main__":
    main()
