"""The page `docs/evening.md` and its picture, from the JSON files of the runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

import msgspec

from bench.judge import CRITERIA
from bench.plot import svg
from bench.results import Evening, Lane, Peer

FIRST = 8
"""A person who is short of time looks at so many of a round's candidates."""
Finding = tuple[str, bool | None]
"""What was measured, and whether it is what was to be reached; None: not measured."""

OPENING = """# A whole evening, without a person

Twelve written rows, then rounds of retrain, sample, decide, add, all through the same functions that the keys call. The judge is a
rule that was written down before anything was run (`bench/judge.py`, `bench/rules.py`). It decides on {count} candidates a round, as a
person would see them: of {oversample} times as many that are sampled, those least likely to be kept are passed over, as the program does it (by its
gauges alone until it has learned from decisions). The target is read against what is shown, which is what a person accepts or rejects. Our
candidates are sampled in both ways, alone and with examples shown (`docs/sampling.md`), as the decisions say. The program passes over only while enough wait, so a person's first cards after a retraining are chosen of fewer than here. What was passed over is
judged too, after what was shown. The held-out loss is that of {measured} rows that nothing is ever trained on. All of it on the starter, with the training defaults and the sampling settings named below. To run one of them again:

```
python -m bench.evening --task {task} --seed {seed} --rounds {rounds} --out run.json
python -m bench.evening --peers run.json
python -m bench.evening --table run.json
```

What these evenings and those of earlier versions taught is in [evening-notes.md](evening-notes.md).

![Accept rate and held-out loss by round](evening.svg)

A text is accepted when it meets all criteria: *form* (the task's own, nothing but the text), *length* (0.6 of the shortest to 1.5 of
the longest written row), *ends* by itself, *own words* (no span over 8 tokens that only one row has), *subject* (a new name, or the
thing that was asked for), *attributes* (words of a list for the value), *new* (at most half of its content words in one earlier text).
"""


# -- what was to be reached ------------------------------------------------------------------------------------------------


def accept_gain(evening: Evening) -> Finding:
    first, last = evening.rounds[0], evening.rounds[-1]
    rate = last.accept_rate
    text = f"{rate:.0%} of what was shown, after {first.accept_rate:.0%} of the base; {last.sampled.accept_rate:.0%} of all sampled"
    return text, rate >= 0.6 and rate >= 3 * first.accept_rate


def natural_stop(evening: Evening) -> Finding:
    found = next((each for each in evening.rounds if each.rows >= 16), None)
    return (
        (f"{found.sampled.stop_rate:.0%} with {found.rows} rows", found.sampled.stop_rate >= 0.95)
        if found
        else ("no round had 16 rows", None)
    )


def no_copies(evening: Evening) -> Finding:
    longest = max(each.sampled.longest_copy for each in evening.rounds)
    return f"the longest has {longest} tokens", longest <= 8


def best_epoch(evening: Evening) -> Finding:
    over = [each.held_out / min(each.epochs.values()) for each in evening.rounds if each.epochs and each.held_out is not None]
    if not over:
        return "nothing was trained", None
    mean, worst = fmean(over), max(over)
    return f"{100 * (mean - 1):.1f} % over it in the mean of {len(over)} retrains, {100 * (worst - 1):.1f} % at worst", worst <= 1.01


def below_peers(evening: Evening) -> Finding:
    texts, reached = [], True
    for after in sorted({peer.after for peer in evening.peers}):
        best = min((peer for peer in evening.peers if peer.after == after), key=lambda peer: peer.held_out or peer.last)
        ours = next(each.held_out for each in evening.rounds if each.number == after)
        texts.append(f"{number(ours)} against {number(best.held_out)} ({best.tool}) on {best.rows} rows")
        reached = reached and ours is not None and best.held_out is not None and ours < best.held_out
    falling = any(peer.steps < peer.planned and peer.last == peer.held_out for peer in evening.peers)
    if falling:  # what it would have reached is not known
        return "; ".join([*texts, "some had no time to end"]), None if reached else False
    return ("; ".join(texts), reached) if texts else ("not run", None)


def ranked(evening: Evening) -> Finding:
    rounds = [each for each in evening.rounds if each.first is not None and each.sampled.accepted]
    if not rounds:
        return "no order to compare", None
    expected = sum(each.sampled.accept_rate * min(FIRST, len(each.texts)) if each.by_chance is None else each.by_chance for each in rounds)
    gain = sum(each.first or 0 for each in rounds) / expected
    return f"{gain:.2f} times", gain >= 1.25


TARGETS: list[tuple[str, str, Callable[[Evening], Finding]]] = [
    ("accept rate in the last round over round 0", "3 times, and 60 %", accept_gain),
    ("ended by themselves after the first retrain with 16 rows", "95 %", natural_stop),
    ("span over 8 tokens that only one row has, in any candidate", "none", no_copies),
    ("held-out loss of the chosen checkpoint over the best epoch in hindsight", "within 1 %", best_epoch),
    ("held-out loss, ours and the best of the peers' defaults, same rows", "lower", below_peers),
    (f"accept rate of the first {FIRST} in the program's order over random order", "1.25 times", ranked),
]


