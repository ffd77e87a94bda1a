"""A whole evening without a person: twelve written rows, then rounds of retrain, sample, decide, add, with a rule for a judge.

`python -m bench.evening --task empires --seed 1 --out FILE` runs one; `--peers FILE...` adds other tools' defaults to the files;
`--table FILE...` writes `docs/evening.md` and `docs/evening.svg`; `--ceiling` judges the held-out written rows.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench import cases, page, peers, results
from bench.cases import Case, Try
from bench.results import Evening, Given, Judged, Lane, Round
from core import config
from core.config import Sampling
from core.protocol import Evaluated, Row
from core.runfiles import BASE
from dataset.rows import Candidate
from tui.session.session import Session
from tui.session.shown import few_shot

MOST_ROWS = 50
"""No more rows are added from here on; the rounds go on."""
SECOND = 50
"""From the seeds of a round's candidates to those of the others that are sampled with them."""
NEW_HEADING = "began a new heading"
"""A candidate with this flag did not end by itself."""


def show_order(session: Session, candidates: Sequence[Candidate]) -> list[str]:
    """The candidates' ids in the order in which the session would show them, by what was decided so far."""
    return [candidate.uid for candidate in session.ranked(candidates)]


def announce(name: str, lane: Lane) -> None:
    """One line for a round or a peer, as it ends."""
    parts = ", ".join(f"{criterion} {share:.0%}" for criterion, share in lane.passes().items())
    loss = "" if lane.held_out is None else f", held-out loss {lane.held_out:.3f}"
    of_all = f", {lane.sampled.accept_rate:.0%} of all sampled" if isinstance(lane, Round) and lane.over else ""
    spent = ", ".join(f"{what} {seconds:.0f} s" for what, seconds in lane.seconds.items())
    print(
        f"{name}: accepted {lane.accepted} of {len(lane.texts)}{of_all} ({parts}), ended by itself {lane.stop_rate:.0%}{loss}, "
        f"longest copy {lane.longest_copy} tokens; {spent}",
        flush=True,
    )


