"""`flavor-tui serve`: the workspace in a browser on this machine, one session at a time.

textual-serve draws the app in a page. Added to it: only 127.0.0.1 is listened on; a key in the address, kept as a cookie, without which nothing
is shown, since other users and other pages of the browser reach this port too; a page that loads nothing from elsewhere; and a second tab
takes the session over, so that a reload is no read-only one.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
from pathlib import Path
from typing import Any

from core import config
from core.errors import FlavorError
from tui.commands.output import Line, Output


async def serve(workspace: Path, port: int) -> Output:
    """The command: says where, and serves until it is stopped. `port` 0: any that is free."""
    config.load(workspace)  # says what is wrong before anything is opened
    try:
        from aiohttp import web

        from tui.served.server import HOST, OneSession
    except ImportError:
        raise FlavorError("What draws the app in a browser is not installed.", "pip install 'flavor-tui[serve]'", "missing") from None
    server = OneSession(_command(workspace), f"flavor-tui {workspace.resolve().name}", port)
    runner = web.AppRunner(await server.application(), shutdown_timeout=5)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, HOST, port).start()
        except OSError as error:
            raise FlavorError(f"Port {port} cannot be used: {error.strerror}.", "Choose another: --port N, or 0 for any.", "port") from None
        address: Any = runner.addresses[0]
        url = server.listens_at(address[1])
        yield Line({"url": url}, f"{workspace} is at {url}\nctrl+c ends it. Whoever has this address, on this machine, may use it.")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _command(workspace: Path) -> str:
    """What a shell starts for a tab; the app is then a child of this process, and ends when that does."""
    return "exec " + shlex.join([sys.executable, "-P", "-m", "tui", str(workspace.resolve())])
