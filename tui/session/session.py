"""The session: one workspace, its settings, dataset, runs and worker tied together. What a key does and what a command does are
the same functions, here. Knows no Textual."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from core import config
from core.errors import FlavorError
from core.files import new_uid, now
from core.protocol import AnyEvent, Evaluated, Provisional, Row, Trained
from core.text import check_text
from dataset.rows import IMPORTED, KEPT, Candidate, Decision, Example, Op, Origin, Parsed, Tables, Verdict
from tui.session.workspace import Workspace

if TYPE_CHECKING:
    from tui.session.candidates import Candidates
    from tui.session.drafts import Typed
    from tui.session.learning import Learning
    from tui.session.planning import Plan, Planner
    from tui.session.tasting import Tasting

STATES = {"accept": "accepted", "edit": "edited", "reject": "rejected", "skip": "skipped"}


class Session(Workspace):
    """A workspace and what a person does with it: decide, sample, plan, retrain, measure. What says how things stand is asked for by name
    (`tasting`, `learning`, `planner`), and imported then."""

    wish: Callable[[], Plan] | None = None
    """The retraining that is to begin as soon as the model is ready."""
    not_taken = ""
    """Why the checkpoint that the last run brought could not be made active; empty where nothing failed."""

    @cached_property
    def wordings(self) -> dict[str, Typed]:
        """What the person typed and then took back, by candidate or example: it is offered where that is edited once more."""
        return {}

    @cached_property
    def _depths(self) -> dict[str, int]:
        """The depth of each checkpoint of which something was kept: all rows of its run are read for it, and it does not change."""
        return {}

    # -- decisions -----------------------------------------------------------------------------------------------------

    def ranked(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Candidates in the order in which they should be shown, by what was decided so far."""
        return self.ranking.order(candidates) if candidates else []

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
        Texts without a word go as soon as there is another: there is nothing to decide about them. What is looked at stays, and so does what
        the person took back.
        """
        sampling, newest = self.settings.sampling, self.newest()
        stays = {self.ranking.held, *self.store.returned}
        gone: list[Candidate] = []
        if sampling.oversample > 1 and any(candidate.text.strip() for candidate in newest):
            gone = [candidate for candidate in newest if not candidate.text.strip() and candidate.uid not in stays]
            newest = [candidate for candidate in newest if candidate.text.strip() or candidate.uid in stays]
        if len(newest) >= max(1, sampling.keep_ready):
            kept = stays | {candidate.uid for candidate in newest}
            gone = [candidate for candidate in self.store.pending.values() if candidate.uid not in kept]
            spare = min(len(newest) - sampling.keep_ready, sampled - sampled // sampling.oversample)
            gone += self.ranking.surplus([candidate for candidate in newest if candidate.uid not in self.store.returned], spare)
        if gone:
            passed = {candidate.uid: msgspec.structs.replace(candidate, state="passed") for candidate in gone}
            self.commit("pass", Tables(candidates=dict(passed)), f"{len(gone)} passed over")
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
            depth = 0 if brought else self._depth(candidate.checkpoint) + 1
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
        self.commit("decide", put, STATES[verdict] + (" after all" if old else ""))
        return decision

    def _depth(self, checkpoint: str) -> int:
        """`Registry.depth`, asked once."""
        if checkpoint not in self._depths:
            self._depths[checkpoint] = self.registry.depth(checkpoint)
        return self._depths[checkpoint]

    def undo(self) -> Op | None:
        """Take back the last thing a person did; None where there is nothing left."""
        self.must_write()
        if self.store.last and self.store.last.kind == "go":
            from tui.session.back import take_back

            return take_back(self, self.store.last)
        op = self.store.undo()
        if op:
            self._reindex(op.was)
            self._keep_wordings(op)
            if op.kind == "decide":
                self.ranking.taken_back(op)
        return op

    def _keep_wordings(self, op: Op) -> None:
        """What the person had typed in what was just taken back: of a candidate that was edited, of an example that was changed."""
        from tui.session.drafts import Typed

        for decision in op.put.decisions.values():
            if decision and decision.verdict == "edit":
                fields = decision.fields if decision.kept_fields is None else decision.kept_fields
                self.wordings[decision.candidate] = Typed(decision.after, dict(fields), decision.candidate, decision.before)
        for uid, new in op.put.examples.items():
            if new and (old := op.was.examples.get(uid)):
                self.wordings[uid] = Typed(new.text, dict(new.fields), uid, old.text)

    # -- how it stands --------------------------------------------------------------------------------------------------

    @cached_property
    def tasting(self) -> Tasting:
        """The gauges: readings and verdicts of the checkpoints. Imported when first asked for."""
        from tui.session.tasting import Tasting

        return Tasting(self)

    @cached_property
    def learning(self) -> Learning:
        """The learning curve: its points and what they tell. Imported when first asked for."""
        from tui.session.learning import Learning

        return Learning(self, lambda: self.planner.train_speed()[0])

    def base_stays(self, name: str) -> str:
        """Why a model is not made the base by a key; empty where it is: nothing was trained yet."""
        base = self.settings.model.base
        if name == base:
            return f"{name} is the base of this workspace already."
        if self.registry.names() or self.wish:
            where = self.folder / config.FILE
            return f'{base} stays: runs begin from it. To use this one, write base = "{name}" under [model] in {where}, and open the workspace again: its runs start afresh.'
        return ""

    # -- sampling ------------------------------------------------------------------------------------------------------

    @cached_property
    def candidates(self) -> Candidates:
        """What samples. Imported when first asked for."""
        from tui.session.candidates import Candidates

        return Candidates(self)

    def sample(self, count: int, fixed: Mapping[str, str], **options: Any) -> AsyncIterator[Candidate | AnyEvent]:
        """Sample candidates: `Candidates.sample`."""
        return self.candidates.sample(count, fixed, **options)

    # -- retraining ----------------------------------------------------------------------------------------------------

    @cached_property
    def planner(self) -> Planner:
        """What says what a retrain would do. Imported when first asked for."""
        from tui.session.planning import Planner

        return Planner(self, lambda checkpoint: self.tasting.readings(checkpoint))

    def plan(self, fresh: bool = False, epochs: int | None = None, seed: int | None = None) -> Plan:
        """What a retrain would do: `Planner.plan`."""
        return self.planner.plan(fresh, epochs, seed)

    async def retrain(self, plan: Plan) -> AsyncGenerator[AnyEvent]:
        """Carry a plan out. A checkpoint is active from the moment that `Provisional` or, at the end, `Trained` names it, unless the person has
        chosen one since the run began, be it the one that was active already, or it cannot be written down; else nothing changed."""
        worker, _ = self.ready()
        folder = self.registry.create(plan.spec, plan.rows, plan.pairs)
        self.registry.live = plan.spec.name
        stood, self.not_taken = self.registry.uses, ""
        try:
            async with contextlib.aclosing(worker.train(folder, self.settings.metrics.on())) as events:
                async for event in events:
                    match event:
                        case Provisional() | Trained() if self.registry.uses == stood:
                            if event.checkpoint not in (self.registry.current(), plan.spec.parent):  # else what stood stays
                                self._take(event.checkpoint)
                            stood = self.registry.uses
                        case Trained():
                            self.not_taken = ""  # a person has chosen one since
                    yield event
        finally:
            self.registry.live = ""

    def _take(self, checkpoint: str) -> None:
        """Make active what a run brought. Where that cannot be written down the run goes on and its end tries again; then a person may."""
        self.not_taken = ""
        try:
            self.use(checkpoint, "taken")
        except FlavorError as error:
            self.not_taken = error.message

    async def evaluate(self, rows: list[Parsed], checkpoint: str | None = None) -> Evaluated:
        """Mean loss per token of texts, their headings and fields given; their ids are their places, from 1."""
        worker, _ = self.ready()
        folder = self.registry.checkpoint_folder(checkpoint or self.registry.current())
        wire = [Row(str(number), self.task.segments(fields), text) for number, (text, fields) in enumerate(rows, 1)]
        async for event in worker.evaluate(folder, wire, self.settings.training.max_tokens):
            if isinstance(event, Evaluated):
                return event
        raise FlavorError("The measurement was cancelled.", kind="cancelled")
