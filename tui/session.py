"""The session: one workspace, its settings, dataset, runs and worker tied together. What a key does and what a command does are
the same functions, here. Knows no Textual."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from core import config
from core.choices import Choices
from core.client import WorkerClient
from core.config import Preset, Sampling, Settings
from core.errors import FlavorError
from core.files import make_folder, new_uid, now, sweep
from core.gauges.copying import Copying
from core.lock import Lock
from core.place import refuse_links
from core.protocol import AnyEvent, Evaluated, Loaded, Provisional, Row, Trained, Usable
from core.runfiles import BASE
from core.task import Task
from core.text import check_text
from dataset.journal import RESCUE
from dataset.rows import IMPORTED, KEPT, Candidate, Decision, Example, Op, Origin, Parsed, Tables, Verdict
from dataset.snapshots import take
from dataset.store import Store
from runs.registry import Registry

if TYPE_CHECKING:
    from tui.candidates import Candidates
    from tui.learning import Learning
    from tui.planning import Plan, Planner
    from tui.ranking import Ranking
    from tui.tasting import Tasting

STATES = {"accept": "accepted", "edit": "edited", "reject": "rejected", "skip": "skipped"}


class Session:
    """An open workspace. Use as a context manager; `stop_worker` first where a worker was started."""

    def __init__(self, workspace: Path, read_only: bool = False) -> None:
        """Open it. Raises FlavorError where it is none or is damaged. Read-only where another session holds it: see `held_by`."""
        self.workspace = workspace.resolve()
        self.settings: Settings = config.load(self.workspace)
        refuse_links(self.workspace)
        self.held_by = ""
        """Who else writes here, or why nobody can; empty where this session does."""
        self._lock = Lock(self.workspace / "lock")
        if not read_only:
            try:
                self.held_by = self._lock.acquire() or ""
            except OSError as error:
                self.held_by = f"nobody, but the folder cannot be written ({error.strerror})"
        only = read_only or bool(self.held_by)
        try:
            self.store = Store(self.workspace, only, None if only else self._lock)
        except FlavorError:
            self._lock.release()
            raise
        if not only:
            sweep(self.workspace)
        self.registry = Registry(self.workspace)
        self.store.current = self.registry.current
        self.choices = Choices(self.workspace)
        self.worker: WorkerClient | None = None
        self.loaded: Loaded | None = None
        self._copying: Copying | None = None
        self._ranking: Ranking | None = None
        self.fixed: dict[str, str] = {}
        """Attribute values that the person fixed for the next candidates."""
        self.wish: Callable[[], Plan] | None = None
        """The retraining that is to begin as soon as the model is ready."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            return self.close()
        with contextlib.suppress(FlavorError):  # what went wrong first is what the person should read
            self.close()
        return None

    def close(self) -> None:
        """Write the view, keep a snapshot, and let the workspace go."""
        try:
            self.store.close()
            if not self.store.read_only:
                with contextlib.suppress(OSError):  # the doctor says how old the last one is
                    take(self.workspace, self.store.mark)
        finally:
            self._lock.release()

    @property
    def task(self) -> Task:
        return self.settings.task

    @cached_property
    def tasting(self) -> Tasting:
        """The gauges: readings and verdicts of the checkpoints. Imported when first asked for."""
        from tui.tasting import Tasting

        return Tasting(self)

    @cached_property
    def learning(self) -> Learning:
        """The learning curve: its points and what they tell. Imported when first asked for."""
        from tui.learning import Learning

        return Learning(self)

    @property
    def unsure(self) -> bool:
        """Whether the file that knows the journal's end did not when this session began."""
        return not self.held_by and self._lock.note is None and self.store.journal.seq > 0

    def must_write(self) -> None:
        """Raises FlavorError where this session may not change anything."""
        if self.held_by:
            raise FlavorError(f"{self.workspace} is open elsewhere: {self.held_by}.", "Close that session first.", "locked")
        if self.store.journal.broken:
            raise FlavorError(self.store.journal.broken, RESCUE, "read-only")

    # -- examples ------------------------------------------------------------------------------------------------------

    def _commit(self, kind: str, put: Tables, note: str = "") -> Op:
        self.must_write()
        op = self.store.commit(kind, put, note)
        self._reindex(put)
        return op

    def commit(self, kind: str, put: Tables, note: str = "") -> Op:
        """Change the dataset in one step; for features with a module of their own. Raises FlavorError, with nothing changed."""
        return self._commit(kind, put, note)

    def _reindex(self, put: Tables) -> None:
        if self._copying is not None:
            for uid, example in put.examples.items():
                self._copying.remove(uid)
                if example:
                    self._copying.add(uid, example.text)
        if self._ranking is not None and put.examples:
            self._ranking.examples_changed()

    @property
    def copying(self) -> Copying:
        """The examples' word runs, indexed when first asked for."""
        if self._copying is None:
            self._copying = Copying(self.store.texts().items())
        return self._copying

    def write_example(self, text: str, fields: Mapping[str, str], origin: Origin = "written") -> Example:
        """Add an example. It is on the disk when this returns. Raises FlavorError on empty or huge texts and wrong fields."""
        example = Example(new_uid(), check_text(text), self.task.check(fields), origin, now())
        self._commit("write", Tables(examples={example.uid: example}), "example written")
        return example

    def change_example(self, uid: str, text: str, fields: Mapping[str, str]) -> Example:
        """Replace an example's text and fields. Undoable. What a model wrote is `accepted` as long as it has the model's words, else `edited`."""
        old = self._example(uid)
        after, origin = check_text(text), old.origin
        if origin in ("accepted", "edited") and (written := self.store.candidates.get(old.candidate)):
            origin = "accepted" if after == written.text else "edited"
        example = msgspec.structs.replace(old, text=after, fields=self.task.check(fields), origin=origin, changed=now())
        self._commit("change", Tables(examples={uid: example}), "example changed")
        return example

    def delete_example(self, uid: str) -> None:
        """Remove an example. Undoable."""
        self._example(uid)
        self._commit("delete", Tables(examples={uid: None}), "example deleted")

    def _example(self, uid: str) -> Example:
        if uid not in self.store.examples:
            raise FlavorError(f"There is no example {uid!r}.", "It may have been deleted; u takes that back.", "missing")
        return self.store.examples[uid]

    def bring(self, put: Tables, note: str) -> None:
        """Add what was read elsewhere as one undoable step."""
        self._commit("import", put, note)

    def import_rows(self, rows: list[Parsed], note: str, names: list[str] | None = None, kind: str = "import") -> int:
        """Add parsed rows as one step. `names` gives them ids of their own; undo takes it back where its `kind` is an import."""
        uids = names or [new_uid() for _ in rows]
        examples = {uid: Example(uid, text, fields, "imported", now()) for uid, (text, fields) in zip(uids, rows, strict=True)}
        self._commit(kind, Tables(examples=dict(examples)), note)
        return len(rows)

    def known_values(self) -> dict[str, list[str]]:
        """The values that the examples use, by field, most frequent first."""
        counts: dict[str, Counter[str]] = {field.name: Counter() for field in self.task.fields}
        for example in self.store.examples.values():
            for name, value in example.fields.items():
                if name in counts:
                    counts[name][value] += 1
        return {name: [value for value, _ in counter.most_common()] for name, counter in counts.items()}

    # -- candidates and decisions --------------------------------------------------------------------------------------

    @property
    def ranking(self) -> Ranking:
        """The order of what waits, made when first asked for."""
        if self._ranking is None:
            from tui.ranking import Ranking

            self._ranking = Ranking(self.store, self.copying)
        return self._ranking

    def ranked(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Candidates in the order in which they should be shown, by what was decided so far."""
        return self.ranking.order(candidates) if candidates else []

    def newest(self) -> list[Candidate]:
        """The candidates that wait and are such as would be sampled now: of the active checkpoint, with its strength, and of the base with
        examples shown as soon as there are any; oldest first."""
        current = self.registry.current()
        strength, batches = self.strength(current), self.store.batches
        found = [
            candidate
            for candidate in self.store.pending.values()
            if candidate.checkpoint == current and ((batch := batches.get(candidate.batch)) is None or batch.strength == strength)
        ]
        if found and current == BASE and self.settings.sampling.few_shot > 0 and self.store.examples:
            from tui.shown import showable, wanted_examples

            if any(showable(self.store.examples.values())):
                found = [c for c in found if (batch := batches.get(c.batch)) is None or not wanted_examples(batch)]
        return found

    def queue(self) -> list[Candidate]:
        """The candidates that wait, ranked, those of the active checkpoint first; then the others, oldest first."""
        newest = self.newest()
        if not newest:
            return self.ranked(list(self.store.pending.values()))
        first = {candidate.uid for candidate in newest}
        return [*self.ranked(newest), *(c for c in self.store.pending.values() if c.uid not in first)]

    def pass_over(self, sampled: int) -> int:
        """After so many were sampled: what will not be shown waits no more, as long as enough candidates do. Returns how many.

        That is what older checkpoints and other strengths wrote, and the share of the rest that `oversample` says, the least likely to be kept.
        Texts without a word go as soon as there is another: there is nothing to decide about them.
        """
        sampling, newest = self.settings.sampling, self.newest()
        gone: list[Candidate] = []
        if sampling.oversample > 1 and any(candidate.text.strip() for candidate in newest):
            gone = [candidate for candidate in newest if not candidate.text.strip() and candidate.uid != self.ranking.held]
            newest = [candidate for candidate in newest if candidate.text.strip() or candidate.uid == self.ranking.held]
        if len(newest) >= max(1, sampling.keep_ready):
            kept = {self.ranking.held, *(candidate.uid for candidate in newest)}
            gone = [candidate for candidate in self.store.pending.values() if candidate.uid not in kept]
            spare = min(len(newest) - sampling.keep_ready, sampled - sampled // sampling.oversample)
            gone += self.ranking.surplus(newest, spare)
        if gone:
            passed = {candidate.uid: msgspec.structs.replace(candidate, state="passed") for candidate in gone}
            self._commit("pass", Tables(candidates=dict(passed)), f"{len(gone)} passed over")
        return len(gone)

    def decide(self, uid: str, verdict: Verdict, text: str | None = None, fields: dict[str, str] | None = None) -> Decision:
        """Decide a waiting candidate, or keep one after all that made no example: its new decision then stands in the place of the old one.
        `text` is the edited text, `fields` are the attributes that it is kept with (`Task.check`; None: those that were asked for). On the disk
        when this returns."""
        candidate = self.store.candidates.get(uid)
        if candidate is None:
            raise FlavorError(f"There is no candidate {uid!r}.", "See `flavor-tui generate`.", "missing")
        old = None
        if candidate.state not in ("pending", "passed"):
            old = next((each for each in reversed(self.store.decisions.values()) if each.candidate == uid), None)
            if verdict not in KEPT or (old and old.example in self.store.examples):
                raise FlavorError(f"Candidate {uid} is {candidate.state} already.", "Take that back first: undo.", "decided")
        after, changed = "", None
        if verdict in KEPT:
            after = check_text(candidate.text if text is None else text)
            changed = None if fields is None or fields == self.task.only(candidate.fields) else fields
            verdict = "accept" if after == candidate.text and changed is None else "edit"
        batch = self.store.batches.get(candidate.batch)
        example = None
        if after:
            brought = candidate.checkpoint == IMPORTED  # then it is as if its file had not called it rejected
            origin: Origin = "imported" if brought else "accepted" if after == candidate.text else "edited"
            depth = 0 if brought else self.registry.depth(candidate.checkpoint) + 1
            kept = candidate.fields if changed is None else changed
            example = Example(new_uid(), after, kept, origin, now(), candidate=uid, depth=depth)
        place = old or (self._ranking.place(uid) if self._ranking else None)
        decision = Decision(
            new_uid(), uid, verdict, now(), candidate.text, after, candidate.fields, candidate.checkpoint, candidate.seed,
            batch.settings if batch else {}, example.uid if example else "", place.slot if place else "",
            place.predicted if place else None, changed,
        )  # fmt: skip
        put = Tables(
            examples={example.uid: example} if example else {},
            candidates={uid: msgspec.structs.replace(candidate, state=STATES[verdict])},
            decisions={**({old.uid: None} if old else {}), decision.uid: decision},
        )
        self._commit("decide", put, STATES[verdict] + (" after all" if old else ""))
        return decision

    def undo(self) -> Op | None:
        """Take back the last thing a person did; None where there is nothing left."""
        self.must_write()
        if self.store.last and self.store.last.kind == "go":
            from tui.back import take_back

            return take_back(self, self.store.last)
        op = self.store.undo()
        if op:
            self._reindex(op.was)
            if op.kind == "decide":
                self.ranking.taken_back(op)
        return op

    def forget(self) -> None:
        """Much of the dataset changed at once: what was worked out from it is worked out again."""
        self._copying = self._ranking = None

    def use(self, checkpoint: str) -> None:
        """Make a checkpoint active; that is a moment one can go back to. Raises FlavorError where it does not exist."""
        self.must_write()
        with self.whole_or_not():
            self.registry.use(checkpoint)
            if self.store.active != checkpoint:
                self.commit("use", Tables(), f"{checkpoint} is active")

    @contextlib.contextmanager
    def whole_or_not(self) -> Iterator[None]:
        """Where a step that makes another checkpoint active fails, the one from before is so again."""
        before = self.registry.current()
        try:
            yield
        except BaseException:
            if self.registry.current() != before:
                with contextlib.suppress(FlavorError):  # what went wrong first is what the person should read
                    self.registry.use(before)
            raise

    def status(self) -> dict[str, object]:
        """The figures of `flavor-tui status`."""
        counts = self.store.counts
        return {
            "examples": len(self.store.examples),
            "pending": counts["pending"],
            "accepted": counts["accepted"],
            "rejected": counts["rejected"],
            "edited": counts["edited"],
            "skipped": counts["skipped"],
            "passed": counts["passed"],
            "checkpoint": self.registry.current(),
        }

    # -- the worker ----------------------------------------------------------------------------------------------------

    def base(self) -> str:
        """The base as the worker finds it."""
        return config.find_base(self.workspace, self.settings.model.base)

    def take_base(self, base: str) -> None:
        """Have another base from now on, in flavor.toml too: for a workspace in which nothing was trained. Raises FlavorError."""
        self.must_write()
        config.put_base(self.workspace, base)
        self.settings = msgspec.structs.replace(self.settings, model=msgspec.structs.replace(self.settings.model, base=base))

    async def start_worker(self, early: bool = False) -> AsyncIterator[AnyEvent]:
        """Start the worker and load the base: its progress, up to `Loaded`. With `early`, a base that is used for the first time can be sampled
        from `Usable` on, unless a checkpoint is active: that was trained on what it will be. Raises FlavorError where it fails."""
        self.loaded = None
        log = self.workspace / "logs" / "worker.log"
        try:
            make_folder(log.parent)
            if log.exists() and log.stat().st_size > 1 << 22:
                os.replace(log, log.with_suffix(".old"))
            self.worker = WorkerClient(log)
            await self.worker.start()
        except OSError as error:
            self.worker = None
            raise FlavorError(f"The worker could not be started: {error.strerror}.", "Make room or mend the folder.", "worker") from None
        model = self.settings.model
        early = early and self.registry.current() == BASE
        try:
            async for event in self.worker.load(self.base(), model.quantization, self.settings.lora, model.calibrate, early):
                if isinstance(event, Loaded | Usable):
                    self.loaded = event.loaded if isinstance(event, Usable) else event
                yield event
        except FlavorError:
            self.loaded = None
            raise

    async def stop_worker(self) -> None:
        if self.worker:
            await self.worker.close()
            self.worker = None
            self.loaded = None

    def ready(self) -> tuple[WorkerClient, Loaded]:
        if self.worker is None or self.loaded is None:
            raise FlavorError("The model is not loaded yet.", "Wait a moment, or restart the worker with R.", "order")
        return self.worker, self.loaded

    def use_preset(self, preset: Preset) -> None:
        """Sample by a preset from now on, where flavor.toml does not set the values itself."""
        own = config.own_sampling(self.workspace)
        sampling = config.with_preset(msgspec.convert(own, Sampling), preset, own)
        self.settings = msgspec.structs.replace(self.settings, sampling=sampling)

    def active(self) -> str:
        """The active checkpoint as a person should read it: with its strength, where that is not as trained."""
        current = self.registry.current()
        strength = self.strength(current)
        return current if strength == 1 else f"{current} ×{strength:g}"

    def strength(self, checkpoint: str) -> float:
        """What a checkpoint is sampled with; 1 for the base, which has no adapter."""
        return self.choices.of(checkpoint).strength

    @cached_property
    def candidates(self) -> Candidates:
        """What samples. Imported when first asked for."""
        from tui.candidates import Candidates

        return Candidates(self)

    def sample(self, count: int, fixed: Mapping[str, str], **options: Any) -> AsyncIterator[Candidate | AnyEvent]:
        """Sample candidates: `Candidates.sample`."""
        return self.candidates.sample(count, fixed, **options)

    # -- retraining ----------------------------------------------------------------------------------------------------

    @cached_property
    def planner(self) -> Planner:
        """What says what a retrain would do. Imported when first asked for."""
        from tui.planning import Planner

        return Planner(self)

    def plan(self, fresh: bool = False, epochs: int | None = None, seed: int | None = None) -> Plan:
        """What a retrain would do: `Planner.plan`."""
        return self.planner.plan(fresh, epochs, seed)

    async def retrain(self, plan: Plan) -> AsyncGenerator[AnyEvent]:
        """Carry a plan out. A checkpoint is active from the moment that `Provisional` or, at the end, `Trained` names it, unless the person has
        chosen another one since the run began; else nothing changed."""
        worker, _ = self.ready()
        folder = self.registry.create(plan.spec, plan.rows, plan.pairs)
        self.registry.live = plan.spec.name
        stood = self.registry.current()
        try:
            async with contextlib.aclosing(worker.train(folder, self.settings.metrics.on())) as events:
                async for event in events:
                    match event:
                        case Provisional() if self.registry.current() == stood:
                            with contextlib.suppress(FlavorError):  # the run goes on, and its end tries again
                                self.use(event.checkpoint)
                            stood = self.registry.current()
                        case Trained() if self.registry.current() == stood:
                            if event.checkpoint not in (stood, plan.spec.parent):  # where the parent is the better one, what stood stays
                                self.use(event.checkpoint)
                    yield event
        finally:
            self.registry.live = ""

    async def evaluate(self, rows: list[Parsed], checkpoint: str | None = None) -> Evaluated:
        """Mean loss per token of texts, their headings and fields given; their ids are their places, from 1."""
        worker, _ = self.ready()
        folder = self.registry.checkpoint_folder(checkpoint or self.registry.current())
        wire = [Row(str(number), self.task.segments(fields), text) for number, (text, fields) in enumerate(rows, 1)]
        async for event in worker.evaluate(folder, wire, self.settings.training.max_tokens):
            if isinstance(event, Evaluated):
                return event
        raise FlavorError("The measurement was cancelled.", kind="cancelled")

    async def write_view(self) -> None:
        """Bring dataset.json up to date without holding up the keys."""
        tables = self.store.snapshot()
        if tables:
            with contextlib.suppress(OSError):  # the journal is the truth; the view is written again at the end
                await asyncio.to_thread(self.store.write_view, tables)
