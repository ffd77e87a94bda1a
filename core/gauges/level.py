"""The level to hold sampled texts against: what the rows of a run are like among themselves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean

from core.gauges.copying import Copying, copied_shares, run_holders
from core.gauges.openings import Groups, names, nouns_too, same_openings
from core.gauges.reading import Source
from core.text import words


class Level:
    """The rows, indexed and measured once for all checkpoints that learned from them."""

    def __init__(self, rows: Sequence[Source]) -> None:
        self.human = {row.uid: row.text for row in rows if row.human}
        learnt = {row.uid: row.text for row in rows if not row.held_out}
        self.index = Copying(learnt.items())
        self.holders = run_holders({uid: text for uid, text in self.human.items() if uid in learnt})
        """Only of the person's rows: a machine's texts share phrases with the ones accepted before without copying them."""
        self.longest = max((len(words(row.text)) for row in rows), default=0)
        """Words in the longest row."""
        among = Copying(self.human.items())
        copied = copied_shares(self.human, run_holders(self.human))
        self.copied = fmean(copied.values()) if copied else 0.0
        """The share of their runs of words that the person's rows have from each other."""
        self.span = max((among.longest(text, but=uid)[0] for uid, text in self.human.items()), default=0)
        """Words in the longest span that two of them share."""
        self.opening = self._widest(same_openings(self.human))
        self.name = self._widest(names(self.human))
        """The shares of them that begin alike, and that have the same name in them, at most."""
        self.nouns = nouns_too(self.human.values())
        """Whether they write nouns with a capital, as names."""
        self.small = frozenset(word for text in self.human.values() for word in text.split() if word == word.lower())
        """Words that they write in small letters."""

    def _widest(self, groups: Groups) -> float:
        return len(groups[0][1]) / len(self.human) if groups else 0.0


@lru_cache(maxsize=2)
def level(rows: tuple[Source, ...]) -> Level:
    """The level of some rows; kept for the next checkpoint of the same run."""
    return Level(rows)
