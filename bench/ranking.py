"""What the ranking is worth without a person: real candidates, decided by the bench's judge, and the accept rate at the top of the order.

`python -m bench.ranking --task checks --seed 1 --out FOLDER` plays in a workspace that stays; run again, it goes on where it stopped.
`python -m bench.ranking --table FOLDER...` prints what the order was worth there.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from bench import cases
from bench.cases import Case, Try
from core import config
from dataset.rows import Candidate
from tui.session import Session

COUNT = 24
"""Candidates a round."""
ROUNDS = 4
EPOCHS = 4
YOUNGER = 2
"""Rounds that come from an epoch earlier than the last: the predictor then meets a checkpoint that it has not learned from."""


async def play(folder: Path, case: Case, seed: int, budget: float) -> None:
    """Train on all rows, then sample and decide in the order of arrival; stop when `budget` seconds are over, or all is done."""
    end = time.monotonic() + budget
    if not (folder / config.FILE).exists():
        config.create(folder, case.task)
    with Session(folder) as session:
        if not session.store.examples:
            rows = [*case.written, *case.held_out]
            session.import_rows(rows, "written", [f"bench{number:03}" for number in range(1, len(rows) + 1)])
        for uid in list(session.store.pending):  # of a batch that was not finished
            session.decide(uid, "skip")
        async for _ in session.start_worker():
            pass
        try:
            while time.monotonic() < end and (done := decided(session)) < ROUNDS * COUNT:
                made = [info.name for run in session.registry.runs() if run.status == "done" for info in run.checkpoints]
                if not made:
                    async for _ in session.retrain(session.plan(epochs=EPOCHS, seed=seed)):
                        pass
                else:
                    await sample(session, case, 10_000 * seed + done, made[-2 if done < YOUNGER * COUNT else -1])
        finally:
            await session.stop_worker()


def decided(session: Session) -> int:
    """Candidates accepted or rejected so far."""
    return sum(decision.verdict != "skip" for decision in session.store.decisions.values())


async def sample(session: Session, case: Case, seed: int, checkpoint: str) -> None:
    """One round, judged against the examples as they are, in the order of arrival."""
    cut = cases.token_ends()
    most = 2 * max(len(cut(text)) for text, _ in case.written)
    options = {"seed": seed, "checkpoint": checkpoint, "max_tokens": most, "batch": COUNT}
    made = [event async for event in session.sample(COUNT, {}, **options) if isinstance(event, Candidate)]
    free = session.store.batches[made[0].batch].free
    tries = [Try(c.text, c.fields, c.finish == "stop" and "began a new heading" not in c.flags, free) for c in made]
    judged = cases.assess(case, tries, list(session.store.texts().values()), cut)
    for candidate, verdict in zip(made, judged, strict=True):
        session.decide(candidate.uid, "reject" if verdict.failed else "accept")
    good = sum(not verdict.failed for verdict in judged)
    print(f"{checkpoint}: {good} of {COUNT} accepted, {decided(session)} decided", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=cases.SOURCES, default="checks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--budget", type=float, default=200, help="seconds after which no other step is begun")
    args = parser.parse_args()
    asyncio.run(play(args.out, cases.load(args.task), args.seed, args.budget))


if __name__ == "__main__":
    main()
