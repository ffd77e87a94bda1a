"""Readings of the texts sampled from a checkpoint, against the person's own rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from statistics import fmean

from core.gauges import diversity
from core.gauges.breakdown import breaks, ended
from core.gauges.copying import Copying, copied_shares
from core.gauges.openings import Groups, names, same_openings
from core.gauges.reading import Evidence, Reading, Sample, Says, Source, percent
from core.gauges.statistics import mean_interval, share_interval
from core.gauges.thresholds import THRESHOLDS, Thresholds
from core.text import words

SHOWN = 8
"""Pieces of evidence for one reading; the rest is more of the same."""
TAIL = 80
"""Characters of a text's end, as evidence that it never ended."""


def of_texts(samples: Sequence[Sample], rows: Sequence[Source], at: Thresholds = THRESHOLDS) -> list[Reading]:
    """All readings of sampled texts; none where there is no text. With fewer than `at.least_texts` they are shown but say nothing."""
    if not samples:
        return []
    texts = {sample.uid: sample.text for sample in samples}
    human = {row.uid: row.text for row in rows if row.human}
    found = [_stops(samples, rows, at), _breakdown(samples, at), *_copying(texts, human, rows, at)]
    found += [*_diversity(texts, human, at), _openings(texts, human, at), _names(samples, human, at)]
    enough = len(samples) >= at.least_texts
    return [reading if enough else dataclasses.replace(reading, says="") for reading in found if reading]


def _stops(samples: Sequence[Sample], rows: Sequence[Source], at: Thresholds) -> Reading | None:
    """A text cut off before the length of the longest row is no witness: it might have ended yet."""
    longest = max((len(words(row.text)) for row in rows), default=0)
    good = [sample for sample in samples if ended(sample.finish, sample.flags)]
    bad = [sample for sample in samples if not ended(sample.finish, sample.flags)]
    bad = [sample for sample in bad if sample.finish == "stop" or len(words(sample.text)) >= longest]
    total = len(good) + len(bad)
    if not total:
        return None
    interval = share_interval(len(good), total)
    cut = len(samples) - total
    aside = f" {cut} more were cut off before the length of the longest row." if cut else ""
    return Reading(
        "natural stop", len(good) / total, f"{len(good)} of {total} texts ended by themselves.{aside}", interval,
        says="under" if interval[1] < at.stops else "fine",
        evidence=tuple(Evidence("…" + sample.text[-TAIL:], sample.uid) for sample in bad[:SHOWN]),
    )  # fmt: skip


def _breakdown(samples: Sequence[Sample], at: Thresholds) -> Reading:
    bad = [(sample.uid, broken) for sample in samples if (broken := breaks(sample.flags))]
    interval = share_interval(len(bad), len(samples))
    return Reading(
        "breakdown", len(bad) / len(samples), f"{len(bad)} of {len(samples)} texts broke down (loops, headings, links, runaway length).",
        interval, says="under" if interval[0] > at.breaks else "fine",
        evidence=tuple(Evidence("; ".join(broken), uid) for uid, broken in bad[:SHOWN]),
    )  # fmt: skip


def _copying(texts: dict[str, str], human: dict[str, str], rows: Sequence[Source], at: Thresholds) -> list[Reading]:
    """Two readings: the share of copied runs of words, and the longest verbatim span."""
    learnt = {row.uid: row.text for row in rows if not row.held_out}
    shares = copied_shares(texts, learnt)
    if not learnt or not shares:
        return []
    between = copied_shares(human, human)
    level = fmean(between.values()) if between else 0.0
    share, interval = fmean(shares.values()), mean_interval(list(shares.values()))
    index = Copying(learnt.items())
    spans = sorted(((uid, *index.span(text)) for uid, text in texts.items()), key=lambda found: -len(found[1]))
    evidence = tuple(Evidence(f"“{' '.join(span)}”", uid, source) for uid, span, source in spans[:SHOWN] if span)
    rest = Copying(human.items())
    usual = max((rest.longest(text, but=uid)[0] for uid, text in human.items()), default=0)
    over = interval is not None and interval[0] > at.copied_times * level + at.copied_more
    longest = len(spans[0][1])
    sentence = f"{percent(share)} of their runs of four to six words stand in the rows; between the rows themselves it is {percent(level)}."
    span_sentence = f"The longest span taken word for word has {longest} words; between the rows themselves it has {usual}."
    return [
        Reading("copying", share, sentence, interval, level, says="over" if over else "fine", evidence=evidence),
        Reading("longest span", longest, span_sentence, reference=usual, unit="words", evidence=evidence),
    ]


