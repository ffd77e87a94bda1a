"""The report in sections of sentences, tables and quotes, the same for the screen, Markdown and HTML. Numbers become words only here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from core.gauges.conflicts import Conflict
from core.gauges.forecast import Level
from core.gauges.reading import percent
from core.gauges.statistics import Interval
from core.runfiles import BASE, is_refit
from core.text import clean, clean_line, counted, short
from dataset.coverage import Cover
from dataset.rounds import Round
from tui.report.contents import Odd, Report, Tasted
from tui.report.curve import estimate_line, law_line
from tui.session.runlist import held
from tui.session.tasting import SIGNS

Picture = Literal["", "rounds", "curve", "runs", "losses"]
HEAD = 60
"""Characters of a text by which a person knows it again."""
MOST_MISSING = 12
"""Lines of combinations without an example."""


@dataclass(frozen=True)
class Table:
    """Cells as text; the columns in `numbers` are aligned to the right."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Quote:
    """A text, whole, and what is said of it."""

    text: str
    note: str


@dataclass(frozen=True)
class Section:
    """A part of the report: its sentences, then the picture of that name, the table, the quotes."""

    title: str
    lines: tuple[str, ...] = ()
    table: Table | None = None
    quotes: tuple[Quote, ...] = ()
    picture: Picture = ""


def sections(report: Report) -> list[Section]:
    """All that has something to say, in the order in which it is told."""
    found = [
        Section("What to do next", (report.next.sentence, *report.next.reasons)),
        _evening(report),
        _rounds(report.rounds),
        _how_many(report),
        _checkpoints(report.checkpoints, report.left_out, {rated.lane: percent(rated.share) for rated in report.ratings}),
        _ratings(report),
        *map(_cover, report.coverage),
        _rows(report),
        _conflicts(report),
        _best(report),
        _bits(report),
    ]
    return [section for section in found if section.lines or section.table or section.quotes]


def spent(seconds: float) -> str:
    """Seconds as 1 h 12 min, 12 min, or under a minute."""
    minutes = round(seconds / 60)
    if not minutes:
        return "under a minute"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest:02} min" if hours else f"{rest} min"


def between(interval: Interval | None, unit: Literal["share", "nats"] = "share") -> str:
    """An interval as 33 to 61 %, or 2.10 to 2.31; empty where there is none."""
    if interval is None:
        return ""
    if unit == "nats":
        return f"{interval[0]:.2f} to {interval[1]:.2f}"
    return f"{percent(interval[0]).removesuffix(' %')} to {percent(interval[1])}"


def when(at: float) -> str:
    """A moment in the person's own time."""
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")


def known_by(text: str) -> str:
    """A row by its first words."""
    return f"“{short(text, HEAD)}”"


def _evening(report: Report) -> Section:
    origins, verdicts, time = report.origins, report.verdicts, report.activity
    rows = ", ".join(f"{origins[origin]} {origin}" for origin in ("written", "imported", "accepted", "edited") if origins.get(origin))
    total = sum(origins.values())
    lines = [f"{total} row{'' if total == 1 else 's'}" + (f": {rows}." if rows else ".")]
    kept = verdicts["accepted"] + verdicts["edited"]
    if decided := kept + verdicts["rejected"]:
        were = "it was" if verdicts["accepted"] == 1 else "they were"
        lines.append(
            f"{decided} candidate{'' if decided == 1 else 's'} decided: {verdicts['accepted']} accepted as {were}, {verdicts['edited']} edited, "
            f"{verdicts['rejected']} rejected; {percent(kept / decided)} kept."
        )
    if time.sittings:
        often = f" in {len(time.sittings)} sittings" if len(time.sittings) > 1 else ""
        lines.append(
            f"{spent(time.active).capitalize()} of active time{often} (pauses over 5 minutes left out; {spent(time.clock)} by the clock), "
            f"from {when(time.sittings[0].began)} to {when(time.sittings[-1].ended)}."
        )
    return Section("The evening", tuple(lines))


