"""The dialog of models, with the real process behind it and a stand-in hub: fills by itself, fetches, is stopped and goes on, chooses."""

import asyncio

import pytest
from textual.widgets import DataTable, Input

from core import config
from core.errors import FlavorError
from core.fit import Shape
from core.hub.shortlist import Advised
from tests.app.test_jobs import until
from tests.engine.conftest import make_tiny
from tests.hub import Hub, Repo
from tui.app import FlavorApp
from tui.commands.fetching import fetch
from tui.screens.models import ModelsDialog
from tui.widgets.plain import Plain


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = Hub(pace=8_000_000)
    base = make_tiny(tmp_path / "tiny")
    files = {path.name: path.read_bytes() for path in base.iterdir()}
    files["model.safetensors"] = bytes(range(256)) * 80_000
    hub.repos["model", "someone/tiny"] = Repo(private=False, files=files)
    for name, value in (("HF_ENDPOINT", hub.url), ("HF_HOME", str(tmp_path / "hf")), ("HF_HUB_DISABLE_XET", "1"), ("HOME", str(tmp_path))):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tui.commands.models.ADVISED", (Advised("someone/tiny", Shape(90_000, 258, 64, 2), "MIT", "of no use"),))
    yield hub
    hub.close()


def doing(app):
    return str(app.screen.query_one("#models-doing", Plain).content)


async def test_a_model_is_fetched_stopped_and_resumed(workspace, hub):
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("M")
        assert isinstance(app.screen, ModelsDialog)
        assert "looking for models" in doing(app)
        table = app.screen.query_one(DataTable)
        await until(pilot, lambda: "someone/tiny" in {key.value for key in table.rows})
        await until(pilot, lambda: not doing(app))
        table.move_cursor(row=[key.value for key in table.rows].index("someone/tiny"))
        await until(pilot, lambda: "MIT · of no use" in str(app.screen.query_one("#models-about", Plain).content))
        await pilot.press("enter")
        await until(pilot, lambda: hub.sent > 12_000_000)
        assert "of 20 MB" in doing(app)
        await pilot.press("c")
        await until(pilot, lambda: "stopped; what came stays" in doing(app))
        hub.pace, before = 0, hub.sent
        await pilot.press("enter")
        await until(pilot, lambda: "is on this machine; enter takes it" in doing(app))
        assert hub.sent - before < 11_000_000
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, ModelsDialog))
        assert config.load(workspace).model.base == app.session.settings.model.base == "someone/tiny"  # nothing was trained yet


async def test_a_plain_name_is_asked_of_the_hub_too(workspace, hub):
    """Some models have one; what is none leads on to those that are."""
    path = workspace / config.FILE
    path.write_text(path.read_text().replace('base = "starter"', 'base = "Tavern"'))
    app = FlavorApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.jobs.doing == "dead")
        assert "D downloads it" in app.jobs.line().plain
        await pilot.press("D")
        await until(pilot, lambda: "There is no model 'Tavern' on the hub" in app.jobs.line().plain)
        assert "M shows the models that are here" in app.jobs.line().plain
    for base in ("starter", "x.gguf", "./x"):
        with pytest.raises(FlavorError, match="is not from the hub"):
            await anext(fetch(base))


async def test_the_welcome_takes_the_base_that_is_chosen(tmp_path, hub):
    app = FlavorApp(tmp_path / "new")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+o")
        table = app.screen.query_one(DataTable)
        await until(pilot, lambda: "starter" in {key.value for key in table.rows})
        table.move_cursor(row=[key.value for key in table.rows].index("starter"))
        app.screen.query_one(DataTable).focus()
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, ModelsDialog))
        assert app.screen.query_one("#base", Input).value == "starter"
        await pilot.press("ctrl+o")
        await pilot.press("escape")
        assert app.screen.query_one("#base", Input).value == "starter"


async def test_it_may_be_left_while_it_still_looks(workspace, monkeypatch):
    """What looks is a process, and on a busy machine it ends after the dialog is gone."""
    ended = []

    async def slow(folders):
        try:
            await asyncio.sleep(60)
            yield
        finally:
            await asyncio.sleep(0.3)
            ended.append(True)

    monkeypatch.setattr("tui.screens.models.known", slow)
    app = FlavorApp(workspace, start_worker=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, ModelsDialog) and app.screen.query_one(DataTable).loading)
        await pilot.press("escape")
        await until(pilot, lambda: ended)
        await pilot.pause(0.1)
        assert not isinstance(app.screen, ModelsDialog)
