"""A workspace: its settings, dataset, runs, choices and worker tied together. What is done with it is `session` and the modules between."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import msgspec

from core import config
from core.choices import Choices
from core.client import WorkerClient
from core.config import Preset, Sampling, Settings
from core.errors import FlavorError
from core.files import make_folder, new_uid, now, sweep
from core.gauges.copying import Copying
from core.lock import Lock, refused
from core.place import refuse_links
from core.protocol import AnyEvent, Loaded, Usable
from core.runfiles import BASE
from core.task import Task
from core.text import check_text
from dataset.journal import RESCUE
from dataset.rows import Candidate, Example, Op, Origin, Parsed, Tables
from dataset.snapshots import take, with_choices
from dataset.store import Store
from runs.registry import Registry

if TYPE_CHECKING:
    from tui.session.ranking import Ranking


class Workspace:
    """An open workspace. Use as a context manager; `stop_worker` first where a worker was started."""

    def __init__(self, folder: Path, read_only: bool = False) -> None:
        """Open it. Raises FlavorError where it is none or is damaged. Read-only where another session holds it: see `held_by`."""
        self.folder = folder.resolve()
        self.settings: Settings = config.load(self.folder)
        refuse_links(self.folder)
        self.held_by = ""
        """Who else writes here, `nobody` where the folder cannot be written; empty where this session does."""
        self._unwritable = ""
        """Why it cannot, in the system's words."""
        self._lock = Lock(self.folder / "lock")
        if not read_only:
            try:
                self.held_by = self._lock.acquire() or ""
            except OSError as error:
                self.held_by, self._unwritable = "nobody", error.strerror or str(error)
        only = read_only or bool(self.held_by)
        try:
            self.store = Store(self.folder, only, None if only else self._lock)
        except FlavorError:
            self._lock.release()
            raise
        if not only:
            sweep(self.folder)
        self.registry = Registry(self.folder)
        self.store.current = self.registry.current
        had = False
        with contextlib.suppress(OSError):  # what cannot be looked at tells nothing
            had = with_choices(self.folder) is not None
        self.choices = Choices(self.folder, had)
        self.registry.spoken_of = self._spoken_of
        self.worker: WorkerClient | None = None
        self.loaded: Loaded | None = None
        self._copying: Copying | None = None
        self._ranking: Ranking | None = None
        self.fixed: dict[str, str] = {}
        """Attribute values that the person fixed for the next candidates: `fix`."""
        self._wishes: list[tuple[int, dict[str, str]]] = [(0, {})]
        """What was fixed in this session, and after which line of the journal: a clock may be set back."""

    def __enter__(self) -> Self:
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
                with contextlib.suppress(OSError, ValueError):  # the doctor says how old the last one is
                    take(self.folder, self.store.mark)
        finally:
            self._lock.release()

    async def write_view(self) -> None:
        """Bring dataset.json up to date without holding up the keys."""
        tables = self.store.snapshot()
        if tables:
            with contextlib.suppress(OSError):  # the journal is the truth; the view is written again at the end
                await asyncio.to_thread(self.store.write_view, tables)

    def _spoken_of(self) -> set[str]:
        """The checkpoints that anything was chosen for, sampled from, compared or measured. Asked for once a run, so what is kept of texts and
        losses is imported and read only then."""
        from runs import measured
        from runs.sheets import Sheets

        sampled = {one.checkpoint for table in (self.store.batches, self.store.candidates) for one in table.values()}
        lanes = {lane.partition(" ")[0] for lane in Sheets(self.folder).lanes()}
        return {*self.store.was_active, *sampled, *self.choices.all(), *measured.read(self.folder).losses, *lanes}

    @property
    def task(self) -> Task:
        return self.settings.task

    @property
    def unsure(self) -> bool:
        """Whether the file that knows the journal's end did not when this session began."""
        return not self.store.journal.read_only and self._lock.unsure(self.store.journal.seq)

    @property
    def refused(self) -> FlavorError | None:
        """What keeps this session from changing anything since it began."""
        return refused(self.folder, self.held_by, self._unwritable) if self.held_by else None

    def must_write(self) -> None:
        """Raises FlavorError where this session may not change anything."""
        if refusal := self.refused:
            raise refusal
        if self.store.journal.broken:
            raise FlavorError(self.store.journal.broken, RESCUE, "read-only")

    # -- examples ------------------------------------------------------------------------------------------------------

    def commit(self, kind: str, put: Tables, note: str = "") -> Op:
        """Change the dataset in one step. Raises FlavorError, with nothing changed."""
        self.must_write()
        op = self.store.commit(kind, put, note)
        self._reindex(put)
        return op

    def _reindex(self, put: Tables) -> None:
        if self._copying is not None:
            for uid, example in put.examples.items():
                self._copying.remove(uid)
                if example:
                    self._copying.add(uid, example.text)
        if self._ranking is not None and put.examples:
            self._ranking.examples_changed(put.examples)

    @property
    def copying(self) -> Copying:
        """The examples' word runs, indexed when first asked for."""
        if self._copying is None:
            self._copying = Copying(self.store.texts().items())
        return self._copying

    def write_example(self, text: str, fields: Mapping[str, str], origin: Origin = "written") -> Example:
        """Add an example. It is on the disk when this returns. Raises FlavorError on empty or huge texts and wrong fields."""
        example = Example(new_uid(), check_text(text), self.task.check(fields), origin, now())
        self.commit("write", Tables(examples={example.uid: example}), "example written")
        return example

    def change_example(self, uid: str, text: str, fields: Mapping[str, str]) -> Example:
        """Replace an example's text and fields. Undoable. What a model wrote is `accepted` as long as it has the model's words, else `edited`."""
        old = self._example(uid)
        after, origin = check_text(text), old.origin
        if origin in ("accepted", "edited") and (written := self.store.candidates.get(old.candidate)):
            origin = "accepted" if after == written.text else "edited"
        elif origin == "accepted" and after != old.text:  # it came from another workspace, and what the model wrote stood here
            origin = "edited"
        example = msgspec.structs.replace(old, text=after, fields=self.task.check(fields), origin=origin, changed=now())
        self.commit("change", Tables(examples={uid: example}), "example changed")
        return example

    def delete_example(self, uid: str) -> None:
        """Remove an example. Undoable."""
        self._example(uid)
        self.commit("delete", Tables(examples={uid: None}), "example deleted")

    def _example(self, uid: str) -> Example:
        if uid not in self.store.examples:
            raise FlavorError(f"There is no example {uid!r}.", "It may have been deleted; u takes that back.", "missing")
        return self.store.examples[uid]

    def bring(self, put: Tables, note: str) -> None:
        """Add what was read elsewhere as one undoable step."""
        self.commit("import", put, note)

    def import_rows(self, rows: list[Parsed], note: str, names: list[str] | None = None, kind: str = "import") -> int:
        """Add parsed rows as one step. `names` gives them ids of their own; undo takes it back where its `kind` is an import."""
        uids = names or [new_uid() for _ in rows]
        examples = {uid: Example(uid, text, fields, "imported", now()) for uid, (text, fields) in zip(uids, rows, strict=True)}
        self.commit(kind, Tables(examples=dict(examples)), note)
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
            from tui.session.ranking import Ranking

            self._ranking = Ranking(self.store, self.copying)
        return self._ranking

    def newest(self) -> list[Candidate]:
        """The candidates that wait and are such as would be sampled now: of the active checkpoint, with its strength and what is fixed, and of
        the base that flavor.toml names, with examples shown as soon as there are any; oldest first."""
        current = self.registry.current()
        strength, batches, base = self.strength(current), self.store.batches, self.settings.model.base
        found = [
            candidate
            for candidate in self.store.pending.values()
            if candidate.checkpoint == current
            and ((batch := batches.get(candidate.batch)) is None or (batch.strength == strength and batch.base in ("", base)))
        ]
        if len(self._wishes) > 1:
            found = [candidate for candidate in found if self._asked_now(candidate)]
        if found and current == BASE and self.settings.sampling.few_shot > 0 and self.store.examples:
            from tui.session.shown import showable, wanted_examples

            if any(showable(self.store.examples.values())):
                found = [c for c in found if (batch := batches.get(c.batch)) is None or not wanted_examples(batch)]
        return found

    def fix(self, fixed: dict[str, str], since: int | None = None) -> None:
        """Have these attribute values in the next candidates, and all others drawn; what was sampled for others gives way. `since` is after which
        line of the journal that was wished, where it was in a session before."""
        if fixed != self.fixed:
            self.fixed, last = fixed, self.store.journal.seq
            self._wishes.append((last if since is None else min(since, last), fixed))

    def _asked_now(self, candidate: Candidate) -> bool:
        """Whether a candidate was sampled when the same was fixed as now, or has what is fixed now anyway."""
        batch = self.store.batches.get(candidate.batch)
        then = next(fixed for since, fixed in reversed(self._wishes) if since <= (batch.examples_at if batch else 0))
        return then == self.fixed or (bool(self.fixed) and self.fixed.items() <= candidate.fields.items())

    def made_up(self, candidate: Candidate) -> list[str]:
        """The attributes of a candidate whose values the base made up."""
        batch = self.store.batches.get(candidate.batch)
        if batch is None or candidate.index not in batch.invented:
            return []
        return [name for name in self.task.free_names if name in candidate.fields]

    def forget(self) -> None:
        """Much of the dataset changed at once: what was worked out from it is worked out again."""
        self._copying = self._ranking = None

    def use(self, checkpoint: str, kind: Literal["use", "taken"] = "use") -> None:
        """Make a checkpoint active, by a person or, `taken`, by its own run; that is a moment one can go back to. Raises FlavorError where it does
        not exist."""
        self.must_write()
        with self.whole_or_not():
            self.registry.use(checkpoint)
            if self.store.active != checkpoint:
                self.commit(kind, Tables(), f"{checkpoint} is active")

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
        return config.find_base(self.folder, self.settings.model.base)

    def take_base(self, base: str) -> None:
        """Have another base from now on, in flavor.toml too: for a workspace in which nothing was trained. Raises FlavorError."""
        self.must_write()
        config.put_base(self.folder, base)
        self.settings = msgspec.structs.replace(self.settings, model=msgspec.structs.replace(self.settings.model, base=base))

    async def start_worker(self, early: bool = False) -> AsyncIterator[AnyEvent]:
        """Start the worker and load the base: its progress, up to `Loaded`. With `early`, a base that is used for the first time can be sampled
        from `Usable` on, unless a checkpoint is active: that was trained on what it will be. Raises FlavorError where it fails."""
        self.loaded = None
        log = self.folder / "logs" / "worker.log"
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
        own = config.own_sampling(self.folder)
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
