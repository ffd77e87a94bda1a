"""Readings of the texts sampled from a checkpoint, against the person's own rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from statistics import fmean, median

from core.gauges import diversity
from core.gauges.breakdown import breaks, ended
from core.gauges.copying import copied_shares
from core.gauges.level import Level, level
from core.gauges.openings import Groups, names, same_openings
from core.gauges.reading import Evidence, Reading, Sample, Source, percent
from core.gauges.statistics import mean_interval, share_interval
from core.gauges.thresholds import THRESHOLDS, Thresholds
from core.text import counted, per_word, words

SHOWN = 8
"""Pieces of evidence for one reading; the rest is more of the same."""
TAIL = 80
"""Characters of a text's end, as evidence that it never ended."""


def of_texts(samples: Sequence[Sample], rows: Sequence[Source], at: Thresholds = THRESHOLDS) -> list[Reading]:
    """All readings of sampled texts; none where there is no text. With fewer than `at.least_texts` they are shown but say nothing."""
    if not samples:
        return []
    texts = {sample.uid: sample.text for sample in samples}
    rest = level(tuple(rows))
    found = [_stops(samples, rest, at), _breakdown(samples, at), *_copying(texts, rest, at)]
    found += [*_diversity(texts, rest, at), _openings(texts, rest, at), _names(samples, rest, at)]
    enough = len(samples) >= at.least_texts
    return [reading if enough else dataclasses.replace(reading, says="") for reading in found if reading]


def _stops(samples: Sequence[Sample], rest: Level, at: Thresholds) -> Reading | None:
    """A text cut off before the length of the longest row is no witness: it might have ended yet."""
    good = [sample for sample in samples if ended(sample.finish, sample.flags)]
    bad = [sample for sample in samples if not ended(sample.finish, sample.flags)]
    bad = [sample for sample in bad if sample.finish == "stop" or len(words(sample.text)) >= rest.longest]
    total = len(good) + len(bad)
    if not total:
        return None
    interval = share_interval(len(good), total)
    cut = len(samples) - total
    aside = f" {cut} more {'was' if cut == 1 else 'were'} cut off before the length of the longest row." if cut else ""
    return Reading(
        "natural stop", len(good) / total, f"{len(good)} of {counted(total, 'text')} ended {'by itself' if total == 1 else 'by themselves'}.{aside}", interval,
        says="under" if interval[1] < at.stops else "fine",
        evidence=tuple(Evidence("…" + sample.text[-TAIL:], sample.uid) for sample in bad[:SHOWN]),
    )  # fmt: skip


def _breakdown(samples: Sequence[Sample], at: Thresholds) -> Reading:
    bad = [(sample.uid, broken) for sample in samples if (broken := breaks(sample.flags))]
    interval = share_interval(len(bad), len(samples))
    return Reading(
        "breakdown", len(bad) / len(samples), f"{len(bad)} of {counted(len(samples), 'text')} broke down (loops, headings, links, runaway length).",
        interval, says="under" if interval[0] > at.breaks else "fine" if interval[1] <= at.breaks else "",
        evidence=tuple(Evidence("; ".join(broken), uid) for uid, broken in bad[:SHOWN]),
    )  # fmt: skip


def _copying(texts: dict[str, str], rest: Level, at: Thresholds) -> list[Reading]:
    """Two readings: the share of copied runs of words, and the longest verbatim span."""
    shares = copied_shares(texts, rest.holders)
    if not rest.holders or not shares:
        return []
    share, interval = fmean(shares.values()), mean_interval(list(shares.values()))
    over = interval is not None and interval[0] > at.copied_times * rest.copied + at.copied_more
    most = sorted(shares, key=lambda uid: -shares[uid])[:SHOWN]
    spans = sorted(((uid, *rest.index.span(text)) for uid, text in texts.items()), key=lambda found: -len(found[1]))
    longest = len(spans[0][1]) // per_word(spans[0][1])
    return [
        Reading(
            "copying", share,
            f"{percent(share)} of the texts' runs of four to six words stand in your rows; of a row of yours {percent(rest.copied)} stand in the others.",
            interval, rest.copied, says="over" if over else "fine",
            evidence=tuple(Evidence(f"{percent(shares[uid])} of its runs", uid) for uid in most if shares[uid]),
        ),
        Reading(
            "longest span", longest, f"The longest span taken word for word from a row has {counted(longest, 'word')}; among your rows it has {rest.span}.",
            reference=rest.span, unit="words",
            evidence=tuple(Evidence(f"“{' '.join(span)}”", uid, source) for uid, span, source in spans[:SHOWN] if span),
        ),
    ]  # fmt: skip


