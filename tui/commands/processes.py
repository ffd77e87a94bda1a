"""A heavy module run as a process of its own: asked once, answering in JSON lines. Leaving early ends it. Knows no Textual."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator
from typing import Any

from core import environment
from core.errors import FlavorError
from core.text import clean_line

MAX_LINE = 1 << 20
"""Bytes of one line."""


async def answers(module: str, *words: str, question: bytes = b"", online: bool = False) -> AsyncGenerator[dict[str, Any]]:
    """What `python -m module WORDS` says after `question` (one line), an object at a time; a line that is no JSON ends it.

    `online`: it may use the network, and inherits the hub's token. Raises FlavorError where it says so.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", module, *words,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
        limit=MAX_LINE, cwd=environment.empty_folder(),
        env=environment.of_download() if online else environment.of_worker(),
        pass_fds=environment.token_descriptors() if online else (),
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        if question:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it ended: what it said tells why
                process.stdin.write(question + b"\n")
                await process.stdin.drain()
        while line := await process.stdout.readline():
            try:
                said = json.loads(line)
            except ValueError:
                return
            if "error" in said:
                raise FlavorError(clean_line(str(said["error"])), clean_line(str(said.get("hint", ""))), str(said.get("kind", "error")))
            yield said
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
