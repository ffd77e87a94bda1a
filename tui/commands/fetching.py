"""The download of the base, as the screen and the command line see it: asked for by name, every file named."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from core.config import HUB_ID, STARTER, load
from core.errors import FlavorError
from core.text import clean_line
from tui.commands.output import Line, Output, Progress
from tui.commands.processes import answers


async def fetch(base: str) -> AsyncGenerator[str]:
    """Download a hub model in a process of its own; what happens, in words. Leaving early ends it. Raises FlavorError."""
    if base == STARTER or base.lower().endswith(".gguf") or not HUB_ID.fullmatch(base):
        raise FlavorError(f"The base {base} is not from the hub.", "There is nothing to download.", "order")
    ended = False
    async with contextlib.aclosing(answers("core.hub.download", base, online=True)) as lines:
        async for said in lines:
            if "file" in said:
                yield f"{'here already' if said['here'] else 'to come'}: {clean_line(str(said['file']))}, {said['bytes'] / 1e6:.1f} MB"
            elif "of" in said:
                yield f"downloading {base}" + (f", {said['done'] / 1e6:.0f} of {said['of'] / 1e6:.0f} MB" if said["of"] else "")
            else:
                ended = True
    if not ended:
        raise FlavorError(f"The download of {base} ended unexpectedly.", "Try again; what came stays, and is resumed.", "network")


async def download(workspace: Path) -> Output:
    """The command: bring the workspace's base to this machine."""
    base = load(workspace).model.base
    async for said in fetch(base):
        yield Progress(said) if said.startswith("downloading") else Line({"said": said}, said)
    yield Line({"base": base}, f"{base} is on this machine.")
