"""A worker that dies, hangs or raves, under the real screen: the cause is named, deciding goes on, one key starts it again, and nothing
of it is left. The worker is a stand-in that speaks the real protocol; the last tests have the real one on a tiny random model."""

import asyncio
import os
import re
import signal
import time

import pytest

from core.config import FILE
from runs.registry import Registry
from tests.safety.program import make_workspace, store_of, use_fake
from tests.safety.sizes import cases as numbers
from tests.safety.sizes import report, rng
from tests.safety.terminal import lives
from tui.app import FlavorApp

NAMED = {
    "kill": "killed", "abort": "SIGABRT", "segfault": "SIGSEGV", "exit": "code 3", "exit well": "code 0", "half a line": "killed",
    "heir": "killed", "stop": "stopped by a signal", "hang": "not answered", "garbage": "unreadable", "unknown": "unreadable",
    "endless": "unreadable", "senseless": "senseless", "wrong answer": "senseless", "flood": "too much at once", "close": "closed its pipe",
    "memory": "memory ran out", "failed": "]52;c;aGk=",
}  # fmt: skip
KEYS = {"load": "", "sample": "g", "train": "T"}
HARMLESS = ("memory", "failed")
"""Faults that the worker tells itself, and survives."""


def session_of(pid):
    """The living processes of a session: the worker and its heirs."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and lives(int(name)):
            try:
                if os.getsid(int(name)) == pid:
                    found.append(int(name))
            except ProcessLookupError:
                pass
    return found


class Desk:
    """A real app over the stand-in, in which faults are provoked one after another."""

    def __init__(self, app, pilot, workspace, monkeypatch):
        self.app, self.pilot, self.workspace, self.monkeypatch = app, pilot, workspace, monkeypatch
        self.said = []
        complain = app.complain
        monkeypatch.setattr(app, "complain", lambda error: (self.said.append(str(error)), complain(error)))
        self.workers = []
        self.struck = workspace.with_name("struck")
        monkeypatch.setenv("FAKE_STRUCK", str(self.struck))

    async def until(self, condition, seconds=30):
        """The seconds it took, or None."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > seconds:
                return None
            await asyncio.sleep(0.01)  # a pilot's pause also waits for every toast on the screen
        return time.monotonic() - began

    def words(self):
        return " ".join([self.app.jobs.line().plain, *self.said])

    async def fresh(self, fault=""):
        """Start the worker again by its key, with this fault in it."""
        self.monkeypatch.setenv("FAKE_FAULT", fault)
        await self.pilot.press("R")
        await self.until(lambda: self.app.session.worker and self.app.session.worker.pid)

    async def strike(self, fault, command, patience=600):
        """Provoke a fault; what is wrong with how the app took it, and how many seconds after it the cause was named."""
        self.struck.unlink(missing_ok=True)
        await self.fresh(f"{fault}:{command}")
        wrong = []
        if command != "load":
            if await self.until(lambda: self.app.jobs.doing == "ready") is None:
                return ["it did not start again"], None
            self.said.clear()
            await self.pilot.press(KEYS[command])
        pid = self.app.session.worker.pid
        self.workers.append(pid)
        took = None
        if await self.until(lambda: NAMED[fault] in self.words(), patience) is not None:
            took = time.monotonic() - float(self.struck.read_text()) if self.struck.exists() else None
        else:
            wrong.append(f"{fault} in {command}: never named ({self.words()})")
        wrong += await self.decides(f"{fault} in {command}")
        self.said.clear()
        return wrong, took

    async def decides(self, where):
        """Whether a key still decides, in spite of all."""
        before = store_of(self.workspace).counts["rejected"]
        if not self.app.session.store.pending:
            return []
        await self.pilot.press("x")
        return [] if store_of(self.workspace).counts["rejected"] == before + 1 else [f"{where}: a key decided nothing"]

    async def orphans(self):
        """What is left of all workers but the last, a moment after."""
        old = [pid for pid in self.workers if self.app.session.worker is None or pid != self.app.session.worker.pid]
        await self.until(lambda: not any(session_of(pid) for pid in old), 5)
        return [left for pid in old for left in session_of(pid)]


@pytest.fixture
def quick_look(monkeypatch):
    """Seconds instead of tens of them until a worker counts as hung."""
    import core.client

    monkeypatch.setattr(core.client, "SILENT", 0.5)
    monkeypatch.setattr(FlavorApp, "_LOOK", 0.2)


