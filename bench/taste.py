"""What taste is worth, on the starter: `python -m bench.taste --task checks --seed 1 --at FOLDER` plays one task, `--table FOLDER...` prints.

16 written rows are trained on, 48 candidates sampled and decided by the judge of the evening bench. Then, on prompts of rows that nothing
was trained on, with the same seeds: (a) that checkpoint, (b) its top-up with the accepted rows, (c) a + taste, (d) b + taste.
Each lane is kept in the folder as it ends, so that a run may be stopped and taken up again.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench import cases
from bench.cases import Case, Try
from bench.results import Lane
from core import config
from core.protocol import Candidate as Arrived
from core.protocol import Trained
from core.text import clean
from dataset.rows import Candidate
from tui.session import Session

WRITTEN = 16
DECIDED = 48
LOOKS = 3
"""Candidates for each of the prompts that are compared on."""
FILE = "taste.json"


class Tasted(Lane, frozen=True, kw_only=True):
    """A lane: its checkpoint, and why that one."""

    checkpoint: str
    why: str = ""
    pairs: int = 0


class Play(msgspec.Struct, frozen=True):
    """One task with one seed."""

    task: str
    seed: int
    decided: int = 0
    accepted: int = 0
    lanes: dict[str, Tasted] = {}


def load_case(name: str) -> Case:
    """The task with the bench's own division: 16 rows written, the others for prompts and held-out loss."""
    case = cases.load(name)
    rows = case.written + case.held_out
    return msgspec_free(case, rows)


def msgspec_free(case: Case, rows: list) -> Case:
    from dataclasses import replace

    return replace(case, written=rows[:WRITTEN], held_out=rows[WRITTEN:])


class Bench:
    """Plays one task in a session whose worker has started; what was found is written after each lane."""

    def __init__(self, session: Session, case: Case, seed: int) -> None:
        self.session, self.case, self.seed = session, case, seed
        self.cut = cases.token_ends()
        self.max_tokens = 2 * max(len(self.cut(text)) for text, _ in case.written)
        path = session.workspace / FILE
        self.play = msgspec.json.decode(path.read_bytes(), type=Play) if path.exists() else Play(case.name, seed)

    def keep(self, **changes: object) -> None:
        self.play = msgspec.structs.replace(self.play, **changes)
        (self.session.workspace / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(self.play)))

    async def train(self, lane: str, plan: object) -> tuple[str, float, str]:
        began = time.perf_counter()
        why = ""
        async for event in self.session.retrain(plan):
            if isinstance(event, Trained):
                why = f"{event.why} {event.stopped}".strip()
        print(f"{lane}: {self.session.registry.current()}, {why}", flush=True)
        return self.session.registry.current(), time.perf_counter() - began, why

    async def decide(self) -> None:
        """48 candidates as the session draws them, decided by the judge."""
        options = {"max_tokens": self.max_tokens, "seed": 1000 * self.seed}
        found = [event async for event in self.session.sample(DECIDED, {}, **options) if isinstance(event, Candidate)]
        found.sort(key=lambda candidate: candidate.seed)
        tries = [Try(c.text, c.fields, c.finish == "stop" and "began a new heading" not in c.flags, list(c.fields.values())) for c in found]
        judged = cases.assess(self.case, tries, list(self.session.store.texts().values()), self.cut)
        for candidate, verdict in zip(found, judged, strict=True):
            self.session.decide(candidate.uid, "reject" if verdict.failed else "accept")
        self.keep(decided=len(found), accepted=sum(not verdict.failed for verdict in judged))
        lane = Lane(texts=judged)
        print(f"decided: {lane.accepted} of {len(judged)} accepted, {lane.passes()}", flush=True)

    async def look(self, checkpoint: str) -> tuple[list, float]:
        """What the judge says of candidates for the unseen prompts."""
        session, worker = self.session, self.session.worker
        assert worker
        settings = msgspec.structs.replace(session.settings.sampling, max_tokens=self.max_tokens)
        fields = [values for values in (row[1] for row in self.case.held_out) for _ in range(LOOKS)]
        examples = list(session.store.texts().values())
        tries: list[Try] = []
        began = time.perf_counter()
        for start in range(0, len(fields), settings.batch):
            part = fields[start : start + settings.batch]
            seeds = [100_000 * self.seed + start + at for at in range(len(part))]
            free = sorted({value for values in part for value in values.values()})
            made: dict[int, Try] = {}
            folder = session.registry.checkpoint_folder(checkpoint)
            async for event in worker.sample(folder, [session.task.segments(v) for v in part], seeds, settings, examples, free):
                if isinstance(event, Arrived):
                    ended = event.finish == "stop" and not event.cut_at_heading
                    made[event.index] = Try(clean(event.text).strip(), part[event.index], ended, list(part[event.index].values()))
            tries += [made[at] for at in range(len(part))]
        spent = time.perf_counter() - began
        return cases.assess(self.case, tries, examples, self.cut), spent

    async def lane(self, name: str, checkpoint: str, seconds: float, why: str, pairs: int = 0) -> None:
        judged, spent = await self.look(checkpoint)
        loss = (await self.session.evaluate(self.case.measured, checkpoint)).loss
        lane = Tasted(texts=judged, held_out=loss, seconds={"train": seconds, "sample": spent}, checkpoint=checkpoint, why=why, pairs=pairs)
        self.keep(lanes={**self.play.lanes, name: lane})
        print(
            f"{name}: {lane.accepted} of {len(judged)}, stop {lane.stop_rate:.0%}, held-out {loss:.3f}, {seconds:.0f} + {spent:.0f} s, "
            + " ".join(f"{key} {share:.0%}" for key, share in lane.passes().items()),
            flush=True,
        )


async def run(folder: Path, task: str, seed: int, wanted: Sequence[str]) -> None:
    case = load_case(task)
    if not (folder / config.FILE).exists():
        config.create(folder, case.task)
    with Session(folder) as session:
        bench = Bench(session, case, seed)
        if not session.store.examples:
            session.import_rows(case.written, "written", [f"bench{number:03}" for number in range(1, WRITTEN + 1)])
        async for _ in session.start_worker():
            pass
        try:
            if not session.registry.names():
                checkpoint, seconds, why = await bench.train("sft", session.plan(fresh=True, seed=seed))
            else:
                checkpoint, seconds, why = "0001/epoch-05", 0.0, ""
                checkpoint = session.registry.run("0001").result.checkpoint
                session.registry.use(checkpoint)
            if not bench.play.decided:
                await bench.decide()
            if "sft" in wanted and "sft" not in bench.play.lanes:
                await bench.lane("sft", checkpoint, seconds, why)
            if "topup" in wanted and "topup" not in bench.play.lanes:
                session.registry.use(checkpoint)
                done = await bench.train("topup", session.plan(seed=seed))
                await bench.lane("topup", *done)
        finally:
            await session.stop_worker()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=cases.SOURCES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at", type=Path)
    parser.add_argument("--lanes", nargs="+", default=["sft", "topup"])
    args = parser.parse_args()
    asyncio.run(run(args.at, args.task, args.seed, args.lanes))


if __name__ == "__main__":
    main()
