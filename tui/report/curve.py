"""The learning curve and the rounds of decisions in words and tables, for the command line and the dialog. Knows no Textual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.gauges.forecast import Forecast, Level
from core.gauges.reading import percent
from core.text import clean_line
from dataset.rounds import Round
from dataset.rows import Example
from tui.report.plot import plot
from tui.session.learning import Outlook
from tui.session.ways import Tally, Way

NAMED = 5
"""Outliers shown, the farthest first."""


def size_of(level: Level) -> str:
    """A number of rows; all but a fold differ from fold to fold."""
    return f"{level.size:.0f}" + (" (all but a fold)" if level.full else "")


def curve_table(forecast: Forecast) -> list[str]:
    """Size, held-out loss, interval, points."""
    lines = [f"{'rows':<20}{'held-out loss':>13}  {'interval':<14}  points"] if forecast.levels else []
    for level in forecast.levels:
        within = f"{level.interval[0]:.2f} to {level.interval[1]:.2f}" if level.interval else "-"
        lines.append(f"{size_of(level):<20}{level.loss:>13.3f}  {within:<14}  {level.points}")
    return lines


def estimate_line(forecast: Forecast) -> str:
    """The held-out loss of the present set, every row measured by adapters that never saw it; empty before that was measured."""
    full = next((level for level in forecast.levels if level.full), None)
    if full is None:
        return ""
    within = f", {full.interval[0]:.2f} to {full.interval[1]:.2f} for texts like these" if full.interval else ""
    return f"The present set: held-out loss {full.loss:.3f}{within}."


def law_line(forecast: Forecast) -> str:
    """The fitted law; empty where there is none."""
    if forecast.law is None:
        return ""
    law = forecast.law
    return f"L(n) = {law.floor:.2f} {'+' if law.scale >= 0 else '-'} {abs(law.scale):.2f} n^-{law.power:.2f}"


def outlier_lines(outlook: Outlook, examples: dict[str, Example]) -> list[str]:
    """The rows that stand out: typos, another style, or the most original ones."""
    found = [outlier for outlier in outlook.outliers if outlier.row in examples][:NAMED]
    if not found:
        return []
    lines = ["Rows that the others do not prepare for: typos, another style, or the most original ones."]
    return lines + [f"  {o.loss:.2f}  {o.row}  {clean_line(examples[o.row].text)[:72]}" for o in found]


def round_lines(rounds: Iterable[Round]) -> list[str]:
    """The second curve: what was kept of each checkpoint's candidates, and how much the edited ones were changed."""
    lines = []
    for told in rounds:
        low, high = told.interval()
        edits = f"  edited ones changed by {percent(told.edits)}" if told.edits is not None else ""
        lines.append(f"{told.checkpoint:<16}{told.kept:>3} of {told.decided:<3} kept  {percent(low)} to {percent(high)}{edits}")
    return [f"{'checkpoint':<16}kept, and where the share of all that it would show you lies", *lines] if lines else []


def kept_lines(ways: Mapping[Way, Tally], made_up: Mapping[bool, Tally]) -> list[str]:
    """What was kept lately of candidates that were sampled in either way, and of those that are about something made up; none of what there was not."""
    lines = []
    if ways["shown"].decided:
        lines.append(f"Kept lately: {_of(ways['alone'])} sampled alone, {_of(ways['shown'])} with examples shown.")
    if made_up[True].decided:
        lines.append(f"About something made up: {_of(made_up[True])} kept; the others: {_of(made_up[False])}.")
    return lines


def _of(tally: Tally) -> str:
    return f"{tally.kept} of {tally.decided}"


def blocks(
    outlook: Outlook, examples: dict[str, Example], decided: list[Round], ways: Mapping[Way, Tally], made_up: Mapping[bool, Tally]
) -> list[str]:
    """Everything that is known, in paragraphs, besides the sentence."""
    told = outlook.forecast
    found = [
        curve_table(told),
        plot(told),
        [line for line in (law_line(told), estimate_line(told)) if line],
        outlier_lines(outlook, examples),
        round_lines(decided),
        kept_lines(ways, made_up),
    ]
    return ["\n".join(block) for block in found if block]
