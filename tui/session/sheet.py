"""The contact sheet of a workspace: its prompts, its lanes, and making what is missing. Knows no Textual."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from core.config import Sampling
from core.errors import FlavorError
from core.files import now
from core.protocol import Candidate as Arrived
from core.runfiles import BASE
from core.text import clean_text
from runs.registry import Run
from runs.sheets import Column, Sheet, Sheets, Text
from tui.session.shown import few_shot

if TYPE_CHECKING:
    from tui.session.session import Session

PROMPTS = 6
FIRST_SEED = 1001
MOST = 5
"""Checkpoints that are compared unasked."""
FEW_SHOT = "few-shot"
"""The lane of the base that is shown examples in its prompt."""
ALWAYS = (BASE, FEW_SHOT)


class Lane(NamedTuple):
    """A column: whose texts they are, by the checkpoint and the strength of its adapter."""

    name: str
    checkpoint: str
    strength: float = 1.0


def lane_name(checkpoint: str, strength: float) -> str:
    """A lane's name: 0003/epoch-02, or 0003/epoch-02 ×0.8."""
    return checkpoint if strength == 1 or checkpoint == BASE else f"{checkpoint} ×{strength:g}"


def telling(run: Run) -> list[str]:
    """The checkpoints of a run worth comparing: its parent, its chosen one and those around it, at most `MOST`, in order."""
    names = [info.name for info in run.checkpoints]
    parent = [run.spec.parent] if run.spec and run.spec.parent else []
    chosen = run.result.checkpoint if run.result and run.result.checkpoint in names else names[-1] if names else ""
    around = sorted(names, key=lambda name: abs(names.index(name) - names.index(chosen)))[: MOST - len(parent)]
    return [*parent, *(name for name in names if name in around)]


def in_front(lanes: Iterable[Lane], active: str, marked: bool = False) -> list[Lane]:
    """The lanes in the order in which they are looked at: the active checkpoint's, else the newest one's, then those of the base, which it is
    to be held against, then the others, the newest first. Where they were `marked`, the base comes last."""
    lanes = list(lanes)
    own = sorted((lane for lane in reversed(lanes) if lane.name not in ALWAYS), key=lambda lane: lane.checkpoint != active)
    first = len(own) if marked else 1
    return [*own[:first], *(lane for lane in lanes if lane.name in ALWAYS), *own[first:]]


class ContactSheet:
    """The sheet for the present task and settings. The base is always on it, bare and with examples in its prompt."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.sheets = Sheets(session.folder)

    @cached_property
    def settings(self) -> Sampling:
        """The person's own, without what looks at the examples: a sheet shows what a checkpoint does by itself, copies included."""
        return msgspec.structs.replace(self._session.settings.sampling, max_copied_tokens=0, end_ramp=0.0, vary=False, invent=0.0)

    def _told(self) -> dict[str, Any]:
        """The settings, as a sheet keeps them."""
        told: dict[str, Any] = msgspec.to_builtins(self.settings)
        del told["vary"], told["invent"]  # it knows neither, and sheets from before there were any are still good
        return told

    @property
    def key(self) -> str:
        """Of the sheet that fits the task and the settings; examples may grow without beginning another."""
        session = self._session
        told = [
            msgspec.to_builtins(session.task),
            self._told(),
            session.settings.model.base,
            bool(session.store.examples),
        ]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]

    def sheet(self) -> Sheet:
        """The sheet, begun where it was not yet."""
        if found := self.sheets.sheet(self.key):
            return found
        session, seeds = self._session, list(range(FIRST_SEED, FIRST_SEED + PROMPTS))
        examples = list(session.store.examples.values())
        fields = session.task.draw({}, [example.fields for example in examples], seeds)
        shown = few_shot(session.task, examples, self.settings.few_shot, FIRST_SEED)
        prompts = [session.task.segments(values) for values in fields]
        made = Sheet(self.key, now(), fields, prompts, seeds, self._told(), shown)
        session.must_write()
        self.sheets.add(made)
        return made

    def lanes(self, checkpoints: Iterable[str]) -> list[Lane]:
        """The base's two lanes, then these checkpoints, each with its strength."""
        sheet = self.sheets.sheet(self.key)
        lanes = [Lane(BASE, BASE)]
        if sheet is None or sheet.shown:
            lanes.append(Lane(FEW_SHOT, BASE))
        for checkpoint in dict.fromkeys(checkpoints):
            if checkpoint != BASE:
                strength = self._session.strength(checkpoint)
                lanes.append(Lane(lane_name(checkpoint, strength), checkpoint, strength))
        return lanes

    def missing(self, lanes: Iterable[Lane]) -> list[Lane]:
        """Those that have no column yet."""
        return [lane for lane in lanes if self.sheets.column(self.key, lane.name) is None]

    def column(self, lane: Lane) -> Column | None:
        """What a lane wrote, where it was made."""
        return self.sheets.column(self.key, lane.name)

    async def make(self, checkpoints: Iterable[str]) -> AsyncGenerator[tuple[Lane, int, int]]:
        """Sample what is missing, a lane in one batch; yields the lane, its texts so far and how many there will be.

        A column is kept when it is whole. A checkpoint that is gone or damaged is passed over. Raises FlavorError.
        """
        self._session.must_write()
        worker, _ = self._session.ready()
        sheet = self.sheet()
        for lane in sorted(self.missing(self.lanes(checkpoints)), key=lambda lane: lane.name in ALWAYS):  # what was asked for first
            try:
                folder = self._session.registry.checkpoint_folder(lane.checkpoint)
                found: dict[int, Text] = {}
                before = sheet.shown if lane.name == FEW_SHOT else []
                prompts = [before + prompt for prompt in sheet.prompts]
                settings = msgspec.convert(sheet.settings, Sampling)
                guided = settings.guidance > 0 and folder is not None and any(sheet.fields)  # as when candidates are sampled
                without = self._session.task.contrast(sheet.fields, sheet.seeds) if guided else []
                examples = list(self._session.store.texts().values())  # for how their lines begin, which are no headings then
                async for event in worker.sample(folder, prompts, sheet.seeds, settings, examples, [], lane.strength, without):
                    if isinstance(event, Arrived):
                        found[event.index] = Text(clean_text(event.text), event.finish)
                        yield lane, len(found), len(prompts)
            except FlavorError as error:
                if error.kind not in ("missing", "damaged", "foreign"):
                    raise
                continue
            if len(found) == len(prompts):
                self.sheets.add(Column(sheet.key, lane.name, now(), [found[index] for index in range(len(prompts))]))