class Player:
    """Plays one evening in a session whose worker has started."""

    def __init__(self, session: Session, case: Case, seed: int, count: int) -> None:
        self.session = session
        self.case = case
        self.seed = seed
        self.count = count
        self.cut = cases.token_ends()
        self.max_tokens = 2 * max(len(self.cut(text)) for text, _ in case.written)
        """About twice the longest row: a text that never ends costs no more."""
        self.rounds: list[Round] = []
        self.sets: list[Given] = []
        self.few_shot: Lane | None = None
        self._trained_on = 0

    async def sample(self, number: int, count: int | None = None, after: int = 0, **changes: Any) -> tuple[list[Candidate], float]:
        """The round's candidates (as many as a person decides on, or `count`) in the order of their seeds, and the seconds they took."""
        began = time.perf_counter()
        seed = 10_000 * self.seed + 500 * number + after
        options = {"max_tokens": self.max_tokens, "seed": seed, **changes}
        found = [
            event
            async for event in self.session.sample(self.count if count is None else count, {}, **options)
            if isinstance(event, Candidate)
        ]
        return sorted(found, key=lambda candidate: candidate.seed), time.perf_counter() - began

    def assess(self, candidates: Sequence[Candidate]) -> list[Judged]:
        """What the judge says of candidates, against the examples as they stand."""
        examples = list(self.session.store.texts().values())
        batches = self.session.store.batches
        tries = [Try(c.text, c.fields, c.finish == "stop" and NEW_HEADING not in c.flags, batches[c.batch].free) for c in candidates]
        return cases.assess(self.case, tries, examples, self.cut)

    async def loss(self, checkpoint: str) -> float:
        return (await self.session.evaluate(self.case.measured, checkpoint)).loss

    async def reference(self) -> None:
        """Round 0: the base with the heading and the fields alone."""
        candidates, seconds = await self.sample(0, checkpoint=BASE, few_shot=0)
        judged = self.assess(candidates)
        self.skip(candidates)
        loss = await self.loss(BASE)
        self.rounds.append(Round(number=0, checkpoint=BASE, rows=0, texts=judged, held_out=loss, seconds={"sample": seconds}))

    async def play(self, number: int, last: bool) -> None:
        """One round of ours. The last one also gives its prompts to the base with examples in the prompt."""
        seconds, epochs = await self.retrain(number)
        checkpoint = self.session.registry.current()
        rows = self._trained_on
        candidates, seconds["sample"] = await self.sample(number)
        loss = epochs[checkpoint] if checkpoint in epochs else await self.loss(checkpoint)
        if number == 1 or last:
            self.sets.append(self.keep(number, candidates))
        if last:
            await self.play_few_shot(number)
        shown, over, more = await self.choose(number, candidates)
        seconds["sample"] += more
        first, by_chance = self.ordered([*shown, *over])
        both = self.assess([*shown, *over])
        judged, passed = both[: len(shown)], both[len(shown) :]
        self.skip(over)
        self.decide(shown, judged)
        self.rounds.append(
            Round(number=number, checkpoint=checkpoint, rows=rows, texts=judged, over=passed, held_out=loss, seconds=seconds, epochs=epochs,
                  first=first, by_chance=by_chance)
        )  # fmt: skip

    def ordered(self, sampled: Sequence[Candidate]) -> tuple[int, float]:
        """What stands first in the session's order of each group of `count`, and what any order would have there: accepted ones."""
        in_turn = sorted(sampled, key=lambda candidate: candidate.seed)
        first, by_chance = 0, 0.0
        for start in range(0, len(in_turn), self.count):
            group = in_turn[start : start + self.count]
            judged = self.assess(group)
            first += among_first(show_order(self.session, group), group, judged)
            by_chance += sum(not each.failed for each in judged) * min(1.0, page.FIRST / len(group))
        return first, by_chance

    async def choose(self, number: int, candidates: list[Candidate]) -> tuple[list[Candidate], list[Candidate], float]:
        """What a person would be shown of the round's candidates and of as many more as the program samples; what it passes over; and the
        seconds for the others."""
        session = self.session
        count = (session.settings.sampling.oversample - 1) * self.count
        if not count:
            return candidates, [], 0.0
        more, seconds = await self.sample(number, count, SECOND)
        sampled = [*candidates, *more]
        gone = {candidate.uid for candidate in session.ranking.surplus(sampled, len(more))}
        return [c for c in sampled if c.uid not in gone], [c for c in sampled if c.uid in gone], seconds

    async def retrain(self, number: int) -> tuple[dict[str, float], dict[str, float]]:
        """What `t` does, where there are new rows, or `T`, where the program advises it. The seconds it took, and the bench's own loss
        after each of its epochs."""
        if len(self.session.store.examples) == self._trained_on:
            return {}, {}
        self._trained_on = len(self.session.store.examples)
        began = time.perf_counter()
        plan = self.session.plan(seed=100 * self.seed + number)
        if plan.advice:
            plan = self.session.plan(fresh=True, seed=100 * self.seed + number)
        async for _ in self.session.retrain(plan):
            pass
        trained = time.perf_counter()
        registry = self.session.registry
        epochs = {info.name: await self.loss(info.name) for info in registry.run(registry.names()[-1]).checkpoints}
        return {"train": trained - began, "measure": time.perf_counter() - trained}, epochs

    async def play_few_shot(self, number: int) -> None:
        """The base, shown some of the written rows, on the same prompts and seeds (an example's values where ours were made up); its
        loss with the same examples before every row."""
        candidates, seconds = await self.sample(number, checkpoint=BASE)
        judged = self.assess(candidates)
        self.skip(candidates)
        session, worker = self.session, self.session.worker
        assert worker
        shown = few_shot(self.case.task, list(session.store.examples.values()), session.settings.sampling.few_shot, self.seed)
        rows = [Row(str(at), shown + self.case.task.segments(fields), text) for at, (text, fields) in enumerate(self.case.measured)]
        events = [event async for event in worker.evaluate(None, rows, session.settings.training.max_tokens)]
        loss = next(event.loss for event in events if isinstance(event, Evaluated))
        self.few_shot = Lane(texts=judged, held_out=loss, seconds={"sample": seconds})
        announce("the base, shown examples", self.few_shot)

    def keep(self, number: int, candidates: Sequence[Candidate]) -> Given:
        """This round's try, for the peers. Call before its decisions."""
        batches = {c.batch: self.session.store.batches[c.batch] for c in candidates}
        task = self.case.task
        return Given(
            number,
            [Row(uid, task.segments(e.fields), e.text, origin=e.origin) for uid, e in self.session.store.examples.items()],
            [[task.segments(c.fields) for c in candidates if c.batch == uid] for uid in batches],  # without what ours is shown
            [batch.seeds for batch in batches.values()],
            [[c.fields for c in candidates if c.batch == uid] for uid in batches],
            [batch.free for batch in batches.values()],
        )

    def decide(self, candidates: Sequence[Candidate], judged: Sequence[Judged]) -> None:
        """Accept and reject as the judge says; what would be a row too many is skipped."""
        for candidate, verdict in zip(candidates, judged, strict=True):
            room = len(self.session.store.examples) < MOST_ROWS
            self.session.decide(candidate.uid, "reject" if verdict.failed else "accept" if room else "skip")

    def skip(self, candidates: Sequence[Candidate]) -> None:
        """These were only looked at."""
        for candidate in candidates:
            self.session.decide(candidate.uid, "skip")


