"""What a worker may say in answer to which command. A process that says anything else has lost its mind, and is ended."""

from __future__ import annotations

import math

from core.protocol import (
    AnyEvent,
    Cancelled,
    Candidate,
    Command,
    Curve,
    Curved,
    Curving,
    Epoch,
    Evaluate,
    Evaluated,
    Failed,
    Load,
    Loaded,
    Loading,
    Provisional,
    Refit,
    Sample,
    Sampled,
    Step,
    Train,
    Trained,
    Usable,
)


class Nonsense(ValueError):
    """Something that no sound worker would say."""


MAX_WORDS = 2000
"""Characters of a message, a name, a stage."""
MAX_CANDIDATE = 400_000
"""Characters of a candidate: 8192 tokens, of which few are longer than 40."""
MAX_STEPS = 10_000_000

ANSWERS: dict[type[Command], tuple[type, ...]] = {
    Load: (Loading, Usable, Loaded),
    Sample: (Loading, Candidate, Sampled),
    Train: (Loading, Step, Refit, Provisional, Epoch, Trained),
    Evaluate: (Loading, Evaluated),
    Curve: (Loading, Curving, Curved),
}


def check(command: Command, event: AnyEvent, seen: set[int]) -> None:
    """Raises Nonsense where `event` is no answer to `command`. `seen` holds the candidates that came before, and gets this one."""
    answers = ANSWERS.get(type(command))
    if answers and not isinstance(event, (Failed, Cancelled, *answers)):
        raise Nonsense(f"{type(event).__name__} in answer to {type(command).__name__}")
    match event:
        case Candidate() if isinstance(command, Sample):
            if not 0 <= event.index < len(command.prompts) or event.index in seen or len(event.text) > MAX_CANDIDATE:
                raise Nonsense("a candidate that was not asked for")
            seen.add(event.index)
        case Step() | Refit():
            if not 1 <= event.step <= event.steps <= MAX_STEPS or not math.isfinite(event.loss):
                raise Nonsense("a step that cannot be")
        case Evaluated() if isinstance(command, Evaluate):
            if len(event.losses) != len(command.rows):
                raise Nonsense("losses of other rows")
        case Curving(point=point) if point and isinstance(command, Curve):
            wanted = next((wanted for wanted in command.points if wanted.key == point.key), None)
            held = {command.rows[place].id for place in wanted.held} if wanted else set()
            if not point.losses or not set(point.losses) <= held or point.step < 1:
                raise Nonsense("a point that was not asked for")
            if any(not math.isfinite(loss) or tokens < 1 for loss, tokens in point.losses.values()):
                raise Nonsense("a loss that cannot be")
        case Loading():
            if len(event.stage) > MAX_WORDS or not 0 <= (event.share or 0) <= 2:
                raise Nonsense("a stage that cannot be")
        case Usable():
            check(command, event.loaded, seen)
        case Loaded():
            if max(map(len, (event.name, event.device, event.form, event.note))) > MAX_WORDS or event.parameters < 0:
                raise Nonsense("a model that cannot be")
        case Trained():
            if max(map(len, (event.why, event.stopped, event.note))) > MAX_WORDS:
                raise Nonsense("too many words")
        case Failed():
            if len(event.message) + len(event.hint) > 2 * MAX_WORDS:
                raise Nonsense("too many words")
        case _:
            pass
