"""The picture of the app in a browser: a copy of the demo, the real starter, the real `flavor-tui serve`, a headless Chromium.

python -m docs.browser [FILE]      (default: docs/screens/browser.png)
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dataset.rows import Candidate
from tests.app.chromium import Chromium
from tui.commands.making import make_demo
from tui.session.session import Session

DRAWN = "document.body?.classList.contains('-first-byte')"


async def candidates(workspace: Path) -> None:
    """Some to look at."""
    with Session(workspace) as session:
        async for _ in session.start_worker():
            pass
        try:
            made = [event async for event in session.sample(8, {}, seed=1) if isinstance(event, Candidate)]
            for candidate in made[:2]:
                session.decide(candidate.uid, "skip")
        finally:
            await session.stop_worker()


async def picture(url: str, folder: Path) -> bytes:
    async with Chromium(folder, (1180, 760)) as page:
        await page.open(url)
        while not await page.value(DRAWN):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await asyncio.sleep(12)
        data: bytes = await page.picture()
        return data


def main() -> None:
    target = (Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "screens/browser.png").resolve()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["FLAVOR_TUI_STATE"] = str(Path(scratch) / "state")
        workspace = Path(scratch) / "alien-empires"
        make_demo(workspace)
        asyncio.run(candidates(workspace))
        words = [sys.executable, "-m", "tui", "serve", str(workspace), "--port", "0", "--json"]
        server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        try:
            target.write_bytes(asyncio.run(picture(json.loads(server.stdout.readline())["url"], Path(scratch) / "chromium")))
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)
            time.sleep(1)
    print(target.name)


if __name__ == "__main__":
    main()
