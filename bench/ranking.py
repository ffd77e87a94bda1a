"""What the ranking is worth without a person: real candidates, decided by the bench's judge, and the accept rate at the top of the order.

`python -m bench.ranking --task checks --seed 1 --out FILE` samples and decides; `python -m bench.ranking --table FILE...` prints what
the order was worth in each, and over all.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

import msgspec

from bench import cases
from bench.cases import Case, Try
from core import config
from core.protocol import Sampled
from dataset.rows import Candidate
from tui.session import Session

COUNT = 24
FIRST = 8
ROUNDS = 4
EPOCHS = 2
TOP_UP_AFTER = 2
"""Rounds after which the accepted texts are trained on: the predictor then meets a checkpoint that it has not learned from."""


class Decided(msgspec.Struct, frozen=True):
    """A candidate as the judge left it; `failed` names the criteria that it does not meet."""

    uid: str
    text: str
    fields: dict[str, str]
    flags: list[str]
    finish: str
    signs: list[float]
    failed: list[str]


class Round(msgspec.Struct, frozen=True):
    """The candidates in the order in which they arrived, the ids in the order of the ranking, and the examples as they were."""

    checkpoint: str
    candidates: list[Decided]
    order: list[str]
    learned: bool
    examples: list[str]
    seconds: float


class Evening(msgspec.Struct, frozen=True):
    task: str
    seed: int
    rounds: list[Round]


async def play(folder: Path, case: Case, seed: int) -> Evening:
    """Rounds of sampling and deciding, in arrival order, in a fresh workspace with the rows that people wrote."""
    config.create(folder, case.task)
    cut = cases.token_ends()
    most = 2 * max(len(cut(text)) for text, _ in case.written)
    rounds: list[Round] = []
    with Session(folder) as session:
        session.import_rows(case.written, "written", [f"bench{number:03}" for number in range(1, len(case.written) + 1)])
        async for _ in session.start_worker():
            pass
        try:
            for number in range(ROUNDS):
                if number in (0, TOP_UP_AFTER):
                    plan = session.plan(epochs=EPOCHS if number == 0 else 1, seed=100 * seed + number)
                    async for _ in session.retrain(plan):
                        pass
                rounds.append(await _round(session, case, 10_000 * seed + 100 * number, most))
                accepted = sum(not each.failed for each in rounds[-1].candidates)
                print(f"round {number + 1}: {accepted} of {COUNT} accepted, {rounds[-1].seconds:.0f} s", flush=True)
        finally:
            await session.stop_worker()
    return Evening(case.name, seed, rounds)


async def _round(session: Session, case: Case, seed: int, most: int) -> Round:
    seconds = 0.0
    made: list[Candidate] = []
    async for event in session.sample(COUNT, {}, seed=seed, max_tokens=most):
        if isinstance(event, Candidate):
            made.append(event)
        elif isinstance(event, Sampled):
            seconds += event.seconds
    examples = list(session.store.texts().values())
    order = [candidate.uid for candidate in session.ranked(made)]
    learned = session.ranking.predictor.learned
    tries = [
        Try(c.text, c.fields, c.finish == "stop" and "began a new heading" not in c.flags, session.store.batches[c.batch].free)
        for c in made
    ]
    judged = cases.assess(case, tries, examples, cases.token_ends())
    for candidate, verdict in zip(made, judged, strict=True):
        session.decide(candidate.uid, "reject" if verdict.failed else "accept")
    decided = [
        Decided(c.uid, c.text, c.fields, c.flags, c.finish, c.signs, verdict.failed) for c, verdict in zip(made, judged, strict=True)
    ]
    return Round(session.registry.current(), decided, order, learned, examples, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=cases.SOURCES, default="checks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        evening = asyncio.run(play(Path(scratch) / "evening", cases.load(args.task), args.seed))
    args.out.write_bytes(msgspec.json.encode(evening))


if __name__ == "__main__":
    main()
