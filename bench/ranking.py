"""What the ranking is worth without a person: evenings that the bench's judge decided, put in order again, round by round.

`python -m bench.ranking [FILE...]` prints the accept rate at the top of the order against that of no order, from decisions recorded in
`bench/decided`; `python -m bench.ranking --record WORKSPACE FILE` records those of another evening (`bench.evening --keep`).
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.ranking.order import Item, Placed, arrange
from core.ranking.predictor import Predictor
from core.ranking.signs import NAMES, Arrival, Habits, Known, asked_for, content, signs
from core.text import words
from dataset.store import Store
from tui.session.ranking import LATELY

HERE = Path(__file__).parent / "decided"
COUNT, FIRST = 24, 8
REPEATS = 40
"""Orders of each round, by other ids: ids draw the random slots."""
RESAMPLES = 2000
TO_REACH = 1.25


class Decided(msgspec.Struct, frozen=True):
    """A candidate that was decided, and what cannot be told from its text."""

    text: str
    fields: dict[str, str]
    flags: list[str]
    finish: str
    copied: int
    own: float
    weakest: float
    checkpoint: str
    kept: bool


class Evening(msgspec.Struct, frozen=True):
    """The rows that were there at first, and the decisions in their order."""

    written: list[tuple[str, dict[str, str]]]
    decided: list[Decided]


@dataclass(frozen=True)
class Round:
    """Kept ones of `COUNT`, and of the first `FIRST` in the order: with its slots, and with every slot a ranked one; means over `REPEATS`."""

    checkpoint: str
    kept: int
    first: float
    bare: float
    learned: bool

    @property
    def by_chance(self) -> float:
        return self.kept * FIRST / COUNT


def record(workspace: Path) -> Evening:
    """An evening from the journal of the workspace in which it was played."""
    store = Store(workspace, read_only=True)
    at = {name: place for place, name in enumerate(NAMES)}
    found = []
    for decision in store.decisions.values():
        candidate = store.candidates[decision.candidate]
        if decision.verdict != "skip" and len(candidate.signs) == len(NAMES):
            copied, own, weakest = (candidate.signs[at[name]] for name in ("copied", "own", "weakest"))
            found.append(
                Decided(
                    candidate.text, candidate.fields, candidate.flags, candidate.finish, int(copied), own, weakest,
                    candidate.checkpoint, decision.verdict != "reject",
                )
            )  # fmt: skip
    return Evening([(e.text, e.fields) for e in store.examples.values() if e.origin in ("written", "imported")], found)


def rounds(evening: Evening) -> Iterator[Round]:
    """Each round ordered by what was decided in those before it."""
    rng = random.Random(0)
    examples = list(evening.written)
    past: list[tuple[Known, bool]] = []
    shown: list[frozenset[str]] = []
    for start in range(0, len(evening.decided) - COUNT + 1, COUNT):
        part = evening.decided[start : start + COUNT]
        habits = Habits(examples)
        known = [_known(each, habits) for each in part]
        contents = [content(words(each.text), habits.form) for each in part]
        predictor = Predictor(past)
        kept = sum(each.kept for each in part)
        tops = [[0, 0] for _ in range(REPEATS)]
        for top in tops:
            items = [Item(f"{rng.random()}", each, own) for each, own in zip(known, contents, strict=True)]
            good = {item.uid for item, each in zip(items, part, strict=True) if each.kept}
            top[0] = sum(place.uid in good for place in arrange(items, predictor, shown[-LATELY:], 0)[:FIRST])
            top[1] = sum(place.uid in good for place in _bare(items, predictor, shown[-LATELY:])[:FIRST])
        first, bare = (sum(column) / REPEATS for column in zip(*tops, strict=True))
        yield Round(part[0].checkpoint, kept, first, bare, predictor.learned)
        past += [(each, decided.kept) for each, decided in zip(known, part, strict=True)]
        shown += contents
        examples += [(decided.text, decided.fields) for decided in part if decided.kept]


def _known(of: Decided, habits: Habits) -> Known:
    arrival = Arrival(of.text, of.fields, of.flags, of.finish, of.copied, of.own, of.weakest)
    return Known(signs(arrival, habits), frozenset(words(of.text)), asked_for(of.fields))


def _bare(items: Sequence[Item], predictor: Predictor, shown: Sequence[frozenset[str]]) -> list[Placed]:
    """The order without its slots for learning, novelty and chance: what these cost."""
    return arrange(items, predictor, shown, 0, slots=("ranked",))


def ratio(found: Sequence[Round], bare: bool = False) -> tuple[float, float, float]:
    """How many times as many are kept at the top as by chance, with its nine-in-ten interval from resampled rounds."""

    def once(some: Iterable[Round]) -> float:
        some = list(some)
        by_chance = sum(each.by_chance for each in some)
        return sum(each.bare if bare else each.first for each in some) / by_chance if by_chance else 1.0

    rng = random.Random(0)
    drawn = sorted(once(rng.choices(found, k=len(found))) for _ in range(RESAMPLES))
    return once(found), drawn[RESAMPLES // 20], drawn[-1 - RESAMPLES // 20]


def table(paths: Sequence[Path]) -> str:
    """Every round, and the sums."""
    lines = [
        "| evening | round | checkpoint | kept of 24 | of 8 by chance | of the first 8 | without other slots | by |",
        "|---|" + "---|" * 7,
    ]
    found: list[Round] = []
    for path in paths:
        for number, each in enumerate(rounds(msgspec.json.decode(path.read_bytes(), type=Evening)), 1):
            found.append(each)
            lines.append(
                f"| {path.stem} | {number} | {each.checkpoint} | {each.kept} | {each.by_chance:.1f} | {each.first:.1f} | {each.bare:.1f} "
                f"| {'decisions' if each.learned else 'gauges'} |"
            )
    lines.append("")
    for name, some in (
        ("learned from decisions", [each for each in found if each.learned]),
        ("by gauges alone", [each for each in found if not each.learned]),
        ("all rounds", found),
    ):
        if some:
            best, low, high = ratio(some)
            bare = ratio(some, bare=True)[0]
            lines.append(
                f"{name}: {best:.2f} times as many as by chance ({low:.2f} to {high:.2f}) in {len(some)} rounds; {bare:.2f} without other slots"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, default=sorted(HERE.glob("*.json")))
    parser.add_argument("--record", nargs=2, type=Path, metavar=("WORKSPACE", "FILE"))
    args = parser.parse_args()
    if args.record:
        args.record[1].write_bytes(msgspec.json.encode(record(args.record[0])))
    else:
        print(table(args.files))


if __name__ == "__main__":
    main()
