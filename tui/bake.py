"""The bake slider: how strongly the active checkpoint's adapter counts in sampling, in steps of a tenth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.choices import STRONGEST
from core.errors import FlavorError

if TYPE_CHECKING:
    from tui.host import Host

STEP = 0.1
CELLS = 13
"""Of the slider: one a tenth, 0 to 1.2."""


def bake(app: Host, steps: int) -> None:
    """Move the slider; the next candidates are sampled with the new strength."""
    session = app.session
    current = session.registry.current()
    try:
        session.must_write()
        before = session.strength(current)
        strength = session.choices.set_strength(current, min(STRONGEST, max(0.0, round(before + STEP * steps, 1))))
    except FlavorError as error:
        app.complain(error)
        return
    app.say(f"{current} at strength {strength:.1f}, {meaning(strength)}  {slider(strength)}")
    if strength != before:
        app.want_others()


def slider(strength: float) -> str:
    """The strength as a picture that no line break tears: 0┤──────●──├1.2."""
    place = round(strength / STEP)
    return f"0┤{'─' * place}●{'─' * (CELLS - 1 - place)}├{STRONGEST}"


def meaning(strength: float) -> str:
    """What the strength amounts to, in words."""
    if strength == 0:
        return "the base"
    return "as trained" if strength == 1 else "underbaked on purpose" if strength < 1 else "more than it was trained"