def _rounds(decided: Sequence[Round]) -> Section:
    if not decided:
        return Section("Round by round")
    rows = [
        (
            told.checkpoint, f"{told.kept} of {told.decided}", percent(told.share), between(told.interval()),
            percent(told.edits) if told.edits is not None else "", between(told.edits_interval()),
        )
        for told in decided
    ]  # fmt: skip
    head = ("checkpoint", "kept", "share", "of all shown", "changed", "of all edits")
    line = "What was kept of each checkpoint's candidates, and how much of the edited ones was changed; of all: where that lies for all that it would show you and that you would edit, nine times out of ten."
    return Section("Round by round", (line,), Table(head, tuple(rows), frozenset({1, 2, 4})), picture="rounds")


def _size(level: Level) -> str:
    return f"{level.size:.0f}" + (" (all but a fold)" if level.full else "")


def _how_many(report: Report) -> Section:
    told = report.outlook.forecast
    title = "Held-out loss by number of rows"
    if not told.levels:
        how = "Measure it with l, then enter, on Runs or Report, or `flavor-tui curve WORKSPACE`."
        return Section(title, (told.sentence, *(() if told.takes else (how,)))) if told.rows else Section(title)
    rows = [(_size(level), f"{level.loss:.3f}", between(level.interval, "nats"), f"{level.points}") for level in told.levels]
    lines = [told.sentence, estimate_line(told), f"The fit: {law_line(told)}." if told.law else ""]
    table = Table(("rows", "loss", "interval", "points"), tuple(rows), frozenset({1, 3}))
    return Section(title, tuple(line for line in lines if line), table, picture="curve")


def _checkpoints(found: Sequence[Tasted], left_out: int, ratings: Mapping[str, str]) -> Section:
    rated = bool(ratings)
    head = ("", "checkpoint", "verdict", "held-out", "kept", *(("rating",) if rated else ()), "from", "rows")
    rows = tuple(
        (
            "▶" if each.active else "", each.name, SIGNS.get(each.word, "") if each.name != BASE else "",
            held(each.name, each.loss), f"{each.kept} of {each.decided}" if each.decided else "",
            *((ratings.get(each.name, ""),) if rated else ()), each.parent, f"{each.rows}" if each.rows else "",
        )
        for each in found
    )  # fmt: skip
    active = next((each for each in found if each.active), None)
    lines = [f"{active.name} is active. {active.why}".strip()] if active else []
    if any(is_refit(each.name) and each.loss is not None for each in found):
        lines.append("In brackets: the loss of the epoch that a refit repeats. A refit has learned the held-out rows itself.")
    lines += [f"{left_out} older ones are on Runs."] if left_out > 0 else []
    return Section("Checkpoints", tuple(lines), Table(head, rows, frozenset({3, 4, len(head) - 1})), picture="runs")


def _ratings(report: Report) -> Section:
    rows = tuple((rated.lane, percent(rated.share), between(rated.interval), f"{rated.votes}") for rated in report.ratings)
    if not rows:
        return Section("Blind A/B")
    line = (
        "How often you would prefer its text to that of the middle of the others, from your votes; where that lies, nine times out of ten."
    )
    return Section("Blind A/B", (line,), Table(("lane", "preferred", "interval", "compared"), rows, frozenset({1, 3})))


def cover_title(cover: Cover) -> str:
    return f"Examples by {' and '.join(cover.fields)}"


def _outside(cover: Cover) -> tuple[str, ...]:
    """That examples with values of older days are in none of the cells."""
    what = f"{counted(cover.outside, 'example')} with values that flavor.toml does not offer ({short(', '.join(cover.unlisted))})"
    return (f"Not counted: {what}.",) if cover.outside else ()


