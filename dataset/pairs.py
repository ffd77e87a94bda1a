"""Which of two texts the person would rather have: pairs for a preference stage, from edits, decisions and what was written. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from core.runfiles import Pair, PairOrigin
from core.task import Task
from dataset.rows import Candidate, Decision, Example
from dataset.store import Store

MOST_SAMPLED = 24
"""Pairs of a written text over a sampled one, at most: they are free, and would drown what the person said."""


def find_pairs(store: Store, task: Task, held: Collection[str] = (), most: int = MOST_SAMPLED) -> list[Pair]:
    """Edited over original, accepted over rejected, preferred blindly, written over sampled (DITTO, Shaikh et al. 2406.00888), in this order.

    An accepted text is used in one pair only, and so is a rejected one among these; a sampled one is used again only when all others
    were. Examples in `held` are in no pair, since they are what the result is measured on. The same store gives the same pairs.
    """
    free = {uid: example for uid, example in store.examples.items() if uid not in held}
    decided = [d for d in store.decisions.values() if d.example in free]
    edits = [(free[d.example], store.candidates[d.candidate]) for d in decided if d.verdict == "edit" and d.candidate in store.candidates]
    accepted = [free[d.example] for d in decided if d.after == d.before]
    rejected = [candidate for candidate in store.candidates.values() if candidate.state == "rejected"]
    flagged = [candidate for candidate in store.candidates.values() if candidate.state in ("pending", "skipped") and candidate.flags]
    matched = _matched(accepted, rejected)
    used = Counter(candidate.uid for _, candidate in matched)
    written = [example for example in free.values() if example.origin in ("written", "imported")]
    sampled = _sampled(written, [*rejected, *flagged], used, most)

    def made(origin: PairOrigin, found: Iterable[tuple[Example, Candidate]]) -> list[Pair]:
        told = [(example, candidate) for example, candidate in found if candidate.text.strip() and candidate.text != example.text]
        return [_pair(task, example, candidate, origin) for example, candidate in told]

    unseen = {store.examples[uid].text for uid in held if uid in store.examples}
    return [*made("edit", edits), *made("decided", matched), *_voted(store, task, unseen), *made("written", sampled)]


def _voted(store: Store, task: Task, unseen: Collection[str]) -> list[Pair]:
    """A pair for each blind vote that went to one side; none with a text that is held out."""
    found = []
    for vote in store.votes.values():
        chosen, rejected = (vote.left, vote.right) if vote.preferred == "left" else (vote.right, vote.left)
        sound = chosen.text.strip() and rejected.text.strip() and chosen.text != rejected.text
        if vote.preferred in ("left", "right") and sound and not {chosen.text, rejected.text} & set(unseen):
            segments = task.segments(vote.fields)
            ends = chosen.candidate or f"{vote.uid}+", rejected.candidate or f"{vote.uid}-"
            found.append(Pair(segments, chosen.text, rejected.text, "vote", *ends))
    return found


def _pair(task: Task, example: Example, candidate: Candidate, origin: PairOrigin) -> Pair:
    """The prompt has what both texts were asked for: all attributes, some, or the heading alone."""
    common = {name: value for name, value in example.fields.items() if candidate.fields.get(name) == value}
    return Pair(task.segments(common), example.text, candidate.text, origin, example.uid, candidate.uid)


def _likeness(example: Example, candidate: Candidate) -> int:
    """How many attributes the two have in common."""
    return sum(candidate.fields.get(name) == value for name, value in example.fields.items())


def _matched(accepted: Sequence[Example], rejected: Sequence[Candidate]) -> list[tuple[Example, Candidate]]:
    """Each accepted text with a rejected one of its own: those with the same attributes first, then by what they have in common; of several
    the earliest. Found by attribute value: of a thousand texts on either side only some have one in common."""
    having: dict[tuple[str, str], list[int]] = {}
    for place, candidate in enumerate(rejected):
        for value in candidate.fields.items():
            having.setdefault(value, []).append(place)
    shared = [frozenset(example.fields.items() & having.keys()) for example in accepted]
    """Of each accepted text the values that any rejected one has: few differ, where most texts have a name of their own."""
    alike: dict[frozenset[tuple[str, str]], dict[int, list[int]]] = {}
    """For each of these: the rejected ones, the last first, by how many of the values they have."""
    for values in set(shared):
        common = Counter(place for value in values for place in having[value])
        alike[values] = {}
        for place in sorted(common, reverse=True):
            alike[values].setdefault(common[place], []).append(place)
    taken: dict[int, int] = {}
    gone: set[int] = set()
    for count in sorted({count for found in alike.values() for count in found}, reverse=True):
        for at, values in enumerate(shared):
            places = alike[values].get(count, []) if at not in taken else []
            while places and at not in taken:  # those that are gone are passed once, and not for every text again
                if (place := places.pop()) not in gone:
                    taken[at] = place
                    gone.add(place)
    rest = (place for place in range(len(rejected)) if place not in gone)
    taken |= dict(zip((at for at in range(len(accepted)) if at not in taken), rest, strict=False))
    return [(accepted[at], rejected[place]) for at, place in sorted(taken.items())]


def _sampled(written: Sequence[Example], sampled: Sequence[Candidate], used: Counter[str], most: int) -> list[tuple[Example, Candidate]]:
    """At most `most` written texts, each in its turn, with the candidate least used so far; of several, the one most like it in attributes."""
    used = Counter(used)
    found: dict[tuple[str, str], tuple[Example, Candidate]] = {}
    for _ in range(len(sampled)):
        for example in written:
            left = [(used[c.uid], -_likeness(example, c), at) for at, c in enumerate(sampled) if (example.uid, c.uid) not in found]
            if not left or len(found) >= most:
                return list(found.values())
            candidate = sampled[min(left)[2]]
            used[candidate.uid] += 1
            found[example.uid, candidate.uid] = example, candidate
    return list(found.values())


def _still_wanted(decision: Decision, task: Task) -> bool:
    """Whether a text was kept as it was, with every attribute that was asked for and some more."""
    kept = decision.kept_fields
    return decision.after == decision.before and kept is not None and task.only(decision.fields).items() <= kept.items()


def labelled(store: Store, task: Task) -> list[tuple[str, str, bool]]:
    """Prompt, text and whether it is wanted: every example, every rejected text, what stood there before an edit (a text that was kept as
    it was, but not for what was asked for, is unwanted there), and what lost blindly to nothing: both texts of a vote that called both bad."""
    wanted = [(task.prompt(example.fields), example.text, True) for example in store.examples.values()]
    unwanted = [
        (task.prompt(decision.fields), decision.before, False)
        for decision in store.decisions.values()
        if decision.verdict in ("reject", "edit") and decision.before.strip() and not _still_wanted(decision, task)
    ]
    unwanted += [
        (task.prompt(vote.fields), side.text, False)
        for vote in store.votes.values()
        if vote.preferred == "bad"
        for side in (vote.left, vote.right)
        if side.text.strip()
    ]
    return wanted + unwanted
