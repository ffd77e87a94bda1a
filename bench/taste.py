"""What taste is worth, on the starter: `python -m bench.taste play FOLDER --task checks` plays one task, `... table FOLDER...` prints.

16 written rows are trained on, 48 candidates sampled and decided by the judge of the evening bench. Then, for the prompts of rows that
nothing was trained on, with the same seeds: that checkpoint (sft), a retrain with the accepted rows (retrain), and both after taste.
A folder keeps what is done, so that a play may be taken up again, or a lane added with other values.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from bench import cases
from bench.cases import Case, Try
from bench.results import Judged, Lane
from core import config
from core.protocol import Candidate as Arrived
from core.protocol import Trained
from core.text import clean_text
from dataset.rows import Candidate
from tui.session.planning import Plan
from tui.session.session import Session
from tui.session.taste import plan_taste, tell

WRITTEN = 16
DECIDED = 48
PROMPTS, LOOKS = 16, 3
"""Lanes are compared on 48 candidates: three for each of 16 prompts."""
LANES = ("sft", "retrain", "sft+taste", "retrain+taste")
FILE = "taste.json"
NEW_HEADING = "began a new heading"


class Tasted(Lane, frozen=True, kw_only=True):
    """A lane: the checkpoint that is active after it, and why that one. Without texts it was trained, but not looked at yet."""

    checkpoint: str
    why: str = ""
    pairs: str = ""


class Play(msgspec.Struct, frozen=True):
    """One task with one seed."""

    task: str
    seed: int
    decided: list[Judged] = []
    lanes: dict[str, Tasted] = {}


def divided(name: str) -> Case:
    """A task of the evening bench with this bench's own division of its rows."""
    case = cases.load(name)
    rows = case.written + case.held_out
    return replace(case, written=rows[:WRITTEN], held_out=rows[WRITTEN:])


class Player:
    """Plays one task in a session whose worker has started; what was found is written after each lane."""

    def __init__(self, session: Session, case: Case, play: Play) -> None:
        self.session, self.case, self.play = session, case, play
        self.cut = cases.token_ends()
        self.max_tokens = 2 * max(len(self.cut(text)) for text, _ in case.written)

    def keep(self, **changes: object) -> None:
        self.play = msgspec.structs.replace(self.play, **changes)
        (self.session.folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(self.play)))

    async def decide(self) -> None:
        """What a person would do with candidates as the session draws them, by the judge's rule."""
        options = {"max_tokens": self.max_tokens, "seed": 1000 * self.play.seed, "batch": 16, "invent": 0.0}
        found = [event async for event in self.session.sample(DECIDED, {}, **options) if isinstance(event, Candidate)]
        found.sort(key=lambda candidate: candidate.seed)
        tries = [Try(c.text, c.fields, c.finish == "stop" and NEW_HEADING not in c.flags, [*c.fields.values()]) for c in found]
        judged = self.assess(tries)
        for candidate, verdict in zip(found, judged, strict=True):
            self.session.decide(candidate.uid, "reject" if verdict.failed else "accept")
        self.keep(decided=judged)
        announce("decided", Lane(texts=judged))

    def assess(self, tries: Sequence[Try]) -> list[Judged]:
        return cases.assess(self.case, tries, list(self.session.store.texts().values()), self.cut)

    async def train(self, name: str, plan: Plan) -> None:
        """Carry a plan out and keep what it led to."""
        began, why = time.perf_counter(), ""
        async for event in self.session.retrain(plan):
            if isinstance(event, Trained):
                why = f"{event.why} {event.stopped}".strip()
        checkpoint = self.session.registry.current()
        loss = (await self.session.evaluate(self.case.measured, checkpoint)).loss
        pairs = tell(plan.pairs) if plan.pairs else ""
        lane = Tasted(texts=[], held_out=loss, seconds={"train": time.perf_counter() - began}, checkpoint=checkpoint, why=why, pairs=pairs)
        self.put(name, lane)

    def put(self, name: str, lane: Tasted) -> None:
        self.keep(lanes={**self.play.lanes, name: lane})
        announce(name, lane)

    async def look(self, name: str) -> None:
        """What the judge says of candidates for the unseen prompts, with the same seeds for every lane."""
        lane, began = self.play.lanes[name], time.perf_counter()
        worker, task, folder = self.session.worker, self.session.task, self.session.registry.checkpoint_folder(lane.checkpoint)
        assert worker
        settings = msgspec.structs.replace(self.session.settings.sampling, max_tokens=self.max_tokens)
        prompts = [fields for _, fields in self.case.held_out[:PROMPTS]]
        examples = list(self.session.store.texts().values())
        tries: list[Try] = []
        for number in range(LOOKS):
            seeds = [10_000 * self.play.seed + 100 * number + at for at in range(len(prompts))]
            free = sorted({value for fields in prompts for value in fields.values()})
            made: dict[int, Try] = {}
            async for event in worker.sample(folder, [task.segments(fields) for fields in prompts], seeds, settings, examples, free):
                if isinstance(event, Arrived):
                    fields = prompts[event.index]
                    ended = event.finish == "stop" and not event.cut_at_heading
                    made[event.index] = Try(clean_text(event.text), fields, ended, [*fields.values()])
            tries += [made[at] for at in range(len(prompts))]
        spent = {**lane.seconds, "sample": time.perf_counter() - began}
        self.put(name, msgspec.structs.replace(lane, texts=self.assess(tries), seconds=spent))

    def steps(self, lanes: Sequence[str], label: str) -> Iterator[Callable[[], Awaitable[None]]]:
        """What is left to do, in parts that can be taken up again."""
        session, seed = self.session, self.play.seed
        for lane in lanes:
            name = lane + label * lane.endswith("taste")
            if name not in self.play.lanes:
                if lane == "sft":
                    yield lambda: self.train("sft", session.plan(seed=seed))
                else:
                    session.registry.use(self.play.lanes["retrain" if lane.startswith("retrain+") else "sft"].checkpoint)
                    plan = plan_taste(session, seed) if lane.endswith("taste") else session.plan(seed=seed)
                    yield functools.partial(self.train, name, plan)
            if not self.play.decided:
                session.registry.use(self.play.lanes["sft"].checkpoint)
                yield self.decide
            if not self.play.lanes[name].texts:
                yield functools.partial(self.look, name)


