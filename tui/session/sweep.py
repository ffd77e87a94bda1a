"""A small grid of ranks, rates and epochs on the same folds: which trainings are wanted, which are kept, and what they say. Knows no Textual."""

from __future__ import annotations

import hashlib
import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, TypeVar

import msgspec

from core.errors import FlavorError
from core.gauges.sidebyside import Compared, Trial, compare, losses_of, sentence
from core.protocol import AnyEvent, Point, Recipe, Wanted
from core.text import short
from dataset.folds import FOLDS
from dataset.subsets import Subset, subsets
from runs.points import SWEEP, Points
from tui.session.learning import METHOD, USED, point_key, wanted_points

if TYPE_CHECKING:
    from tui.session.session import Session

MOST = 24
"""Settings in a grid."""
MEASURED = 8
"""Rows that the worker trains on from one measurement of the fold to the next; a token measured takes a third of the time of one trained."""
NO_END = 86_400.0
"""Seconds: a sweep ends when it is done, or when it is stopped."""


@dataclass(frozen=True)
class Grid:
    """The values to try, each with each. With none at all: the present settings with one of them changed at a time."""

    ranks: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()
    epochs: tuple[int, ...] = ()


N = TypeVar("N", int, float)


def parse_grid(ranks: str, rates: str, epochs: str) -> Grid:
    """Numbers with spaces or commas between. Raises FlavorError on what is none, or no usable one."""
    return Grid(
        _numbers("rank", ranks, int, 1, 1024, "8,16,32"),
        _numbers("rate", rates, float, 1e-7, 1.0, "2e-4,5e-4,1e-3"),
        _numbers("number of epochs", epochs, int, 1, 100, "4,8"),
    )


def _numbers(name: str, text: str, kind: Callable[[str], N], low: N, high: N, example: str) -> tuple[N, ...]:
    found: list[N] = []
    for word in text.replace(",", " ").split():
        try:
            value = kind(word)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise FlavorError(f"{short(word)!r} is no usable {name}.", f"From {low:g} to {high:g}, for instance {example}.", "config")
        found.append(value)
    return tuple(dict.fromkeys(found))


def named(recipe: Recipe) -> str:
    """A setting as a person reads it."""
    return f"rank {recipe.r}, rate {recipe.learning_rate:g}, {recipe.epochs} epoch{'' if recipe.epochs == 1 else 's'}"


