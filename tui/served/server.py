"""The server behind `flavor-tui serve`: textual-serve's, for one tab at a time, and for nobody but who has the key."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Middleware
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

from core import environment

HOST = "127.0.0.1"
PATIENCE = 20.0
"""Seconds that an app has to end, once its tab is gone."""
REAPED = 5.0
"""Seconds until one that was killed must be gone."""
FOCUS = 1.5
"""Seconds after which the app is told that it has the focus."""
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self' ws://{here}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""Nothing from elsewhere, and in nobody's frame."""


class Tab:
    """A browser's tab: its socket, and an event for when its app has ended."""

    def __init__(self) -> None:
        self.socket = web.WebSocketResponse(heartbeat=15)
        self.ended = asyncio.Event()

    async def close(self) -> None:
        await self.socket.close()


async def _focus(app: App) -> None:
    await asyncio.sleep(FOCUS)
    await app.focus()


class App(AppService):
    """The app of one tab."""

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        """As there, but the hub's token is handed down: this process has taken it out of the environment."""
        self._process = await asyncio.create_subprocess_shell(
            self.command, stdin=PIPE, stdout=PIPE, stderr=PIPE,
            env={**self._build_environment(width=width, height=height), **environment.token_variable()},
            pass_fds=environment.token_descriptors(),
        )  # fmt: skip
        self._stdin = self._process.stdin
        return self._process

    async def end(self) -> None:
        """Have the app quit, and return when it has ended: until then it has the workspace. One that does not end is killed."""
        ending = asyncio.create_task(self._end())
        await asyncio.wait([ending], timeout=PATIENCE)
        ending.cancel()
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), REAPED)

    async def _end(self) -> None:
        with contextlib.suppress(Exception):  # whatever the page or its app sent last: the process is waited for all the same
            await self.stop()
        if process := self._process:
            # Where the page went away while it was drawn on nobody reads any more, and a full pipe would hold the app up.
            await asyncio.gather(*(_drain(pipe) for pipe in (process.stdout, process.stderr) if pipe))
            await process.wait()


async def _drain(pipe: asyncio.StreamReader) -> None:
    while await pipe.read(1 << 16):
        pass


class OneSession(Server):
    """Of all tabs the last one has the app: the one before is closed, and its app has ended, before the next begins."""

    def __init__(self, command: str, title: str, port: int) -> None:
        super().__init__(command, HOST, port, title=title, templates_path=Path(__file__).parent)
        self.key = secrets.token_urlsafe(24)
        self._now: Tab | None = None

    def listens_at(self, port: int) -> str:
        """Tell the pages where they are; the address to open."""
        self.port, self.public_url = port, f"http://{HOST}:{port}"
        return f"{self.public_url}/?key={self.key}"

    @property
    def cookie(self) -> str:
        """The name of ours, by port: browsers hand a cookie to every port of a host."""
        return f"flavor-tui-{self.port}"

    async def application(self) -> web.Application:
        app = await self._make_app()
        app.middlewares.append(self._guard())
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Says nothing: the command does."""

    async def on_shutdown(self, app: web.Application) -> None:
        if self._now:
            await self._now.close()
            await self._now.ended.wait()

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        mine = Tab()
        before, self._now = self._now, mine
        app, focusing = None, None
        try:
            await mine.socket.prepare(request)
            if before:
                await before.close()
                await before.ended.wait()
            if self._now is mine:  # else a third one came meanwhile
                app = App(
                    self.command, write_bytes=mine.socket.send_bytes, write_str=mine.socket.send_str, close=mine.close,
                    download_manager=self.download_manager,
                )  # fmt: skip
                await app.start(*(to_int(request.query.get(side, ""), usual) for side, usual in (("width", 80), ("height", 24))))
                # A page that was just opened has the focus and says nothing of it, and the app begins as one without.
                focusing = asyncio.create_task(_focus(app))
                await self._process_messages(mine.socket, app)
        finally:
            if focusing:
                focusing.cancel()
            if app:
                await app.end()
            mine.ended.set()
            await mine.close()
        return mine.socket

    def _guard(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
            here = f"{HOST}:{self.port}"
            if request.host != here or request.headers.get("Origin", f"http://{here}") != f"http://{here}":
                return web.Response(status=403, text="This page is for this machine only.")
            given = request.query.get("key") or request.cookies.get(self.cookie, "")
            if not hmac.compare_digest(given.encode(), self.key.encode()):
                return web.Response(status=403, text="Open the address that flavor-tui printed.")
            response = await handler(request)
            if not response.prepared:
                response.headers.update({"Content-Security-Policy": POLICY.format(here=here), "Referrer-Policy": "no-referrer"})
                response.set_cookie(self.cookie, self.key, httponly=True, samesite="Strict")
            return response

        return guard