def announce(name: str, lane: Lane) -> None:
    parts = " ".join(f"{key} {share:.0%}" for key, share in lane.passes().items())
    loss = "" if lane.held_out is None else f", held-out loss {lane.held_out:.3f}"
    spent = ", ".join(f"{key} {seconds:.0f} s" for key, seconds in lane.seconds.items())
    about = f"; {lane.checkpoint}, {lane.why}; {lane.pairs}" if isinstance(lane, Tasted) else ""
    print(f"{name}: {lane.accepted} of {len(lane.texts)} ({parts}), ended {lane.stop_rate:.0%}{loss}; {spent}{about}", flush=True)


async def play(folder: Path, task: str, seed: int, lanes: Sequence[str], changes: dict[str, float], label: str, budget: float) -> bool:
    """Play what is not done yet, and begin nothing more after `budget` seconds. Whether all is done."""
    began = time.perf_counter()
    case, path = divided(task), folder / FILE
    if not (folder / config.FILE).exists():
        config.create(folder, case.task)
    with Session(folder) as session:
        training = msgspec.structs.replace(session.settings.training, taste=True, **changes)
        session.settings = msgspec.structs.replace(session.settings, training=training)
        if not session.store.examples:
            session.import_rows(case.written, "written", [f"bench{number:03}" for number in range(1, WRITTEN + 1)])
        async for _ in session.start_worker():
            pass
        try:
            player = Player(session, case, msgspec.json.decode(path.read_bytes(), type=Play) if path.exists() else Play(task, seed))
            for step in player.steps(lanes, label):
                if time.perf_counter() - began > budget:
                    return False
                await step()
            return True
        finally:
            await session.stop_worker()


def wilson(hits: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    share = hits / total
    middle, width = share + z * z / (2 * total), z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (middle - width) / (1 + z * z / total), (middle + width) / (1 + z * z / total)


def table(folders: Sequence[Path]) -> None:
    """All lanes of all plays, and the two tasks together; `gained` compares each taste with what it started from, text by text."""
    plays = [msgspec.json.decode((folder / FILE).read_bytes(), type=Play) for folder in folders]
    print(
        "| task, seed | lane | accepted | 95 % | gained, lost | ended | held-out loss | seconds | |\n|---|---|---|---|---|---|---|---|---|"
    )
    for each in plays:
        for name, lane in each.lanes.items():
            print(row(f"{each.task}, {each.seed}", name, [(lane, each.lanes.get(name.split("+")[0]))]))
    for name in dict.fromkeys(name for each in plays for name in each.lanes):
        print(row("all", name, [(each.lanes[name], each.lanes.get(name.split("+")[0])) for each in plays if name in each.lanes]))


def row(task: str, name: str, lanes: Sequence[tuple[Tasted, Tasted | None]]) -> str:
    hits, total = sum(lane.accepted for lane, _ in lanes), sum(len(lane.texts) for lane, _ in lanes)
    low, high = wilson(hits, total)
    pairs = [
        (not a.failed, not b.failed) for lane, start in lanes if start and "+" in name for a, b in zip(lane.texts, start.texts, strict=True)
    ]
    gained = f"+{sum(a and not b for a, b in pairs)} -{sum(b and not a for a, b in pairs)}" if pairs else ""
    ended = sum(lane.stop_rate * len(lane.texts) for lane, _ in lanes) / total
    loss = sum(lane.held_out or 0.0 for lane, _ in lanes) / len(lanes)
    spent = sum(lane.seconds["train"] for lane, _ in lanes) / len(lanes)
    why = lanes[0][0].why if len(lanes) == 1 and "refused" in lanes[0][0].why else ""
    return f"| {task} | {name} | {hits}/{total} {hits / total:.0%} | {low:.0%} to {high:.0%} | {gained} | {ended:.0%} | {loss:.3f} | {spent:.0f} | {why} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["play", "table"])
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--task", choices=cases.SOURCES, default="checks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", nargs="+", choices=LANES, default=LANES)
    parser.add_argument("--rate", type=float, help="taste_rate")
    parser.add_argument("--beta", type=float, help="taste_beta")
    parser.add_argument("--label", default="", help="added to the names of the lanes with taste")
    parser.add_argument(
        "--budget", type=float, default=math.inf, help="seconds after which no further lane is begun; exits with 3 if some are left"
    )
    args = parser.parse_args()
    if args.what == "table":
        table(args.folders)
        return
    changes = {name: value for name, value in (("taste_rate", args.rate), ("taste_beta", args.beta)) if value is not None}
    if not asyncio.run(play(args.folders[0], args.task, args.seed, args.lanes, changes, args.label, args.budget)):
        raise SystemExit(3)


if __name__ == "__main__":
    main()
