"""The loss of every example under a checkpoint: measured when asked for, kept in the workspace, and read back for rows that have not changed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from core.errors import FlavorError
from core.files import now
from dataset.rows import Example
from runs import measured
from runs.measured import Losses

if TYPE_CHECKING:
    from tui.session import Session


def _hash(session: Session, example: Example) -> str:
    """Of what the model reads of it."""
    return hashlib.sha256(msgspec.json.encode([session.task.segments(example.fields), example.text])).hexdigest()[:16]


async def measure(session: Session) -> dict[str, float]:
    """The loss (nats a token) of every example under the active checkpoint, by id; kept where this session may write."""
    examples = list(session.store.examples.values())
    if not examples:
        raise FlavorError("There is no example to measure.", "Write or accept one first.", "empty")
    checkpoint = session.registry.current()
    result = await session.evaluate([(example.text, example.fields) for example in examples], checkpoint)
    losses = {example.uid: loss for example, loss in zip(examples, result.losses, strict=True)}
    if not session.held_by and session.loaded:
        rows = {example.uid: (_hash(session, example), losses[example.uid]) for example in examples}
        measured.keep_losses(session.workspace, checkpoint, Losses(session.loaded.fingerprint, rows, now()))
    return losses


def known(session: Session) -> dict[str, float]:
    """What was measured before of the active checkpoint, on the present base as far as it is known: examples as they are now, by id."""
    found = measured.read(session.workspace).losses.get(session.registry.current())
    if found is None or (session.loaded and session.loaded.fingerprint != found.fingerprint):
        return {}
    examples = session.store.examples
    return {uid: loss for uid, (hashed, loss) in found.rows.items() if (example := examples.get(uid)) and _hash(session, example) == hashed}
