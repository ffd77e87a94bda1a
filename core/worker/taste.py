"""A run of taste: like any other run, but on pairs of texts, and behind a gate. Below it the parent stays."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from core.errors import FlavorError
from core.gate import Gate
from core.protocol import Row
from core.runfiles import Pair, RunSpec
from core.stopping import Baked
from core.worker.forms import Forms
from core.worker.memory import StepMemory
from core.worker.model import Base
from core.worker.preference import encode_pair, prefer
from core.worker.retraining import Retraining, Save
from core.worker.training import EpochDone, StepDone


class TasteRun(Retraining):
    """Carries a run of taste out. The parent's adapter must be in the model already; `rows` are what it is measured on."""

    def __init__(self, base: Base, forms: Forms, spec: RunSpec, rows: Sequence[Row], pairs: Sequence[Pair], save: Save) -> None:
        """Raises FlavorError where no pair is left."""
        super().__init__(base, forms, spec, rows, save)
        encoded = [encode_pair(base.tokenizer, pair, spec.training.end_weight) for pair in pairs]
        long = {text.row for pair in encoded for text in (pair.chosen, pair.rejected) if len(text.ids) > self.limit}
        self.skipped += sorted(long - set(self.skipped))
        self._pairs = [pair for pair in encoded if not {pair.chosen.row, pair.rejected.row} & long]
        if not self._pairs:
            raise FlavorError(f"Every pair has a text longer than {self.limit} tokens.", "Raise max_tokens in flavor.toml.", "empty")

    def _watch(self, parent: Baked) -> Gate:
        return Gate(parent)

    def _widest(self) -> tuple[int, int]:
        return max(pair.width for pair in self._pairs), 1

    def _loop(self, memory: StepMemory) -> Generator[StepDone | EpochDone | None]:
        spec = self._spec
        return prefer(
            self._base.model, self._forms.parameters(), self._pairs, spec.training,
            epochs=spec.epochs, peak=spec.learning_rate, seed=spec.seed, memory=memory,
        )  # fmt: skip
