"""`flavor-tui export`: a checkpoint in the forms that other programs read. Plans here, works in a process of its own. Knows no Textual."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Literal

import msgspec

from core.choices import check_strength
from core.errors import FlavorError
from core.exports.modelfile import modelfile
from core.exports.order import GGUF_FILE, Dtype, Kind, Order, What
from core.files import exporting, publish_file, publish_folder, remove_tree
from core.runfiles import BASE
from core.text import clean_line
from tui.commands.output import Line, Output, Progress
from tui.commands.processes import answers
from tui.session.session import Session

Export = Literal["adapter", "merged", "gguf", "gguf-adapter", "ollama"]
ABOUT = {
    "adapter": "for peft's PeftModel.from_pretrained; README.md says how",
    "merged": "for transformers, vLLM and whatever else loads a model's folder",
    "gguf": "for llama.cpp, KoboldCpp, Ollama and what is built on them",
    "gguf-adapter": "for llama.cpp's --lora, on top of a GGUF of the same base",
    "ollama": "ollama create NAME -f Modelfile, in that folder",
}


def order(session: Session, what: What, checkpoint: str, staging: Path, strength: float = 1.0, **more: Any) -> Order:
    """The order for an export of `checkpoint` (or base). Raises FlavorError where there is no such checkpoint."""
    strength = check_strength(strength)
    folder = session.registry.checkpoint_folder(checkpoint)
    if folder is None and what in ("adapter", "gguf-adapter"):
        raise FlavorError("The base is active; it has no adapter.", "Retrain, or choose a checkpoint with `use`.", "missing")
    model = session.settings.model
    return Order(
        what=what, staging=str(staging), base=session.base(), quantization=model.quantization, calibrate=model.calibrate,
        lora=session.settings.lora, checkpoint=str(folder) if folder else None, strength=strength,
        name=clean_line(f"{session.task.heading} ({checkpoint})"), **more,
    )  # fmt: skip


def chosen_strength(session: Session, checkpoint: str) -> float:
    """The strength that was chosen for a checkpoint. Raises FlavorError where nobody knows: no other may leave in its place unsaid."""
    if checkpoint != BASE:
        session.choices.must_be_known("nobody knows which strength was chosen, unless --strength names it")
    return session.strength(checkpoint)


async def carry_out(asked: Order) -> AsyncGenerator[Progress]:
    """Fill the staging folder; what is being done. Raises FlavorError; there is then no staging folder."""
    staging, done = Path(asked.staging), False
    try:
        staging.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FlavorError(f"{staging.parent} cannot be made: {error.strerror}.", "Choose another place.", "disk") from None
    try:
        async with contextlib.aclosing(answers("core.exports", question=msgspec.json.encode(asked))) as said:
            async for line in said:
                done = done or "done" in line
                if "stage" in line:
                    yield Progress(line["stage"] + (f" {line['share']:.0%}" if line["share"] is not None else ""))
        if not done:
            raise FlavorError("The export ended unexpectedly.", "Was there enough memory? Try again, or export it as gguf.", "memory")
    except BaseException:
        with contextlib.suppress(OSError):
            remove_tree(staging)
        raise


def staging_beside(dest: Path) -> Path:
    """A new name next to `dest`, an absolute path; nothing is made yet. Raises FlavorError where something is there already, or nothing may be
    made there."""
    if os.path.lexists(dest):
        raise FlavorError(f"{dest} is there already.", "Choose a new name.", "exists")
    above = next(folder for folder in dest.parents if os.path.lexists(folder))
    if not os.access(above, os.W_OK | os.X_OK):
        raise FlavorError(f"{dest} cannot be written: nothing can be made in {above}.", "Choose another place.", "disk")
    return exporting(dest)


def publish(staging: Path, dest: Path, single: bool) -> None:
    """Put what is in the staging folder, or the one file in it, where it was wanted: whole or not at all, never over something."""
    try:
        if single:
            publish_file(staging / GGUF_FILE, dest)
        elif dest.exists():
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
        else:
            publish_folder(staging, dest)
    except OSError as error:
        raise FlavorError(f"{dest} cannot be written: {error.strerror}.", "Choose another place.", "disk") from None
    finally:
        with contextlib.suppress(OSError):
            remove_tree(staging)


async def export(
    workspace: Path,
    form: Export,
    dest: Path,
    checkpoint: str | None,
    strength: float | None,
    kind: Kind | None,
    dtype: Dtype,
    licence: str = "",
) -> Output:
    """The command, for everything that is made of a checkpoint."""
    dest = dest.absolute()
    with Session(workspace, read_only=True) as session:
        name = checkpoint or session.registry.current()
        if strength is not None and name == BASE:
            raise FlavorError("--strength says nothing of the base: it has no adapter.", "Choose a checkpoint, or leave it out.", "usage")
        strength = chosen_strength(session, name) if strength is None else strength
        staging = staging_beside(dest)
        more: dict[str, Any] = {}
        what: What = "gguf" if form == "ollama" else form
        order(session, what, name, staging, strength)  # says what is wrong before anything is made
        if form == "adapter":
            from tui.commands.card import adapter_card, samples

            texts: list[str] = []
            async for step in samples(session, name, strength):
                if isinstance(step, Progress):
                    yield step
                else:
                    texts = step
            more["files"] = {"README.md": adapter_card(session, name, texts, strength, licence)}
        asked = order(session, what, name, staging, strength, kind=kind or ("q8_0" if form == "ollama" else "f16"), dtype=dtype, **more)
        async for progress in carry_out(asked):
            yield progress
        try:
            if form == "ollama":
                (staging / "Modelfile").write_text(modelfile(session.task, session.settings.sampling), encoding="utf-8")
            size = sum(path.stat().st_size for path in staging.iterdir())
            publish(staging, dest, single=form in ("gguf", "gguf-adapter"))
        except BaseException:
            with contextlib.suppress(OSError):
                remove_tree(staging)
            raise
    at = "" if strength == 1 or name == BASE else f" at strength {strength:g}"
    data = {"checkpoint": name, "form": form, "to": str(dest), "bytes": size, "strength": strength}
    yield Line(data, f"{name}{at} in {dest}, {size / 1e6:.1f} MB: {ABOUT[form]}")
