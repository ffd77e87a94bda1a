"""The docs' pictures: a short evening on a copy of the demo with the real starter, each screen and dialog saved as SVG.

python -m docs.screenshots [FOLDER]      (default: docs/screens)
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import DataTable, Input, TextArea

from core.text import words
from dataset.rows import Candidate
from tui.app import FlavorApp
from tui.commands.making import make_demo
from tui.session.session import Session

SIZE = (100, 30)
TYPED = (
    "The Corrant keep one window in every wall of their empire, and behind each window sits a clerk who remembers you. "
    "They do not conquer. They queue, patiently, in their millions, until somebody lets them in."
)


DIALOGS = (
    ("edit", "f3", "e"),
    ("attributes", "f3", "f"),
    ("import", "f4", "i"),
    ("evidence", "f5", "v"),
    ("compare", "f5", "c"),
    ("blind", "f5", "b"),
    ("curve", "f5", "l"),
    ("note", "f5", "n"),
    ("sweep", "f6", "s"),
    ("models", "f5", "M"),
    ("help", "f3", "question_mark"),
)
"""What opens above a screen: a name, the screen's key, its own."""


async def evening(workspace: Path) -> None:
    """Sample from the base, decide, retrain, sample, decide: what the pictures then show."""
    with Session(workspace) as session:
        async for _ in session.start_worker():
            pass
        try:
            for seed in (1, 1001):
                made = [event async for event in session.sample(8, {}, seed=seed) if isinstance(event, Candidate)]
                for candidate in made:
                    good = not candidate.flags and len(words(candidate.text)) >= 40
                    session.decide(candidate.uid, "accept" if good else "reject")
                if seed == 1:
                    async for _ in session.retrain(session.plan(seed=1)):
                        pass
        finally:
            await session.stop_worker()


async def until(pilot: Pilot[int], doing: str, seconds: float = 180) -> None:
    """Wait for the worker to be at something."""
    app = pilot.app
    assert isinstance(app, FlavorApp)
    end = time.monotonic() + seconds
    while app.jobs.doing != doing and time.monotonic() < end:
        await pilot.pause(0.1)
    await pilot.pause(0.2)


async def filled(pilot: Pilot[int], table: DataTable[object], seconds: float = 60) -> None:
    """Wait for a table's first rows."""
    end = time.monotonic() + seconds
    while not table.row_count and time.monotonic() < end:
        await pilot.pause(0.1)
    await pilot.pause(0.5)


async def pictures(workspace: Path, folder: Path) -> None:
    app = FlavorApp(workspace)
    async with app.run_test(size=SIZE) as pilot:

        def save(name: str) -> None:
            (folder / f"{name}.svg").write_text(app.export_screenshot(title="flavor-tui"))
            print(f"{name}.svg")

        await until(pilot, "ready")
        await until(pilot, "sampling", 5)
        await until(pilot, "ready")
        await pilot.press("space", "space")
        await pilot.pause(0.5)
        save("curate")
        await pilot.press("f2")
        await pilot.pause()
        for number, value in enumerate(("2", "Aloof", "Office of windows")):
            app.screen.query_one(f"#field-{number}", Input).value = value
        area = app.screen.query_one(TextArea)
        area.load_text(TYPED)
        area.focus()
        await pilot.pause(0.5)
        save("write")
        await pilot.press("f4")
        await pilot.pause(0.3)
        save("library")
        await until(pilot, "ready")
        await pilot.press("f3", "t")
        await until(pilot, "training")
        await pilot.pause(12)
        app.clear_notifications()
        await pilot.pause(0.2)
        save("retraining")
        await until(pilot, "ready")
        app.clear_notifications()
        await pilot.press("f5")
        await pilot.pause(0.3)
        save("runs")
        await pilot.press("f6", "m")
        await until(pilot, "measuring", 5)
        await until(pilot, "ready")
        await pilot.pause(1)
        app.clear_notifications()
        await pilot.pause(0.2)
        save("report")
        await pilot.press("ctrl+t")
        await pilot.pause(0.3)
        save("light")
        await pilot.press("ctrl+t")
        await dialogs(app, pilot, save)
    (Path(os.environ["FLAVOR_TUI_STATE"]) / "recent.json").unlink(missing_ok=True)
    app = FlavorApp(Path("my-evening"))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        (folder / "welcome.svg").write_text(app.export_screenshot(title="flavor-tui"))


async def dialogs(app: FlavorApp, pilot: Pilot[int], save: Callable[[str], None]) -> None:
    """Each dialog above its screen, in the state in which a person would find it."""
    for name, screen, key in DIALOGS:
        while len(app.screen_stack) > 1:
            app.pop_screen()
            await pilot.pause(0.1)
        await pilot.press(screen)
        await pilot.pause(0.3)
        await pilot.press(key)
        await pilot.pause(1.5)
        if name == "curve":
            await pilot.press("enter")
            await pilot.pause(100)  # a few points
        if name == "models":
            await filled(pilot, app.screen.query_one(DataTable))
        app.clear_notifications()
        await pilot.pause(0.2)
        if len(app.screen_stack) > 1 or name == "help":
            save(name)
        app.jobs.cancel()
    await pilot.pause(0.5)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "screens"
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)  # no path of this machine in a picture
        os.environ["FLAVOR_TUI_STATE"] = str(Path(scratch) / "state")
        workspace = Path(scratch) / "alien-empires"
        make_demo(workspace)
        asyncio.run(evening(workspace))
        asyncio.run(pictures(workspace, folder))


if __name__ == "__main__":
    main()
