"""Candidates as a session samples them: prompts from the task, records on the disk, a batch again from its record. No Textual."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from core.choices import check_strength
from core.config import Sampling
from core.errors import FlavorError
from core.files import new_uid, now
from core.gauges.breakdown import flags, usual
from core.protocol import AnyEvent
from core.protocol import Candidate as Arrived
from core.runfiles import BASE
from core.task import Segment
from core.text import clean, clean_text, words
from dataset.rows import Batch, Candidate, Example, Tables
from tui.session.inventing import Inventor, spread
from tui.session.shown import few_shot, nearest, showable
from tui.session.ways import in_turn, tallies

if TYPE_CHECKING:
    from tui.session.workspace import Workspace

COPIED_WORDS = 8
"""A span of this many words that stands in an example is worth a flag."""
READ = 64
"""So many of the newest written examples are read for what is their form: a thousand would take a third of a second."""


class Candidates:
    """What a session's checkpoints write."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._inventor = Inventor(workspace)

    async def sample(
        self,
        count: int,
        fixed: Mapping[str, str],
        *,
        checkpoint: str | None = None,
        seed: int | None = None,
        strength: float | None = None,
        **changes: Any,
    ) -> AsyncIterator[Candidate | AnyEvent]:
        """Sample `count` candidates in batches; each is on the disk when it is yielded. Other events pass through.

        The attributes that are not `fixed` are drawn, or made up (`Inventor`); candidate i uses seed + i. `strength` is the checkpoint's own by
        default; `changes` are sampling settings for this time.
        """
        self._workspace.must_write()
        worker, loaded = self._workspace.ready()
        name = checkpoint or self._workspace.registry.current()
        folder = self._workspace.registry.checkpoint_folder(name)
        strength = self._workspace.strength(name) if strength is None or folder is None else check_strength(strength)
        fixed = self._workspace.task.check(fixed)
        try:
            settings = msgspec.convert({**msgspec.to_builtins(self._workspace.settings.sampling), **changes}, Sampling)
        except msgspec.ValidationError as error:
            raise FlavorError(f"These sampling settings will not do: {error}.", kind="config") from None
        first = int.from_bytes(os.urandom(4)) >> 1 if seed is None else seed
        for start in range(first, first + count, settings.batch):
            seeds = list(range(start, min(start + settings.batch, first + count)))
            made_up, used = [], settings
            if name != BASE and self._enough_wait(settings):
                made_up = await self._inventor.values(worker, len(seeds), fixed, settings, start)
            examples = list(self._workspace.store.examples.values())  # only now: the person may have written one meanwhile
            drawn = self._workspace.task.draw(fixed, [example.fields for example in examples], seeds)
            invented = spread(self._workspace.task, drawn, made_up, start)
            if name != BASE and settings.vary and not settings.shown and showable(examples) and self._enough_wait(settings):
                used = in_turn(settings, tallies(self._workspace.store), start)
            shown = self._shown(name, used, examples, drawn, seeds)
            guided = used.guidance > 0 and name != BASE and any(drawn)
            prompts = [before + self._workspace.task.segments(values) for before, values in zip(shown, drawn, strict=True)]
            without = [before + other for before, other in zip(shown, self._workspace.task.contrast(drawn, seeds), strict=True)]
            batch = Batch(
                new_uid(), name, prompts, seeds, msgspec.to_builtins(used), now(),
                self._workspace.settings.model.base, loaded.fingerprint, self._workspace.store.journal.seq,
                sorted({value for values in drawn for value in values.values()}), strength,
                without if guided else [], loaded.rounded, invented,
            )  # fmt: skip
            lengths = [len(words(example.text)) for example in examples]
            texts = [example.text for example in examples]
            form = usual([example.text for example in examples if example.human][-READ:])
            recorded = False
            async for event in worker.sample(folder, batch.prompts, seeds, used, texts, batch.free, strength, batch.without):
                if not isinstance(event, Arrived):
                    yield event
                    continue
                if shown[event.index]:  # the next example's heading is how a text of this prompt ends
                    event = msgspec.structs.replace(event, cut_at_heading=False)
                candidate = self._candidate(event, batch, drawn[event.index], lengths, form)
                self._workspace.commit(
                    "sample", Tables(candidates={candidate.uid: candidate}, batches={} if recorded else {batch.uid: batch})
                )
                if not recorded:
                    self._inventor.spent(made_up)
                recorded = True
                yield candidate

    def _enough_wait(self, settings: Sampling) -> bool:
        """Whether there is time to read long prompts: half of what is to be kept ready waits. So a checkpoint's first texts are always its
        own, come at once, and are there to gauge it by."""
        return len(self._workspace.newest()) >= max(1, settings.keep_ready // 2)

    def _shown(
        self, name: str, settings: Sampling, examples: Sequence[Example], drawn: Sequence[Mapping[str, str]], seeds: Sequence[int]
    ) -> list[list[Segment]]:
        """The examples before each prompt of a batch: for a checkpoint those most like what is asked for; for the base, or where nothing is
        asked for, the same for all, which are read once."""
        task = self._workspace.task
        if name == BASE:
            return [few_shot(task, examples, settings.few_shot, seeds[0])] * len(seeds)
        if not settings.shown or not any(drawn):
            return [few_shot(task, examples, settings.shown, seeds[0])] * len(seeds)
        return [nearest(task, examples, settings.shown, seed, values) for seed, values in zip(seeds, drawn, strict=True)]

    def _candidate(self, event: Arrived, batch: Batch, values: dict[str, str], lengths: list[int], form: set[str]) -> Candidate:
        text = clean_text(event.text)
        found = flags(text, event.finish, lengths, event.cut_at_heading, form)
        copied = self._workspace.copying.longest(text)[0]
        if copied >= COPIED_WORDS:
            found.append(f"copies {copied} words")
        signs = self._workspace.ranking.signs(text, values, found, event)
        return Candidate(
            new_uid(), text, values, batch.checkpoint, batch.uid, event.index, batch.seeds[event.index], event.finish,
            event.tokens, found, now(), signs=signs,
        )  # fmt: skip

    async def continue_text(self, text: str, fields: Mapping[str, str]) -> str:
        """What the active checkpoint would write after `text`, by itself; nothing is stored."""
        worker, _ = self._workspace.ready()
        current = self._workspace.registry.current()
        folder = self._workspace.registry.checkpoint_folder(current)
        text = clean(text)
        prompt = (
            [*self._workspace.task.segments(self._workspace.task.check(fields)), (text.rstrip(), 1.0)]
            if text.strip()
            else self._workspace.task.segments(fields)
        )
        addition = ""
        seeds = [int.from_bytes(os.urandom(4)) >> 1]
        if current == BASE:  # it knows no more of the task than it is shown
            examples = list(self._workspace.store.examples.values())
            prompt = [*few_shot(self._workspace.task, examples, self._workspace.settings.sampling.few_shot, seeds[0]), *prompt]
        texts, free = list(self._workspace.store.texts().values()), [text, *fields.values()]
        async for event in worker.sample(
            folder, [prompt], seeds, self._workspace.settings.sampling, texts, free, self._workspace.strength(current)
        ):
            if isinstance(event, Arrived):
                addition = clean(event.text).rstrip()
        # Whether a word goes on, or a new one or a paragraph begins, is the model's to say; what the person typed for it stands already.
        return addition if text.strip() and text == text.rstrip() else addition.lstrip()

    async def reproduce(self, uid: str) -> str:
        """The text of a candidate, sampled again from its record: its whole batch, since batch-mates share each product."""
        worker, loaded = self._workspace.ready()
        candidate = self._workspace.store.candidates.get(uid)
        if candidate is None:
            raise FlavorError(f"There is no candidate {uid!r}.", "See `flavor-tui generate`.", "missing")
        batch = self._workspace.store.batches.get(candidate.batch)
        if batch is None:
            hint = "An imported one has no such record."
            raise FlavorError("How it was sampled is not recorded, so it cannot be sampled again.", hint, "missing")
        if batch.rounded:
            raise FlavorError("It was sampled before the base's 4-bit codes were chosen, and cannot be sampled again.", kind="rounded")
        if batch.fingerprint and batch.fingerprint != loaded.fingerprint:
            hint = "Set that base in flavor.toml, then ask again."
            raise FlavorError(f"It was sampled from another base ({batch.base}, not these weights of {loaded.name}).", hint, "foreign")
        folder = self._workspace.registry.checkpoint_folder(batch.checkpoint)
        settings = msgspec.convert(batch.settings, Sampling)
        texts = self._workspace.store.texts_at(batch.examples_at)
        async for event in worker.sample(folder, batch.prompts, batch.seeds, settings, texts, batch.free, batch.strength, batch.without):
            if isinstance(event, Arrived) and event.index == candidate.index:
                return clean_text(event.text)
        raise FlavorError("The candidate could not be sampled again.", kind="fault")
