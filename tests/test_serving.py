"""The server behind `flavor-tui serve`, with scripts in the place of the app."""

import asyncio
import os
import shlex
import sys
import time

import aiohttp

from core import environment
from tui.served import server
from tui.served.server import App, OneSession

HEAD = """
import os, sys, time
def say(data, kind=b"D"): sys.stdout.buffer.write(kind + len(data).to_bytes(4, "big") + data); sys.stdout.flush()
print("__GANGLION__", flush=True)
"""
DRAWS = """
for _ in range(40): say(b"x" * 100_000)
sys.stderr.write("x" * 1_000_000)
time.sleep(0.3)
"""


def app(body, write_bytes):
    class Downloads:
        async def cancel_app_downloads(self, app_service_id):
            pass

    async def nothing(*_):
        pass

    command = "exec " + shlex.join([sys.executable, "-c", HEAD + body])
    return App(command, write_bytes=write_bytes, write_str=nothing, close=nothing, download_manager=Downloads())


async def gone(data):
    raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")


async def test_an_app_whose_page_went_away_has_ended_before_the_next_begins():
    one = app(DRAWS, gone)
    await one.start(80, 24)
    await asyncio.wait([one._task])
    assert one._process.returncode is None  # it still draws
    await one.end()
    assert one._process.returncode == 0


async def test_an_app_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(server, "PATIENCE", 0.3)
    one = app("time.sleep(60)", gone)
    await one.start(80, 24)
    before = time.monotonic()
    await one.end()
    assert time.monotonic() - before < 10 and one._process.returncode == -9


async def test_the_hubs_token_reaches_the_tabs_app(monkeypatch):
    handle = environment._nameless_file()
    os.write(handle, b"hf_secret")
    monkeypatch.setattr(environment, "_hub_token", handle)
    seen = asyncio.Queue()
    one = app("from core.environment import read_token; say(read_token().encode())", seen.put)
    await one.start(80, 24)
    assert await asyncio.wait_for(seen.get(), 30) == b"hf_secret"
    await one.end()
    os.close(handle)


def test_two_workspaces_have_two_cookies():
    one, other = (OneSession("true", "t", port) for port in (8001, 8002))
    assert one.cookie != other.cookie
