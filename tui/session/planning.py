"""What a retrain would do, said before it starts: its rows, its steps, its time. No Textual."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING

from core import runfiles
from core.config import STARTER, Training
from core.errors import FlavorError
from core.files import now
from core.protocol import Row
from core.runfiles import BASE, Pair, RunSpec
from core.stopping import refit_steps, steps_of
from core.text import counted, duration, is_clean, short
from dataset.folds import held_out

if TYPE_CHECKING:
    from core.gauges.verdict import Judgement
    from core.task import Segment, Task
    from dataset.rows import Example
    from tui.session.workspace import Workspace

CHARACTERS_PER_TOKEN = 4.2
"""Of English prose, for estimates only, until `SAMPLED` texts tell how it is here."""
SAMPLED = 4
LATEST = 64
"""Texts, the newest, that tell it then."""
MOST_SEEN = 4
"""Epochs in which a lineage may see its rows before training afresh is proposed: `bench.topup` measures it."""
FEW = 50
"""New examples up to which those are looked for that no run takes."""
REFIT_EPOCHS = 2
"""Best epochs as a rule, for estimates of the repetition on all rows."""

FIRST_STEPS = 16
"""Best steps as a rule in a first run of the starter, with the rate and the batch that are the defaults: 16, 16 and 20 with twelve rows of three
tasks (`docs/evening.md`). Where it is otherwise the run itself finds out, and the next one goes by that."""


@dataclass(frozen=True)
class Plan:
    """What a retrain would do, said before it starts."""

    spec: RunSpec
    rows: list[Row]
    learned: int
    held: int
    steps: int
    seconds: float
    memory: int
    seen: float = 0.0
    """Median epochs in which the parent's lineage was trained on these rows."""
    overbaked: bool = False
    """The verdict on the parent."""
    left_out: int = 0
    """Examples with characters that are not shown as they are stored: they must be saved again first."""
    unasked: Sequence[str] = ()
    """Attributes that rows have values of and the task has not: no prompt has them."""
    unlisted: Sequence[str] = ()
    """Values that rows have and that are no choices of the task: their prompts have them."""
    pairs: Sequence[Pair] = ()
    """Of a run of taste."""
    absent: str = ""
    """What [metrics] asks for and is not installed, in a sentence."""
    refit: bool = False
    """Whether the best epoch's training will be repeated on all rows."""
    first: float = 0.0
    """Seconds until it was repeated on all rows, where that comes first; else 0."""

    @property
    def advice(self) -> str:
        """What the person should know before a run; empty where there is nothing."""
        return " ".join(part for part in (self._about_parent(), self.absent) if part)

    def _about_parent(self) -> str:
        if self.spec.parent and self.overbaked:
            return f"{self.spec.parent} is overbaked, and a top-up bakes on: T trains afresh."
        if self.spec.parent and self.seen >= MOST_SEEN:
            return f"{self.spec.parent} and its parents have seen their rows {self.seen:g} times: T trains afresh."
        return ""

    def line(self) -> str:
        """One line for the person."""
        how = f"top-up of {self.spec.parent}" if self.spec.parent else "afresh from the base"
        memory = f", about {self.memory / 1e9:.1f} GB" if self.memory else ""
        hidden = f"; {self.left_out} left out, since they hold hidden characters: open and save them" if self.left_out else ""
        names = ", ".join(map(short, self.unasked))
        unasked = f"; without the values of {names}, which flavor.toml has no attribute for" if names else ""
        unlisted = f"; with values that flavor.toml does not offer: {short(', '.join(self.unlisted))}" if self.unlisted else ""
        takes = f"{epochs_of(self.spec)}, {self.steps} steps"
        new, time = f"({self.spec.new_rows} new)", f"about {duration(self.seconds)}"
        if self.first:
            work = f" on all {len(self.rows)} rows {new}, in use after about {duration(self.first)}; then measured on {self.held} held out: {takes}, in all {time}"
        else:
            held = f" and {self.held} held out" if self.held else ""
            again = f"then again on all {len(self.rows)} rows, " if self.refit else ""
            work = f": {counted(self.learned, 'row')}{held} {new}, {takes}, {again}{time}"
        return f"{how}{work}{memory}{hidden}{unasked}{unlisted}"