def _diversity(texts: dict[str, str], human: dict[str, str], at: Thresholds) -> list[Reading]:
    """Four readings, each against as many of the person's rows, cut to the same length; none where either side has fewer than two."""
    mine, theirs = diversity.equal_length(list(texts.values()), list(human.values()))
    if len(mine) < 2 or not any(mine):
        return []
    ratio, usual = diversity.compression_ratio(mine), diversity.compression_ratio(theirs)
    than = "more" if ratio > usual else "no more"
    sentence = f"The texts are {than} alike than the rows: they can be packed {ratio:.2f} times smaller, as many rows {usual:.2f} times."
    spans = diversity.shared_spans(texts, SHOWN)
    evidence = tuple(Evidence(f"“{' '.join(span)}” in {len(uids)} texts", ", ".join(uids[:3])) for span, uids in spans)
    says: Says = "leans over" if ratio > usual * at.alike else "fine"
    found = [Reading("compression", ratio, sentence, reference=usual, unit="ratio", says=says, evidence=evidence)]
    share, level = diversity.self_repetition(mine), diversity.self_repetition(theirs)
    sentence = f"{percent(share)} of the runs of four words stand in another of the texts too; for the rows it is {percent(level)}."
    found.append(Reading("self-repetition", share, sentence, reference=level, evidence=evidence))
    for size, what in ((1, "words"), (2, "pairs of words")):
        share, level = diversity.distinct(mine, size), diversity.distinct(theirs, size)
        sentence = f"{percent(share)} of all {what} are different ones; for the rows it is {percent(level)}."
        found.append(Reading(f"distinct {what}", share, sentence, reference=level))
    return found


def _openings(texts: dict[str, str], human: dict[str, str], at: Thresholds) -> Reading | None:
    groups = same_openings(texts)
    begin = f" begin with “{groups[0][0]}”" if groups else " begin with the same three words"
    return _widespread("openings", groups, same_openings(human), len(texts), len(human), begin, at)


def _names(samples: Sequence[Sample], human: dict[str, str], at: Thresholds) -> Reading | None:
    """Names in a text's own attribute values were asked for, so they do not count for that text."""
    common = {word for text in human.values() for word in text.split() if word == word.lower()}
    texts = {sample.uid: sample.text for sample in samples}
    asked = {sample.uid: " ".join(sample.values).lower() for sample in samples}
    groups = [(name, [uid for uid in uids if name.lower() not in asked[uid]]) for name, uids in names(texts, common)]
    groups = sorted(((name, uids) for name, uids in groups if len(uids) > 1), key=lambda group: -len(group[1]))
    share = f" have the name {groups[0][0]} in them" if groups else " have a name in common"
    return _widespread("names", groups, names(human), len(texts), len(human), share, at)


def _widespread(name: str, groups: Groups, usual: Groups, count: int, rows: int, what: str, at: Thresholds) -> Reading | None:
    """The share of texts in the largest group, against that of the rows. None for a single text."""
    if count < 2:
        return None
    largest = len(groups[0][1]) if groups else 0
    level = len(usual[0][1]) / rows if usual else 0.0
    interval = share_interval(largest, count)
    over = largest / count > at.same and interval[0] > 2 * level
    some = f"{largest} of {count} texts" if largest else f"No two of {count} texts"
    return Reading(
        name, largest / count, f"{some}{what}; of the rows at most {percent(level)} share one.", interval, level,
        says="leans over" if over else "fine",
        evidence=tuple(Evidence(f"“{what}” in {len(uids)} texts", ", ".join(uids[:3])) for what, uids in groups[:SHOWN]),
    )  # fmt: skip
