"""`flavor-tui generate`, `decide`, `undo` and `reproduce`: candidates are sampled, and what a person says of them is kept."""

from __future__ import annotations

import sys
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from core.choices import check_strength
from core.config import Preset
from core.errors import FlavorError
from core.protocol import Sampled
from core.reading import decode
from core.text import counted, duration
from dataset.importing import read_text
from dataset.rows import Candidate
from tui.commands.output import Line, Output, Progress, at_once, opened, start
from tui.session.intake import STDIN
from tui.session.session import Session

MOST_EDITED = 1 << 20
"""Bytes of an edited text."""


def candidate_line(session: Session, candidate: Candidate) -> Line:
    """A candidate as `generate` tells it."""
    made_up = session.made_up(candidate)
    data = {
        "id": candidate.uid,
        "text": candidate.text,
        "fields": candidate.fields,
        "made_up": made_up,
        "checkpoint": candidate.checkpoint,
        "seed": candidate.seed,
        "flags": candidate.flags,
        "finish": candidate.finish,
    }
    about = " · ".join(f"{name} {value}{' (made up)' if name in made_up else ''}" for name, value in candidate.fields.items())
    flags = ["cut off, never ended" if flag == "never ended" else flag for flag in candidate.flags]
    marks = f"  ! {', '.join(flags)}" if flags else ""
    return Line(data, f"{candidate.uid}  {candidate.checkpoint}  {about}{marks}\n{candidate.text}\n")


def ranked_line(session: Session, candidate: Candidate) -> Line:
    """A candidate as `generate --ranked` tells it: why it stands where it does, and how likely it is to be kept (null: not known yet)."""
    told, place = candidate_line(session, candidate), session.ranking.place(candidate.uid)
    chance = round(place.predicted, 3) if place and place.predicted is not None else None
    data = {**told.data, "slot": place.slot if place else "", "p_accept": chance}
    return Line(data, f"[{session.ranking.why(candidate.uid)}]  {told.text}")


def _given(pairs: list[str]) -> dict[str, str]:
    """Attributes by name, unchecked, as `--set` gives them."""
    given = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise FlavorError(f"--set {pair!r} is not NAME=VALUE.", "For instance --set 'Danger Level=4'.")
        given[name] = value
    return given


async def generate(
    workspace: Path,
    count: int,
    settings: list[str],
    checkpoint: str | None,
    seed: int | None,
    changes: dict[str, Any],
    preset: Preset | None,
    ranked: bool = False,
    strength: float | None = None,
    plain: bool = False,
) -> Output:
    """Sample, and say each candidate as it comes, or all in order (`ranked`); `plain`: their texts alone, for people."""

    def said(line: Line) -> Line:
        return Line(line.data, f"{line.data['text']}\n") if plain else line

    with opened(workspace) as session:
        session.must_write()
        fixed = session.task.check(_given(settings))
        trained = session.registry.checkpoint_folder(checkpoint or session.registry.current())
        if trained and "few_shot" in changes:
            raise FlavorError(
                "--few-shot says nothing of a checkpoint: it shows examples to the base.",
                "Add --checkpoint base, or leave it out.",
                "usage",
            )
        if strength is not None and not trained:
            raise FlavorError("--strength says nothing of the base: it has no adapter.", "Choose a checkpoint, or leave it out.", "usage")
        strength = None if strength is None else check_strength(strength)
        try:
            async for progress in start(session):
                yield progress
            made: list[Candidate] = []
            sampled, began = 0, monotonic()
            if preset:
                session.use_preset(preset)
            if seed is not None:  # who gives one compares: the same seed must ask the same
                changes = {"vary": False, "invent": 0.0, **changes}
            async for event in session.sample(count, fixed, checkpoint=checkpoint, seed=seed, strength=strength, **changes):
                if isinstance(event, Candidate):
                    made.append(event)
                    if not ranked:
                        yield said(candidate_line(session, event))
                    yield Progress(f"{len(made)} of {count} candidates")
                elif isinstance(event, Sampled):
                    sampled += event.tokens
            seconds = monotonic() - began  # with what was made up for them
            if ranked:
                for candidate in session.ranked(made):
                    yield said(ranked_line(session, candidate))
            data = {
                "candidates": len(made),
                "tokens": sampled,
                "seconds": round(seconds, 2),
                "checkpoint": checkpoint or session.registry.current(),
            }
            yield Line(data, "" if plain else f"{counted(len(made), 'candidate')}, {counted(sampled, 'token')} in {duration(seconds)}")
        finally:
            await session.stop_worker()


def _edited(path: Path) -> str:
    """The edited text in a file, or on standard input."""
    if str(path) != STDIN:
        return read_text(path, MOST_EDITED)
    with at_once():
        data = sys.stdin.buffer.read(MOST_EDITED + 1)
    if len(data) > MOST_EDITED:
        raise FlavorError(f"Standard input has more than {MOST_EDITED} bytes.", "One text.", "huge")
    return decode(data, Path("standard input"))


async def decide(
    workspace: Path, candidate: str, verdict: Literal["accept", "reject", "skip"], text: Path | None, settings: list[str]
) -> Output:
    with opened(workspace) as session:
        edited = _edited(text) if text else None
        asked = session.store.candidates.get(candidate)
        fields = session.task.check({**session.task.only(asked.fields), **_given(settings)}) if asked and settings else None
        decision = session.decide(candidate, verdict, edited, fields)
        data = {"candidate": candidate, "verdict": decision.verdict, "example": decision.example}
        yield Line(data, f"{candidate}: {decision.verdict}, {counted(len(session.store.examples), 'example')} now")


async def undo(workspace: Path) -> Output:
    with opened(workspace) as session:
        op = session.undo()
        data = {"undone": op.kind if op else None, "examples": len(session.store.examples)}
        yield Line(data, f"taken back: {op.told()}" if op else "There is nothing to take back.")


async def reproduce(workspace: Path, candidate: str) -> Output:
    with opened(workspace, read_only=True) as session:
        if candidate not in session.store.candidates:
            raise FlavorError(f"There is no candidate {candidate!r}.", "See `flavor-tui generate`.", "missing")
        try:
            async for progress in start(session):
                yield progress
            text = await session.candidates.reproduce(candidate)
        finally:
            await session.stop_worker()
        same = text == session.store.candidates[candidate].text
        other = "NOT the same as recorded; on a GPU, on another processor or with other free memory it may be rounded otherwise"
        yield Line({"id": candidate, "text": text, "same": same}, f"{text}\n{'the same as recorded' if same else other}")
