"""The server behind `flavor-tui serve`: textual-serve's, for one tab at a time, and for nobody but who has the key."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Middleware
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

HOST = "127.0.0.1"
COOKIE = "flavor-tui"
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


async def _focus(app: AppService) -> None:
    await asyncio.sleep(FOCUS)
    await app.focus()


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
                app = AppService(
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
                with contextlib.suppress(ConnectionError):
                    await app.stop()
            mine.ended.set()
            await mine.close()
        return mine.socket

    def _guard(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
            here = f"{HOST}:{self.port}"
            if request.host != here or request.headers.get("Origin", f"http://{here}") != f"http://{here}":
                return web.Response(status=403, text="This page is for this machine only.")
            given = request.query.get("key") or request.cookies.get(COOKIE, "")
            if not hmac.compare_digest(given.encode(), self.key.encode()):
                return web.Response(status=403, text="Open the address that flavor-tui printed.")
            response = await handler(request)
            if not response.prepared:
                response.headers.update({"Content-Security-Policy": POLICY.format(here=here), "Referrer-Policy": "no-referrer"})
                response.set_cookie(COOKIE, self.key, httponly=True, samesite="Strict")
            return response

        return guard