def _diversity(texts: dict[str, str], rest: Level, at: Thresholds) -> list[Reading]:
    """Four readings, each against as many of the person's rows, cut to the same length; none where either side has fewer than two."""
    mine, theirs = diversity.equal_length(list(texts.values()), list(rest.human.values()))
    if len(mine) < 2 or not any(mine):
        return []
    found = _compression(diversity.compressions(list(texts.values()), list(rest.human.values())), at)
    spans = diversity.shared_spans(texts, SHOWN)
    evidence = tuple(Evidence(f"“{' '.join(span)}” in {len(uids)} texts", ", ".join(uids[:3])) for span, uids in spans)
    share, usual_share = diversity.self_repetition(mine), diversity.self_repetition(theirs)
    sentence = f"{percent(share)} of the runs of four words stand in another of the texts too; for your rows it is {percent(usual_share)}."
    found.append(Reading("self-repetition", share, sentence, reference=usual_share, evidence=evidence))
    for size, what in ((1, "words"), (2, "pairs of words")):
        share, usual_share = diversity.distinct(mine, size), diversity.distinct(theirs, size)
        sentence = f"{percent(share)} of all {what} are different ones; for your rows it is {percent(usual_share)}."
        found.append(Reading(f"distinct {what}", share, sentence, reference=usual_share))
    return found


def _compression(drawn: Sequence[tuple[float, float]], at: Thresholds) -> list[Reading]:
    """How much better the texts compress than the rows: the middle of the draws, and it speaks only where all but a twentieth of them do."""
    if not drawn:
        return []
    ratio, usual = (median(side) for side in zip(*drawn, strict=True))
    surely = sorted(own / other for own, other in drawn)[len(drawn) // 20]
    than = "more" if ratio > usual else "no more"
    sentence = (
        f"The texts are {than} alike than your rows: they can be packed {ratio:.2f} times smaller, as many of yours {usual:.2f} times."
    )
    return [Reading("compression", ratio, sentence, reference=usual, unit="ratio", says="leans over" if surely > at.alike else "fine")]


def _openings(texts: dict[str, str], rest: Level, at: Thresholds) -> Reading | None:
    groups = same_openings(texts)
    begin = f" begin with “{groups[0][0]}”" if groups else " begin with the same three words"
    return _widespread("openings", groups, rest.opening, len(texts), begin, at)


def _names(samples: Sequence[Sample], rest: Level, at: Thresholds) -> Reading | None:
    """Names in a text's own attribute values were asked for, so they do not count for that text."""
    texts = {sample.uid: sample.text for sample in samples}
    asked = {sample.uid: " ".join(sample.values).lower() for sample in samples}
    groups = [(name, [uid for uid in uids if name.lower() not in asked[uid]]) for name, uids in names(texts, rest.small)]
    groups = sorted(((name, uids) for name, uids in groups if len(uids) > 1), key=lambda group: -len(group[1]))
    kind = "word" if rest.nouns else "name"
    share = f" have the {kind} {groups[0][0]} in them" if groups else " have a name in common"
    return _widespread("names", groups, rest.name, len(texts), share, at)


def _widespread(name: str, groups: Groups, usual: float, count: int, what: str, at: Thresholds) -> Reading | None:
    """The share of texts in the largest group, against that of the rows. None for a single text."""
    if count < 2:
        return None
    largest = len(groups[0][1]) if groups else 0
    interval = share_interval(largest, count)
    over = largest / count > at.same and interval[0] > 2 * usual
    some = f"{largest} of {count} texts" if largest else f"No two of {count} texts"
    yours = f"of your rows at most {percent(usual)} share one" if usual else "of your rows no two share one"
    return Reading(
        name, largest / count, f"{some}{what}; {yours}.", interval, usual,
        says="leans over" if over else "fine",
        evidence=tuple(Evidence(f"“{what}” in {len(uids)} texts", ", ".join(uids[:3])) for what, uids in groups[:SHOWN]),
    )  # fmt: skip