# -- the page --------------------------------------------------------------------------------------------------------------


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(line) + " |" for line in lines)]


def reached(evenings: Sequence[Evening]) -> list[str]:
    """The table of what was to be reached: a line for each target, a column for each run."""
    words = {True: "reached", False: "**missed**", None: "not measured"}
    lines = [[what, target, *(f"{words[good]}: {text}" for text, good in map(measure, evenings))] for what, target, measure in TARGETS]
    return table(["what", "to reach", *(f"{evening.task} {evening.seed}" for evening in evenings)], lines)


def _shares(lane: Lane) -> list[str]:
    return [f"{lane.accept_rate:.0%}", *(f"{share:.0%}" for share in lane.passes().values())]


def rounds(evening: Evening) -> list[str]:
    """A run's rounds, with the share of the shown candidates that meets each criterion."""
    head = ["round", "rows", "of all sampled", "accepted", *CRITERIA, "held-out loss", "longest copy", "train", "measure", "sample"]
    lines = []
    for each in evening.rounds:
        spent = [f"{each.seconds[name]:.0f} s" if name in each.seconds else "" for name in ("train", "measure", "sample")]
        rows = str(each.rows or "")
        lines.append(
            [
                str(each.number),
                rows,
                f"{each.sampled.accept_rate:.0%}",
                *_shares(each),
                number(each.held_out),
                str(each.sampled.longest_copy),
                *spent,
            ]
        )
    return table(head, lines)


def _peer(peer: Peer) -> list[str]:
    made = f"{peer.steps} updates" + ("" if peer.steps >= peer.planned else f" of {peer.planned}, then its budget ended")
    end = "" if peer.held_out == peer.last else f" ({peer.last:.3f} at its end)"
    return [
        peer.tool, str(peer.rows), made, f"{peer.accept_rate:.0%}", f"{peer.stop_rate:.0%}", number(peer.held_out) + end,
        str(peer.longest_copy), f"{peer.seconds.get('train', 0):.0f} s",
    ]  # fmt: skip


def beside(evening: Evening) -> list[str]:
    """Everything that ours sampled, chosen or not, and the others on the same rows, prompts and seeds."""
    lines = []
    for after in sorted({given.after for given in evening.sets}):
        ours = next(each for each in evening.rounds if each.number == after)
        trained = sum(each.seconds.get("train", 0) for each in evening.rounds if each.number <= after)
        lines.append([
            f"ours, round {after}", str(ours.rows), "", f"{ours.sampled.accept_rate:.0%}", f"{ours.sampled.stop_rate:.0%}", number(ours.held_out),
            str(ours.sampled.longest_copy), f"{trained:.0f} s",
        ])  # fmt: skip
        lines += [_peer(peer) for peer in evening.peers if peer.after == after]
    if lane := evening.few_shot:
        loss, copy = number(lane.held_out), str(lane.longest_copy)
        lines.append(["the base, shown examples", "", "", f"{lane.accept_rate:.0%}", f"{lane.stop_rate:.0%}", loss, copy, ""])
    return table(["", "rows", "", "accepted", "ended", "held-out loss", "longest copy", "training"], lines)


def page(evenings: Sequence[Evening], measured: int = 16) -> str:
    """The whole page."""
    first = evenings[0]
    opening = OPENING.format(
        task=first.task,
        seed=first.seed,
        rounds=first.rounds[-1].number,
        measured=measured,
        count=len(first.rounds[0].texts),
        oversample=first.settings.oversample,
    )
    parts = [opening, "## What was to be reached", "", *reached(evenings), ""]
    for evening in evenings:
        seconds = sum(sum(each.seconds.values()) for each in evening.rounds)
        parts += [f"## {evening.task}, seed {evening.seed}", ""]
        parts += [
            f"The judge accepts {evening.ceiling:.0%} of the held-out written rows (with the attributes of another row, {evening.swapped:.0%} "
            f"would have the right subject and attributes). Ours took {seconds / 60:.0f} minutes ({evening.machine}).",
            "",
            *rounds(evening),
            "",
            "Beside it, on the prompts and seeds of the round's first candidates (the base's with an example's values where ours were made up); of ours everything that was sampled counts, shown or not. A peer's held-out "
            "loss is the best that it had on its way:",
            "",
            *beside(evening),
            "",
        ]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(first.versions.items()))
    values = msgspec.to_builtins(first.settings) | {"max_tokens": "twice the longest written row's"}
    settings = ", ".join(f"{name} {value}" for name, value in values.items())
    return "\n".join(
        [
            *parts,
            f"Sampling settings: {settings}. `vary` is of our checkpoints alone, the others have their prompt and nothing before it.",
            "",
            f"Versions: {versions}.",
            "",
        ]
    )


def write(evenings: Sequence[Evening], folder: Path) -> None:
    """`evening.md` and `evening.svg` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evening.md").write_text(page(evenings), "utf-8")
    (folder / "evening.svg").write_text(svg(evenings), "utf-8")