def epochs_of(spec: RunSpec) -> str:
    """How many epochs a run has, in words."""
    most = "at most " if spec.training.stop_early and spec.epochs > 1 else ""
    return f"{most}{spec.epochs} epoch{'s' if spec.epochs > 1 else ''}"


class Planner:
    """Plans the runs of a workspace."""

    def __init__(self, workspace: Workspace, readings: Callable[[str], Judgement]) -> None:
        """`readings`: what is known of a checkpoint."""
        self._workspace = workspace
        self._readings = readings
        self._had: tuple[str, Task | None, dict[str, int]] = ("", None, {})
        """A run, the task, and what its rows were, by id."""
        self._compared: dict[str, tuple[Example, bool]] = {}
        """Examples, and whether they are as that run and that task have them."""
        self._specs: dict[str, RunSpec] = {}

    def plan(self, fresh: bool = False, epochs: int | None = None, seed: int | None = None, onwards: bool = False) -> Plan:
        """What a retrain would do. With few rows it is afresh, as `topup_from` says, unless they are those of the active checkpoint; else, and
        with `onwards` in any case, a top-up, which warm-starts from it. From a refit it starts at the epoch that the refit repeats: an
        adapter that was trained on the held-out rows could not be measured on them.

        Raises FlavorError where there is nothing to train on.
        """
        self._workspace.must_write()
        if not self._workspace.store.examples:
            raise FlavorError("There is no example to train on.", "Write or accept one first.", "empty")
        training = self._workspace.settings.training
        current = self._workspace.registry.current()
        before = None if current == BASE else current
        parent = self._workspace.registry.measure_of(before) if before else None
        rows, new = self._rows(before)
        if before and (parent is None or fresh or (not onwards and self._afresh(before, rows, new))):
            parent, rows = None, self._rows(None)[0]
        learned = [row for row in rows if not row.held_out]
        if not learned:
            raise FlavorError("There is no row to train on: all are held out.", "Write or accept an example first.", "empty")
        epochs = epochs or (training.topup_epochs if parent else training.epochs)
        spec = RunSpec(
            name=self._workspace.registry.next_name(), created=now(), base=self._workspace.settings.model.base,
            fingerprint=self._workspace.loaded.fingerprint if self._workspace.loaded else "", quantization=self._workspace.settings.model.quantization,
            lora=self._workspace.settings.lora, training=training, seed=int.from_bytes(os.urandom(3)) if seed is None else seed, epochs=epochs,
            learning_rate=training.learning_rate * (training.topup_rate if parent else 1.0), parent=parent, rows=len(rows),
            new_rows=new, rows_sha256=hashlib.sha256(runfiles.encode_rows(rows)).hexdigest(),
            versions=versions(), task=self._workspace.task, shrink=training.topup_shrink if parent else 1.0,
            expected=0 if parent else self._best_before(training),
        )  # fmt: skip
        return self.of(spec, rows, len(self._workspace.store.examples) - len(rows))

    def goes_on(self, checkpoint: str) -> bool:
        """Whether `t` would train on from a checkpoint, were it active."""
        return self._workspace.registry.measure_of(checkpoint) is not None and not self._afresh(checkpoint, *self._rows(checkpoint))

    def _afresh(self, checkpoint: str, rows: Sequence[Row], new: int) -> bool:
        """Whether it takes a run afresh where a checkpoint is active: it is of another base or task, or its rows are others now, and still few."""
        few = len(rows) < self._workspace.settings.training.topup_from
        return not self.fits(checkpoint) or self._asked_otherwise(checkpoint, rows) or bool(few and (new or self.gone(checkpoint)))

    def _best_before(self, training: Training) -> int:
        """The steps that were best in the last run afresh whose steps were as those to come; before the first one what is best as a rule. 0 where
        nothing is known."""
        settings, usual = self._workspace.settings, Training()
        for name in reversed(self._workspace.registry.names()):
            run = self._workspace.registry.run(name)
            if not (run.result and run.result.status == "done" and run.result.best_steps and run.spec):
                continue
            before, now = (
                (base, lora, steps.learning_rate, steps.batch_size)
                for base, lora, steps in ((run.spec.base, run.spec.lora, run.spec.training), (settings.model.base, settings.lora, training))
            )
            if before == now and run.spec.kind == "train" and not run.spec.parent:
                return run.result.best_steps
        known = (STARTER, usual.learning_rate, usual.batch_size)
        return FIRST_STEPS if (settings.model.base, training.learning_rate, training.batch_size) == known else 0

    def of(self, spec: RunSpec, rows: list[Row], left_out: int = 0) -> Plan:
        """What a run with these rows would take."""
        learned = [row for row in rows if not row.held_out]
        drawn = sum(row.repeat for row in learned)
        steps = steps_of(drawn, spec.training.batch_size, spec.epochs)
        seconds, memory = self.estimate(rows, spec.epochs)
        refit = len(learned) < len(rows) <= spec.training.refit_rows
        first = 0.0
        if refit:
            best = min(spec.epochs, REFIT_EPOCHS)
            likely = steps // spec.epochs * best
            of_a_pass = steps_of(sum(row.repeat for row in rows), spec.training.batch_size, 1)
            again = self.estimate(learned, best)[0] * refit_steps(min(spec.expected or likely, steps), of_a_pass) / likely
            seconds, first = seconds + again, again if spec.expected and not spec.parent else 0.0
        seen = median(row.seen for row in learned)
        parent = spec.parent
        known = {field.name for field in self._workspace.task.fields}
        unasked = list(dict.fromkeys(name for row in rows for name in row.fields if name not in known))
        unlisted = list(dict.fromkeys(value for row in rows for value in self._workspace.task.unlisted(row.fields)))
        overbaked = parent is not None and self._readings(parent).verdict.word == "overbaked"
        return Plan(
            spec, rows, len(learned), len(rows) - len(learned), steps, seconds, memory, seen, overbaked, left_out, unasked, unlisted,
            absent=self._workspace.settings.metrics.absent(), refit=refit, first=first,
        )  # fmt: skip

    def _rows(self, parent: str | None) -> tuple[list[Row], int]:
        """The examples as a run from this parent trains on them or holds them out, and how many of them the parent did not have.

        A row that the parent was trained on, or what it goes on from, is not held out, for it is no unseen one: the rule counts places, and where
        an early row was deleted later ones move up. Nor is one that was held out trained on, unless it is a machine's text now."""
        before: dict[str, Row] = {}
        epoch = 0
        if parent:
            run, _, name = parent.partition("/")
            before, epoch = self._workspace.registry.rows(run), int(name.partition("-")[2])
        human = [uid for uid, example in self._workspace.store.examples.items() if example.human]
        out = held_out(human)  # never a machine's own text: that would flatter it, and change the measure from run to run
        if not out <= before.keys():
            out = out - self._trained(parent)
        rows: list[Row] = []
        new = 0
        for uid, example in self._workspace.store.examples.items():
            if not _is_clean(example):
                continue  # what is trained on is what was seen
            old = known = before.get(uid)
            prompt = self._workspace.task.segments(example.fields)
            if old and (old.text, old.fields, old.prompt) != (example.text, example.fields, prompt):
                old = None
            new += old is None
            held = example.human and known.held_out and not known.seen if known else uid in out
            seen = old.seen + (0 if old.held_out else old.repeat * epoch) if old else 0.0
            repeat = self._workspace.settings.training.new_rows if parent and not seen else 1
            rows.append(
                Row(
                    uid, prompt, example.text, repeat, held, example.origin, example.fields,
                    example.depth, seen,
                )
            )  # fmt: skip
        return rows, new

    def _trained(self, checkpoint: str | None) -> set[str]:
        """The ids of all rows that a checkpoint or one that it goes on from was trained on."""
        found: set[str] = set()
        passed: set[str] = set()
        while checkpoint and checkpoint not in passed:
            passed.add(checkpoint)
            found |= self._workspace.registry.learned(checkpoint).keys()
            spec = self._workspace.registry.run(checkpoint.split("/")[0]).spec
            checkpoint = spec.parent if spec else None
        return found

    def _asked_otherwise(self, checkpoint: str, rows: Sequence[Row]) -> bool:
        """Whether each row that its run had as well has another prompt now: the heading was changed, or an attribute renamed."""
        before = self._workspace.registry.rows(checkpoint.split("/")[0])
        both = [(row, before[row.id]) for row in rows if row.id in before]
        return bool(both) and all(row.prompt != old.prompt for row, old in both)

    def fits(self, checkpoint: str) -> bool:
        """Whether the base that is set can use a checkpoint, as far as its run tells: it was trained on that base, with this rank and alpha. Behind every
        key, so what a run says of itself is read once."""
        name, settings, loaded = checkpoint.split("/")[0], self._workspace.settings, self._workspace.loaded
        if checkpoint != BASE and name not in self._specs and (spec := self._workspace.registry.run(name).spec):
            self._specs[name] = spec
        if (found := self._specs.get(name)) is None:
            return True
        same = found.fingerprint == loaded.fingerprint if loaded and found.fingerprint else found.base == settings.model.base
        return same and (found.lora.r, found.lora.alpha) == (settings.lora.r, settings.lora.alpha)

    def new_rows(self, checkpoint: str) -> int:
        """The rows that the run of a checkpoint did not have, or not as they are now."""
        return self._rows(None if checkpoint == BASE else checkpoint)[1]

    def unknown(self, checkpoint: str) -> int:
        """Examples that the run of a checkpoint had not, or not as they are now, and one now would have: `new_rows`, but behind every key. Of the run's
        rows only hashes are kept, and what was compared is compared again only when it was changed."""
        run, task = checkpoint.split("/")[0], self._workspace.task
        if self._had[:2] != (run, task):
            rows = {} if checkpoint == BASE else self._workspace.registry.rows(run)
            self._had = run, task, {uid: _hash(row.text, row.fields, row.prompt) for uid, row in rows.items()}
            self._compared = {}
        had, compared = self._had[2], self._compared
        if not had and checkpoint != BASE:
            return 0  # its rows cannot be read
        new = []
        for uid, example in self._workspace.store.examples.items():
            told = compared.get(uid)
            if told is None or told[0] is not example:
                same = uid in had and had[uid] == _hash(example.text, example.fields, task.segments(example.fields))
                told = compared[uid] = example, same
            if not told[1]:
                new.append(example)
        return len(new) if len(new) > FEW else sum(map(_is_clean, new))  # of many it changes nothing, and takes long

    def gone(self, checkpoint: str) -> int:
        """The rows of its run that are no examples any more."""
        return len(self._workspace.registry.rows(checkpoint.split("/")[0]).keys() - self._workspace.store.examples.keys())

    def train_speed(self) -> tuple[float, int]:
        """Tokens a second and peak bytes of training, from the last run on this base, else from the worker's own measurement."""
        speed = self._workspace.loaded.train_speed if self._workspace.loaded else 200.0
        memory = self._workspace.loaded.memory + self._workspace.loaded.train_memory if self._workspace.loaded else 0
        for name in reversed(self._workspace.registry.names()):
            run = self._workspace.registry.run(name)
            if (
                run.result
                and run.result.status == "done"
                and run.spec
                and run.spec.base == self._workspace.settings.model.base
                and run.result.train_seconds
            ):
                return run.result.tokens / run.result.train_seconds, run.result.peak_memory
        return speed, memory

    def characters_per_token(self) -> float:
        """By what was sampled last, which is in the language of the rows and in the tokens of the base."""
        sampled = (c for c in reversed(self._workspace.store.candidates.values()) if c.tokens and c.text)
        found = [len(candidate.text) / candidate.tokens for candidate in islice(sampled, LATEST)]
        return median(found) if len(found) >= SAMPLED else CHARACTERS_PER_TOKEN

    def sizes(self, rows: Iterable[Row]) -> dict[str, float]:
        """The tokens of rows by id, those of their prompts among them, by estimate."""
        per_token = self.characters_per_token()
        return {row.id: (len(row.text) + sum(len(text) for text, _ in row.prompt)) / per_token for row in rows}

    def estimate(self, rows: list[Row], epochs: int) -> tuple[float, int]:
        """Seconds and peak bytes of a run."""
        speed, memory = self.train_speed()
        size = self.sizes(rows)
        trained = sum(size[row.id] * row.repeat for row in rows if not row.held_out) * epochs
        measured = sum(size[row.id] for row in rows if row.held_out) * (epochs + 1)
        speed = max(speed, 0.01)  # whatever was said or read
        return trained / speed + measured / (3 * speed), memory


def _is_clean(example: Example) -> bool:
    return all(map(is_clean, (example.text, *example.fields.values())))


def _hash(text: str, fields: Mapping[str, str], prompt: Sequence[Segment]) -> int:
    return hash((text, frozenset(fields.items()), tuple(prompt)))


def versions() -> dict[str, str]:
    import importlib.metadata as metadata

    found = {}
    for name in ("torch", "transformers", "peft", "bitsandbytes"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
