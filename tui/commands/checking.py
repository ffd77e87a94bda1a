"""`flavor-tui doctor`: what machine this is, whether a workspace is whole, and what 4 bits cost on its rows."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import msgspec

from core import environment
from core.errors import FlavorError
from core.files import now
from core.protocol import Row
from runs import measured
from runs.measured import Bits
from tui.commands.output import Line, Note, Output, Progress
from tui.session.doctor import examine
from tui.session.session import Session
from tui.session.warnings import warnings

FOUND = {"well": "well", "note": "note", "mend": "damaged", "lost": "LOST"}
MOST_MEASURED = 12
"""Rows on which the cost of 4 bits is measured: each is read twice, by two models."""


async def _ask(module: str, question: bytes = b"") -> dict[str, Any]:
    """What a heavy module, run as a process of its own, answers: one JSON object."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", module, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, cwd=_away(),
        env=environment.of_worker(),
    )  # fmt: skip
    try:
        out, err = await process.communicate(question)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    try:
        data: dict[str, Any] = json.loads(out)
    except ValueError:
        last = err.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"code {process.returncode}"]
        raise FlavorError(f"The model's packages do not start: {last[0]}.", "Reinstall them: pip install flavor-tui.") from None
    return data


def _away() -> Path:
    """A folder without files of the person's; the doctor says what is wrong with a cache that cannot hold it."""
    try:
        return environment.empty_folder()
    except OSError:
        return Path("/")


async def machine() -> Output:
    yield Progress("starting torch")
    data = await _ask("core.worker.doctor")
    speed = f"about {data['train_speed']:.0f} tokens a second with the starter" if data["train_speed"] else "unknown"
    lines = [
        f"device      {data['device']}, {data['cores']} cores, {data['memory'] / 1e9:.0f} GB",
        f"4 bits      {data['four_bit']}" + (f", computing in {data['compute']}" if data["compute"] else ""),
        f"training    {speed}",
        f"versions    python {data['python']}, " + ", ".join(f"{name} {version}" for name, version in data["versions"].items()),
        *(f"model       {name}" for name in data["models"]),
        *(f"{one['level']:<11} {one['what']}\n            -> {one['mend']}" for one in data["advice"]),
    ]
    bad = any(one["level"] != "note" for one in data["advice"])
    yield Line(data, "\n".join(lines) + ("" if bad else "\nall is well"))


async def bits(workspace: Path) -> Output:
    """What 4 bits cost on the person's own rows, without any adapter."""
    with Session(workspace, read_only=True) as session:
        own = [example for example in session.store.examples.values() if example.human][:MOST_MEASURED]
        if not own:
            raise FlavorError("There is no row to measure on.", "Write one first.", "empty")
        rows = [Row(example.uid, session.task.segments(example.fields), example.text) for example in own]
        asked = {"base": session.base(), "calibrate": session.settings.model.calibrate, "rows": msgspec.to_builtins(rows)}
    yield Progress("loading the base in 4 bits and in 16")
    data = await _ask("core.worker.bits", json.dumps(asked).encode())
    if "error" in data:
        raise FlavorError(data["error"], data["hint"], "model")
    with Session(workspace) as session:
        for line in warnings(session):
            yield Note(line)  # while the progress stands there
        if not session.held_by:  # else it is said all the same, and not kept for the report
            base = session.settings.model.base
            measured.keep_bits(session.folder, Bits(base, data["four_bits"], data["sixteen_bits"], data["rows"], now()))
    text = f"4 bits      cost {data['cost']:+.3f} nats a token on {data['rows']} of your rows: {data['four_bits']:.3f} against"
    yield Line(data, f"{text} {data['sixteen_bits']:.3f} in 16 bits, before training")


async def workspace(folder: Path, repair: bool) -> Output:
    found = examine(folder.resolve(), repair)
    for one in found:
        done = f" -> {one.mended}" if one.mended else ""
        yield Line(msgspec.to_builtins(one), f"{FOUND[one.level]:<8} {one.where}: {one.what}{done}")
    damaged, lost = sum(one.level == "mend" and not one.mended for one in found), sum(one.level == "lost" for one in found)
    data = {"well": not damaged and not lost, "damaged": damaged, "lost": lost, "mended": sum(bool(one.mended) for one in found)}
    if damaged:
        yield Line(data)
        mend = f"flavor-tui doctor {shlex.quote(str(folder))} --repair"
        raise FlavorError(f"Damaged: {damaged}.", f"To mend what can be mended: {mend}", "damaged")
    yield Line(data, f"lost, as said above: {lost}; everything else is whole" if lost else "all is well")
