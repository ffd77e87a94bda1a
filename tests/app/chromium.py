"""A headless Chromium, spoken to in its own protocol: opens a page, presses keys, takes pictures."""

import asyncio
import base64
import contextlib
import itertools
import shutil
import subprocess
import time

import aiohttp

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None)


class Chromium:
    """Use as `async with Chromium(folder) as page`; `size` in pixels."""

    def __init__(self, folder, size=(1000, 620)):
        self._folder, self._size, self._numbers = folder, size, itertools.count(1)
        self.requests = []
        """Addresses that pages asked for."""
        self._answers = {}

    async def __aenter__(self):
        words = [
            PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
            f"--user-data-dir={self._folder}", "--remote-debugging-port=0", f"--window-size={self._size[0]},{self._size[1]}", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(  # noqa: ASYNC220
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        port_file, deadline = self._folder / "DevToolsActivePort", time.monotonic() + 60
        while not port_file.exists() or not port_file.read_text().count("\n"):
            assert time.monotonic() < deadline and self._process.poll() is None, "Chromium does not start"
            await asyncio.sleep(0.05)
        port = port_file.read_text().split()[0]
        self._web = aiohttp.ClientSession()
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with self._web.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    if pages := [one for one in await answer.json() if one["type"] == "page"]:
                        break
            await asyncio.sleep(0.05)
        self._socket = await self._web.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)
        self._reader = asyncio.create_task(self._read())
        for domain in ("Page", "Network", "Runtime"):
            await self.ask(f"{domain}.enable")
        return self

    async def __aexit__(self, *_):
        self._reader.cancel()
        with contextlib.suppress(Exception):
            await self._socket.close()
        await self._web.close()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()

    async def _read(self):
        async for message in self._socket:
            said = message.json()
            if said.get("method") in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                self.requests.append(said["params"].get("url") or said["params"]["request"]["url"])
            if said.get("id") in self._answers:
                self._answers.pop(said["id"]).set_result(said)

    async def ask(self, method, **given):
        number = next(self._numbers)
        self._answers[number] = future = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": given})
        said = await asyncio.wait_for(future, 30)
        assert "error" not in said, said
        return said["result"]

    async def open(self, url):
        await self.ask("Page.navigate", url=url)

    async def value(self, script):
        return (await self.ask("Runtime.evaluate", expression=script, returnByValue=True))["result"].get("value")

    async def press(self, key):
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" else {}
            await self.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=ord(key.upper()), **text)

    async def picture(self):
        return base64.b64decode((await self.ask("Page.captureScreenshot", format="png"))["data"])