def among_first(order: Sequence[str], candidates: Sequence[Candidate], judged: Sequence[Judged]) -> int:
    """How many of the first `page.FIRST` in this order are accepted."""
    accepted = {candidate.uid for candidate, verdict in zip(candidates, judged, strict=True) if not verdict.failed}
    return sum(uid in accepted for uid in order[: page.FIRST])


async def evening(folder: Path, name: str, rounds: int, seed: int, count: int, changes: dict[str, str], topup: bool) -> Evening:
    """Play one task with one seed in a fresh workspace, with these sampling settings changed; with `topup`, runs go on from the active
    checkpoint however few the rows are."""
    case = cases.load(name)
    config.create(folder, case.task)
    with Session(folder) as session:
        sampling = msgspec.convert(msgspec.to_builtins(session.settings.sampling) | changes, Sampling, strict=False)
        training = msgspec.structs.replace(session.settings.training, **({"topup_from": 0} if topup else {}))
        session.settings = msgspec.structs.replace(session.settings, sampling=sampling, training=training)
        session.import_rows(case.written, "written", [f"bench{number:03}" for number in range(1, len(case.written) + 1)])
        async for _ in session.start_worker():
            pass
        try:
            player = Player(session, case, seed, count)
            await player.reference()
            announce("round 0", player.rounds[0])
            for number in range(1, rounds + 1):
                await player.play(number, number == rounds)
                announce(f"round {number}", player.rounds[-1])
            best, swapped = cases.ceiling(case, player.cut)
            settings = msgspec.structs.replace(session.settings.sampling, max_tokens=player.max_tokens)
            run = session.registry.run(session.registry.names()[-1])
            machine = f"{session.loaded.device if session.loaded else ''}, {os.cpu_count()} cores"
            return Evening(
                name, seed, machine, best, swapped, player.rounds, player.few_shot,
                player.sets, settings, versions=run.spec.versions if run.spec else {},
            )  # fmt: skip
        finally:
            await session.stop_worker()


def add_peers(path: Path, tools: Sequence[str], budget: float) -> None:
    """Run other tools' defaults on the rows, prompts and seeds that a file holds, and write it again after each."""
    found = results.read(path)
    case = cases.load(found.task)
    for given in found.sets:
        for tool in tools:
            done = peers.run(tool, given, case, found, budget)
            announce(f"{found.task}, {tool} on {len(given.rows)} rows, {done.steps} of {done.planned} updates", done)
            kept = [peer for peer in found.peers if (peer.tool, peer.after) != (tool, given.after)]
            found = msgspec.structs.replace(found, peers=[*kept, done])
            results.write(path, found)


def show_ceiling() -> None:
    """How many of the held-out written rows pass, and what the judge can tell."""
    for name in cases.SOURCES:
        case = cases.load(name)
        own, others = cases.ceiling(case, cases.token_ends())
        print(f"{name}: {own:.0%} of {len(case.held_out)} held-out rows pass; attributes and subject of another row pass {others:.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--task", choices=cases.SOURCES)
    what.add_argument("--peers", nargs="+", type=Path, metavar="FILE")
    what.add_argument("--table", nargs="+", type=Path, metavar="FILE")
    what.add_argument("--ceiling", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=24, choices=range(1, SECOND + 1), metavar="N", help="candidates a round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--topup", action="store_true", help="runs of --task go on from the active checkpoint, however few the rows are")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="sampling settings of --task other than the defaults")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="the workspace of --task stays there")
    parser.add_argument("--out", type=Path, help="the JSON file of --task, or the folder of --table")
    parser.add_argument("--tools", nargs="+", choices=peers.RECIPES, default=list(peers.RECIPES))
    parser.add_argument("--budget", type=float, default=300, help="seconds of training for each peer")
    args = parser.parse_args()
    if args.ceiling:
        show_ceiling()
    elif args.table:
        page.write([results.read(path) for path in args.table], args.out or Path("docs"))
    elif args.peers:
        for path in args.peers:
            add_peers(path, args.tools, args.budget)
    else:
        out = args.out or Path(f"evening-{args.task}-{args.seed}.json")
        with tempfile.TemporaryDirectory() as scratch:
            at = args.keep or Path(scratch) / "evening"
            changes = dict(each.split("=", 1) for each in args.set)
            results.write(out, asyncio.run(evening(at, args.task, args.rounds, args.seed, args.count, changes, args.topup)))
        print(out)


if __name__ == "__main__":
    main()
