"""`flavor-tui serve`: the real app in a real browser; one session a workspace; for nobody but who has the address."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import aiohttp
import pytest

from core.config import FILE
from core.lock import Lock
from dataset.store import Store
from docs import json_lines
from tests.app.chromium import PROGRAM, Chromium
from tests.app.conftest import TEXTS

needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")


DRAWN = "document.body?.classList.contains('-first-byte') && !document.body.classList.contains('-closed')"


@pytest.fixture
def served(workspace):
    """A workspace in a browser: the process, and the address."""
    path = workspace / FILE
    path.write_text(path.read_text().replace('base = "starter"', 'base = "none.gguf"'))  # no model is needed to decide
    words = [sys.executable, "-m", "tui", "serve", str(workspace), "--port", "0", "--json"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = server.stdout.readline()
    assert json_lines.check("serve", line) == "Served"
    yield server, json.loads(line)["url"]
    server.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(15)
    server.kill()
    server.wait()
    server.stdout.close()
    server.stderr.close()


async def until(what, seconds=40):
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def drawn(there, texts):
    """Read from a socket until one of the texts was drawn."""
    seen = b""
    while not any(text.encode() in seen for text in texts):
        message = await asyncio.wait_for(there.receive(), 40)
        assert message.type is not aiohttp.WSMsgType.CLOSED
        seen += message.data if message.type is aiohttp.WSMsgType.BINARY else b""


def decided(workspace):
    return [decision.verdict for decision in Store(workspace, read_only=True).decisions.values()]


def free(workspace):
    """Whether nobody has the workspace open."""
    lock = Lock(workspace / "lock")
    holder = lock.acquire()
    lock.release()
    return not holder


def listening(port):
    """The addresses at which somebody listens on a port, in hex."""
    tables = [f"/proc/net/{name}" for name in ("tcp", "tcp6") if os.path.exists(f"/proc/net/{name}")]
    return [
        at
        for table in tables
        for line in open(table).readlines()[1:]
        if (at := line.split()[1]).endswith(f":{port:04X}") and line.split()[3] == "0A"
    ]


@needs_chromium
async def test_keys_in_a_browser_decide_and_a_reload_goes_on(served, workspace, tmp_path):
    _, url = served
    async with Chromium(tmp_path / "chromium") as page:
        await page.open(url)
        for verdict in ("accept", "reject"):  # the second after a reload, which takes the session over
            while not await page.value(DRAWN):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            before = len(decided(workspace))
            await page.value("document.querySelector('textarea').focus()")
            deadline = time.monotonic() + 40
            while len(decided(workspace)) == before:
                assert time.monotonic() < deadline
                await page.press({"accept": "a", "reject": "x"}[verdict])
                for _ in range(40):
                    await asyncio.sleep(0.05)
                    if len(decided(workspace)) > before:
                        break
            assert decided(workspace)[before:] == [verdict]
            assert len(await page.picture()) > 10_000  # not an empty page
            await page.ask("Page.reload")
        hosts = {re.match(r"\w+://([^/]+)", address)[1] for address in page.requests if address.startswith(("http", "ws"))}
        assert hosts == {re.match(r"http://([^/]+)", url)[1]}
    await until(lambda: free(workspace))


async def socket(web, url, **headers):
    """A socket of a page at `url`, and its first bytes."""
    there = await web.ws_connect(url.replace("http", "ws").split("?")[0] + "ws?width=80&height=24", headers=headers)
    while (message := await asyncio.wait_for(there.receive(), 40)).type is not aiohttp.WSMsgType.BINARY:
        assert message.type is not aiohttp.WSMsgType.CLOSED
    return there


async def test_the_last_tab_has_the_session(served, workspace):
    server, url = served
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as web:
        async with web.get(url) as page:
            assert page.status == 200
        first = await socket(web, url)
        await until(lambda: not free(workspace))
        second = await socket(web, url)
        while not first.closed:  # what it was sent before
            await asyncio.wait_for(first.receive(), 20)
        await drawn(second, TEXTS)  # a key before the card stands there has nothing to decide
        await second.send_json(["stdin", "a"])
        await until(lambda: decided(workspace) == ["accept"])
        server.kill()  # however it goes, nothing is left that holds the workspace
        await until(lambda: free(workspace))


async def test_strangers_are_refused_and_no_other_machine_can_ask(served):
    _, url = served
    assert {one[:8] for one in listening(int(re.search(r":(\d+)/", url)[1]))} == {"0100007F"}
    page, socket_at = url.split("?")[0], url.replace("http", "ws").split("?")[0] + "ws"
    key = {"Cookie": f"flavor-tui-{url.split(':')[2].split('/')[0]}={url.split('key=')[1]}"}
    async with aiohttp.ClientSession() as web:
        for address, headers in (
            (page, {}),
            (page + "?key=guess", {}),
            (page + "static/js/textual.js", {}),
            (url, {"Host": "evil.example"}),
            (url, {"Origin": "http://evil.example"}),
        ):
            async with web.get(address, headers=headers) as answer:
                assert answer.status == 403, (address, headers)
        for headers in ({}, {**key, "Origin": "http://evil.example"}, {**key, "Host": "evil.example"}):
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await web.ws_connect(socket_at, headers=headers)
        async with web.get(url) as answer:
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
            assert "http" not in re.sub(re.escape(page), "", await answer.text())