def _cover(cover: Cover) -> Section:
    """Fewer values become columns; what has no example is said in words too."""
    missing, total = cover.missing, len(cover.counts)
    if len(cover.fields) == 1:
        (values,) = cover.values
        line = f"{len(missing)} of {total} values have no example yet: {', '.join(cell[0] for cell in missing)}." if missing else ""
        cells = tuple(f"{cover.counts[value,] or '·'}" for value in values)
        sentences = (line or "Every value has an example.", *_outside(cover))
        return Section(cover_title(cover), sentences, Table(values, (cells,), frozenset(range(len(values)))))
    across = 0 if len(cover.values[0]) <= len(cover.values[1]) else 1
    columns, lines = cover.values[across], cover.values[1 - across]

    def count(line: str, column: str) -> int:
        return cover.counts[(column, line) if across == 0 else (line, column)]

    rows = tuple((line, *(f"{count(line, column) or '·'}" for column in columns)) for line in lines)
    head = (f"{cover.fields[1 - across]} \\ {cover.fields[across]}", *columns)
    said = [f"{len(missing)} of {total} combinations have no example yet."] if missing else ["Every combination has an example."]
    gaps = [(line, [column for column in columns if not count(line, column)]) for line in lines]
    told = [f"{line} without {cover.fields[across]} {', '.join(none)}" for line, none in gaps if none][:MOST_MISSING]
    if told and len(missing) < total:
        said.append("; ".join(told) + ".")
    return Section(cover_title(cover), (*said, *_outside(cover)), Table(head, rows, frozenset(range(1, len(head)))))


def _odd_row(each: Odd) -> tuple[str, ...]:
    return f"{each.outlier.loss:.2f}", f"{each.outlier.far:.1f}", known_by(each.text), ", ".join(each.signs) or "perhaps the most original"


def _rows(report: Report) -> Section:
    if not report.texts:
        return Section("Rows that stand out")
    lines = [report.rows.how]
    if not report.rows.odd:
        lines += ["No row stands out."] if report.rows.losses else []
        return Section("Rows that stand out", tuple(lines), picture="losses" if report.rows.losses else "")
    lines.append("Far above the rest: a typo, another style, or the most original ones. Only you can tell which.")
    table = Table(("loss", "far", "row", "what it may be"), tuple(map(_odd_row, report.rows.odd)), frozenset({0, 1}))
    return Section("Rows that stand out", tuple(lines), table, picture="losses")


def _conflicts(report: Report) -> Section:
    def row(conflict: Conflict) -> tuple[str, ...]:
        texts = (known_by(report.texts.get(uid, "")) for uid in (conflict.first, conflict.second))
        return (*texts, clean_line(conflict.words))

    title = "Rows that contradict each other"
    if report.conflicts:
        shown = len(report.conflicts)
        cut = (f"The first {shown} of {report.all_conflicts}.",) if shown < report.all_conflicts else ()
        return Section(title, cut, Table(("row", "and row", "why"), tuple(map(row, report.conflicts))))
    return Section(title, ("None was found.",)) if report.texts else Section(title)


def _best(report: Report) -> Section:
    quotes = []
    for best in report.best:
        about = " · ".join(f"{name} {value}" for name, value in best.fields.items())
        shared = f"no other row has more than {percent(best.shared)} of it" if best.shared else "no other row has four words of it in a row"
        note = f"{best.checkpoint}, accepted as it came; {shared}"
        quotes.append(Quote(clean(best.text), clean_line(f"{about}. {note}." if about else f"{note}.")))
    return Section("The best new texts", (), quotes=tuple(quotes))


def _bits(report: Report) -> Section:
    bits, title = report.bits, "What 4 bits cost"
    if bits is None:
        return Section(title, ("Not measured yet: `flavor-tui doctor WORKSPACE --bits`.",)) if report.texts else Section(title)
    cost = (
        f"{bits.four - bits.sixteen:+.3f} nats a token on {bits.rows} of your rows: {bits.four:.3f} against {bits.sixteen:.3f} in 16 bits"
    )
    return Section(title, (f"{cost}, before training.",))
