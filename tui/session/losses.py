"""The loss of every example under a checkpoint: measured when asked for, kept in the workspace, and read back for rows that have not changed."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec

from core.errors import FlavorError
from core.files import now, signature
from core.protocol import Evaluated, Loading, Row
from core.runfiles import measured_by
from dataset.rows import Example
from runs import measured
from runs.measured import Losses
from runs.registry import Registry

if TYPE_CHECKING:
    from tui.session.workspace import Workspace


def _hash(workspace: Workspace, example: Example) -> str:
    """Of what the model reads of it."""
    return hashlib.sha256(msgspec.json.encode([workspace.task.segments(example.fields), example.text])).hexdigest()[:16]


def unmeasured(registry: Registry, checkpoint: str) -> str:
    """What is said where a checkpoint is not there, or the epoch that would tell of a refit is not."""
    try:
        registry.checkpoint_folder(checkpoint)
    except FlavorError:
        return f"{checkpoint} is not there any more."
    return f"{checkpoint} was not measured: its run goes on, or was stopped before."


async def measure(workspace: Workspace) -> AsyncIterator[float | dict[str, float]]:
    """Measure every example under the active checkpoint (of a refit: under the epoch that it repeats, which never saw the held-out
    rows): the share that is done, again and again, and last the losses (nats a token) by id, which are kept where this session may write.
    Examples that a run would leave out, since they are too long, have none."""
    examples = list(workspace.store.examples.values())
    if not examples:
        raise FlavorError("There is no example to measure.", "Write or accept one first.", "empty")
    worker, loaded = workspace.worker, workspace.loaded
    if worker is None or loaded is None:
        raise FlavorError("The model is not loaded yet.", "Wait a moment, or restart the worker with R.", "order")
    current = workspace.registry.current()
    checkpoint = workspace.registry.measure_of(current)
    if checkpoint is None:
        raise FlavorError(unmeasured(workspace.registry, current), "Retrain first: t.", "missing")
    rows = [Row(example.uid, workspace.task.segments(example.fields), example.text) for example in examples]
    async for event in worker.evaluate(workspace.registry.checkpoint_folder(checkpoint), rows, workspace.settings.training.max_tokens):
        if isinstance(event, Loading) and event.share is not None:
            yield event.share
        elif isinstance(event, Evaluated):
            told = zip(examples, event.losses, strict=True)
            losses = {example.uid: loss for example, loss in told if example.uid not in event.skipped}
            if not workspace.held_by:
                kept = {example.uid: (_hash(workspace, example), losses[example.uid]) for example in examples if example.uid in losses}
                measured.keep_losses(workspace.folder, checkpoint, Losses(loaded.fingerprint, kept, now()))
            yield losses


def stamp(workspace: Workspace) -> tuple[object, ...]:
    """Changes whenever what is `known` may."""
    fingerprint = workspace.loaded.fingerprint if workspace.loaded else ""
    return workspace.store.journal.seq, workspace.registry.current(), fingerprint, signature(workspace.folder / measured.FILE)


def known(workspace: Workspace) -> dict[str, float]:
    """What was measured before of the active checkpoint, on the present base as far as it is known: examples as they are now, by id."""
    found = measured.read(workspace.folder).losses.get(measured_by(workspace.registry.current()))
    if found is None or (workspace.loaded and workspace.loaded.fingerprint != found.fingerprint):
        return {}
    examples = workspace.store.examples
    return {
        uid: loss for uid, (hashed, loss) in found.rows.items() if (example := examples.get(uid)) and _hash(workspace, example) == hashed
    }