async def test_a_worker_that_breaks_down(tmp_path, monkeypatch, quick_look):
    use_fake(monkeypatch)
    workspace = make_workspace(tmp_path / "lighthouses", ready=0)
    random, wrong, times = rng("worker faults"), [], []
    cases = [(fault, "sample") for fault in NAMED]
    cases += [(fault, command) for command in ("train", "load") for fault in NAMED if (fault, command) != ("senseless", "load")]
    number = 0
    app = FlavorApp(workspace)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        desk = Desk(app, pilot, workspace, monkeypatch)
        await desk.until(lambda: app.jobs.doing == "ready")
        for number in numbers("worker faults"):
            if number and number % len(cases) == 0:
                random.shuffle(cases)
            if not app.session.store.pending:
                await desk.fresh()
                await desk.until(lambda: app.jobs.doing == "ready")
                await pilot.press("g")
                await desk.until(lambda: app.jobs.doing == "ready" and len(app.session.store.pending) > 6)
            found, took = await desk.strike(*cases[number % len(cases)])
            wrong += found
            times += [took] if took is not None else []
        planted = await plant_a_blind_eye(desk, monkeypatch)
        await desk.fresh()
        left = await desk.orphans()
    times.sort()
    late = sum(took > 1 for took in times)
    report(
        "worker faults",
        f"{number + 1:,} of {len(NAMED)} kinds: {len(wrong)} badly taken, orphans {len(left)}; named after {times[len(times) // 2]:.2f} s "
        f"(at most {times[-1]:.2f}; {late} later than 1 s)",
        f"a blind eye: {planted}",
    )
    assert not wrong and not left and planted == "caught"


async def plant_a_blind_eye(desk, monkeypatch):
    """A client that does not look whether its worker was stopped."""
    with monkeypatch.context() as blind:
        blind.setattr("core.client.WorkerClient.trouble", lambda self: "")
        found, _ = await desk.strike("stop", "sample", patience=3)
    os.kill(desk.workers[-1], signal.SIGCONT)
    desk.app.jobs.cancel()
    await desk.until(lambda: desk.app.jobs.doing == "ready", 5)
    return "caught" if found else "MISSED"


async def test_the_app_leaves_at_once_though_its_worker_hangs(tmp_path, monkeypatch):
    use_fake(monkeypatch, "stop:load")
    workspace = make_workspace(tmp_path / "lighthouses", ready=0)
    app = FlavorApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        desk = Desk(app, pilot, workspace, monkeypatch)
        await desk.until(lambda: "stopped by a signal" in desk.words())
        pid = app.session.worker.pid
    assert not session_of(pid)


# -- the real worker, on a tiny random model --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    from tests.engine.conftest import make_tiny

    return make_tiny(tmp_path_factory.mktemp("base") / "tiny")


async def test_the_real_worker_stopped_and_killed_and_its_run_done_again(tmp_path, monkeypatch, base):
    """It is named, one key starts it again, the run is marked as interrupted, and done again it gives the weights of a whole one."""
    import torch
    from safetensors.torch import load_file

    workspace = make_workspace(tmp_path / "lighthouses", ready=0)
    path = workspace / FILE
    text = path.read_text().replace('base = "starter"', f'base = "{base}"')
    path.write_text(re.sub(r"\[training\]\n", "[training]\nepochs = 2\nstop_early = false\n", text))
    app = FlavorApp(workspace)
    async with app.run_test(size=(100, 30)) as pilot:
        desk = Desk(app, pilot, workspace, monkeypatch)
        await desk.until(lambda: app.jobs.doing == "ready", 200)
        await pilot.press("T")
        await desk.until(lambda: app.jobs.doing == "training" and "step" in desk.words(), 200)
        os.kill(app.session.worker.pid, signal.SIGSTOP)
        await desk.until(lambda: "stopped by a signal" in desk.words())
        assert "stopped by a signal" in desk.words() and Registry(workspace).run("0001").status == "running"
        os.kill(app.session.worker.pid, signal.SIGSEGV)
        os.kill(app.session.worker.pid, signal.SIGCONT)
        await desk.until(lambda: app.jobs.doing == "dead")
        assert "SIGSEGV" in desk.words() and Registry(workspace).run("0001").status == "interrupted"
        assert app.session.registry.current() == "base"
        await pilot.press("R")
        await desk.until(lambda: app.jobs.doing == "ready", 200)
        for again in ("0002", "0003"):
            app.retrain(fresh=False, again="0001")
            await desk.until(lambda name=again: app.session.registry.current().startswith(name), 200)
            await desk.until(lambda: app.jobs.doing == "ready", 20)
        pid = app.session.worker.pid
    assert not session_of(pid)
    one, two = (load_file(workspace / f"runs/{name}/checkpoints/epoch-02/adapter_model.safetensors") for name in ("0002", "0003"))
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
    await asyncio.sleep(0)
