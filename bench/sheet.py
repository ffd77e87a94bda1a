"""A contact sheet of 6 prompts on 5 checkpoints of the starter, one text at a time and a checkpoint's six together.

`python -m bench.sheet` prints one JSON line: seconds and tokens of both ways, and how many times faster the second is, by the token. The
checkpoints are those of a short real run.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.common import fill
from core import config
from core.protocol import Candidate, Load, Sample, Train
from tui.session.session import Session
from tui.session.sheet import ContactSheet

EPOCHS, ROWS, TOKENS = 5, 8, 96


def _made(there: Path) -> tuple[Any, ContactSheet, list[Path]]:
    """An engine with a run of five checkpoints, and the sheet."""
    from core.worker.engine import Engine

    config.create(there, config.template("alien-empires"))
    engine = Engine()
    with Session(there) as session:
        fill(session, ROWS)
        *_, loaded = engine.load(Load(id=1, base="starter", quantization="nf4", lora=session.settings.lora, calibrate=True))
        session.loaded = loaded  # type: ignore[assignment]
        plan = session.plan(epochs=EPOCHS, seed=1)
        folder = session.registry.create(plan.spec, plan.rows)
        contact = ContactSheet(session)
        contact.sheet()
    for _ in engine.train(Train(id=2, run=str(folder))):
        pass
    return engine, contact, sorted((folder / "checkpoints").iterdir())


def _tokens(engine: Any, contact: ContactSheet, folder: Path, places: Sequence[int]) -> int:
    """Sample these prompts of the sheet together; their tokens."""
    sheet, settings = contact.sheet(), config.Sampling(max_tokens=TOKENS, max_copied_tokens=0, end_ramp=0.0)
    prompts, seeds = [sheet.prompts[place] for place in places], [sheet.seeds[place] for place in places]
    command = Sample(id=3, checkpoint=str(folder), prompts=prompts, seeds=seeds, settings=settings, examples=[])
    return sum(event.tokens for event in engine.sample(command) if isinstance(event, Candidate))


def measure() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["FLAVOR_TUI_STATE"] = scratch
        engine, contact, folders = _made(Path(scratch) / "evening")
        every = range(len(contact.sheet().prompts))
        _tokens(engine, contact, folders[0], [0])
        found: dict[str, float] = {"checkpoints": len(folders), "prompts": len(every)}
        for way, batches in (("one", [[place] for place in every]), ("together", [list(every)])):
            began, tokens = time.perf_counter(), 0
            for folder in folders:
                tokens += sum(_tokens(engine, contact, folder, places) for places in batches)
            found |= {f"{way}_seconds": time.perf_counter() - began, f"{way}_tokens": tokens}
    found["times_faster"] = (found["one_seconds"] / found["one_tokens"]) / (found["together_seconds"] / found["together_tokens"])
    return found


if __name__ == "__main__":
    print(json.dumps(measure()))
