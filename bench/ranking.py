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
TOP_UP = 2
"""Rounds before the accepted texts are trained on: then the predictor meets a checkpoint that it has not learned from."""
EPOCHS = 2
BATCH = 8


async def play(folder: Path, case: Case, seed: int, budget: float) -> None:
    """Train, and sample and decide in the order of arrival, batch by batch; stop when `budget` seconds are over, or all is done."""
    end = time.monotonic() + budget
    if not (folder / config.FILE).exists():
        config.create(folder, case.task)
    with Session(folder) as session:
        if not session.store.examples:
            session.import_rows(case.written, "written", [f"bench{number:03}" for number in range(1, len(case.written) + 1)])
        for uid in list(session.store.pending):  # of a batch that was not finished
            session.decide(uid, "skip")
        async for _ in session.start_worker():
            pass
        try:
            while time.monotonic() < end and (done := decided(session)) < ROUNDS * COUNT:
                trained = len([run for run in session.registry.runs() if run.status == "done"])
                if trained <= done // (TOP_UP * COUNT):
                    await train(session, trained, seed)
                else:
                    await sample(session, case, 10_000 * seed + done)
        finally:
            await session.stop_worker()


def decided(session: Session) -> int:
    """Candidates accepted or rejected so far."""
    return sum(decision.verdict != "skip" for decision in session.store.decisions.values())


async def train(session: Session, number: int, seed: int) -> None:
    async for _ in session.retrain(session.plan(epochs=1 if number else EPOCHS, seed=100 * seed + number)):
        pass
    print(session.registry.current(), flush=True)


async def sample(session: Session, case: Case, seed: int) -> None:
    """One batch, judged against the examples as they are, in the order of arrival."""
    cut = cases.token_ends()
    most = 2 * max(len(cut(text)) for text, _ in case.written)
    made = [event async for event in session.sample(BATCH, {}, seed=seed, max_tokens=most) if isinstance(event, Candidate)]
    free = session.store.batches[made[0].batch].free
    tries = [Try(c.text, c.fields, c.finish == "stop" and "began a new heading" not in c.flags, free) for c in made]
    verdicts = [not judged.failed for judged in cases.assess(case, tries, list(session.store.texts().values()), cut)]
    for candidate, good in zip(made, verdicts, strict=True):
        session.decide(candidate.uid, "accept" if good else "reject")
    print(f"{sum(verdicts)} of {BATCH} accepted, {decided(session)} decided", flush=True)


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