class Sweep:
    """One grid over a workspace's rows. Trainings that are kept from another grid count here too."""

    def __init__(self, session: Session, grid: Grid = Grid(), seeds: int = 1) -> None:
        """Raises FlavorError where the grid is too large."""
        self._session, self._seeds = session, seeds
        self._points = Points(session.folder, SWEEP)
        self.recipes = self._recipes(grid)
        """The present settings first."""
        if len(self.recipes) > MOST:
            raise FlavorError(f"{len(self.recipes)} settings are too many.", f"At most {MOST}: take fewer values.", "config")

    def _recipes(self, grid: Grid) -> list[Recipe]:
        lora, training = self._session.settings.lora, self._session.settings.training
        present = Recipe(lora.r, lora.alpha, training.learning_rate, training.epochs)

        def made(r: int, rate: float, epochs: int) -> Recipe:
            return Recipe(r, max(1, round(lora.alpha * r / lora.r)), rate, epochs)  # alpha goes with the rank: the same strength

        r, rate, epochs = present.r, present.learning_rate, present.epochs
        if grid == Grid():
            star = [
                (max(1, r // 2), rate, epochs),
                (min(1024, 2 * r), rate, epochs),
                (r, rate / 2, epochs),
                (r, min(1.0, 2 * rate), epochs),
            ]
            others = [made(*values) for values in [*star, (r, rate, max(1, epochs // 2))]]
        else:
            others = [made(*values) for values in product(grid.ranks or (r,), grid.rates or (rate,), grid.epochs or (epochs,))]
        return list(dict.fromkeys([present, *others]))

    def __eq__(self, other: object) -> bool:
        """Whether another one asks for the same settings: each look at the dialog makes one."""
        return isinstance(other, Sweep) and (self.recipes, self._seeds) == (other.recipes, other._seeds)

    __hash__ = None  # type: ignore[assignment]  # it is compared, and never a key

    def check(self) -> None:
        """Raises FlavorError where there are too few rows."""
        self._session.learning.check()

    def _settings(self) -> str:
        """A hash of what decides over a training besides its rows and its recipe."""
        settings = self._session.settings
        training = {name: getattr(settings.training, name) for name in USED if name not in ("epochs", "learning_rate")}
        made_of = [METHOD, settings.model, training, settings.task]
        return hashlib.sha256(msgspec.json.encode(made_of)).hexdigest()[:16]

    def _plan(self) -> list[tuple[Recipe, Subset, str]]:
        """Fold after fold, each under all settings: wherever one stops, those measured can be compared."""
        rows = {example.uid: example for example in self._session.learning.rows()}
        digests = {uid: hashlib.sha256(msgspec.json.encode(self._session.learning.row(example))).digest() for uid, example in rows.items()}
        full = [subset for subset in subsets(list(rows), self._seeds) if subset.full]
        return [(recipe, subset, _key(point_key(subset, digests), recipe)) for subset in full for recipe in self.recipes]

    def _kept(self) -> dict[str, Point]:
        settings, loaded = self._settings(), self._session.loaded
        return {
            kept.point.key: kept.point
            for kept in self._points.all()
            if kept.settings == settings and (loaded is None or kept.fingerprint == loaded.fingerprint)
        }

    def _todo(self) -> list[tuple[Recipe, Subset, str]]:
        kept = self._kept()
        return [(recipe, subset, key) for recipe, subset, key in self._plan() if key not in kept]

    @property
    def version(self) -> int:
        """Changes when a training is kept."""
        return self._points.version

    def missing(self) -> int:
        """Trainings that are wanted and not kept."""
        return len(self._todo())

    @property
    def total(self) -> int:
        return len(self._plan())

    def seconds(self) -> float:
        """What is missing takes so long, by estimate, if no training stops early."""
        learning = self._session.learning
        size = self._session.planner.sizes(map(learning.row, learning.rows()))
        tokens = sum(
            recipe.epochs
            * (sum(size[uid] for uid in subset.learn) + math.ceil(len(subset.learn) / MEASURED) * sum(size[uid] for uid in subset.held) / 3)
            for recipe, subset, _ in self._todo()
        )
        return tokens / max(self._session.planner.train_speed()[0], 0.01)

    async def measure(self, budget: float = NO_END) -> AsyncIterator[AnyEvent]:
        """Train what is missing, as much as fits into `budget` seconds; each is on the disk when its event is yielded."""
        self.check()
        learning = self._session.learning
        examples, todo = learning.rows(), self._todo()
        plain = wanted_points(examples, [(subset, key) for _, subset, key in todo])
        wanted: list[Wanted] = [msgspec.structs.replace(point, recipe=recipe) for point, (recipe, _, _) in zip(plain, todo, strict=True)]
        async for event in learning.measure_points(examples, wanted, self._points, self._settings(), budget):
            yield event

    def compared(self) -> list[Compared]:
        """Every setting of the grid against the present one, from what is kept for the rows as they are."""
        kept = self._kept()
        trials = [
            Trial(named(recipe), point.fold, point.seed, losses_of(point.losses), self._epoch(point))
            for recipe, _, key in self._plan()
            if (point := kept.get(key))
        ]
        return compare(trials, [named(recipe) for recipe in self.recipes], FOLDS)

    def _epoch(self, point: Point) -> float:
        """The epoch within which the loss was lowest; a point knows its step."""
        return point.step / math.ceil(point.size / min(self._session.settings.training.batch_size, point.size))

    def setting_of(self, name: str) -> str:
        """What to write into flavor.toml for a setting."""
        recipe = next(recipe for recipe in self.recipes if named(recipe) == name)
        lora = f"[lora] r = {recipe.r}, alpha = {recipe.alpha}"
        return f"{lora}; [training] learning_rate = {recipe.learning_rate:g}, epochs = {recipe.epochs}"

    def advice(self, found: Sequence[Compared]) -> str:
        """What the comparison says, and what to write where it found something."""
        said = sentence(found)
        lower = [each for each in found if each.word == "lower"]
        if not lower:
            return said
        return f"{said} In flavor.toml: {self.setting_of(min(lower, key=lambda each: each.difference or 0.0).setting)}."

    async def sentence(self) -> str:
        return self.advice(self.compared())


def _key(point: str, recipe: Recipe) -> str:
    return hashlib.sha256(point.encode() + msgspec.json.encode(recipe)).hexdigest()[:32]


SIGNS = {
    "the present settings": "present",
    "lower": "✓ lower",
    "higher": "! higher",
    "within the noise": "≈ noise",
    "cannot tell yet": "? open",
}
"""What was found of a setting, short enough for a table."""
NUMBERS = frozenset({0, 1, 2, 3, 4, 7, 8})
"""Columns of the table that are aligned to the right."""


def table(recipes: Sequence[Recipe], found: Sequence[Compared], whole: bool = True) -> list[tuple[str, ...]]:
    """The comparison as cells, its head first; `whole`: with the epoch of the lowest loss and the number of trainings."""
    rows: list[tuple[str, ...]] = [("rank", "rate", "epochs", "loss", "diff", "where it lies", "", "best epoch", "trainings")]
    for recipe, each in zip(recipes, found, strict=True):
        rows.append(
            (
                f"{recipe.r}",
                f"{recipe.learning_rate:g}",
                f"{recipe.epochs}",
                f"{each.loss:.3f}" if each.loss is not None else "-",
                f"{each.difference:+.3f}" if each.difference is not None else "",
                f"{each.interval[0]:+.3f} to {each.interval[1]:+.3f}" if each.interval else "",
                SIGNS[each.word],
                f"{each.epoch:.1f}" if each.epoch is not None else "",
                f"{each.trials}",
            )
        )
    return rows if whole else [row[:7] for row in rows]
