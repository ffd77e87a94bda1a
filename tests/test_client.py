"""The handle on the worker against scripted children: a stand-in for a worker that dies, raves or is cancelled."""

import asyncio
import os
import signal
import sys

import pytest

from core.client import WorkerClient
from core.config import Lora
from core.errors import FlavorError
from core.protocol import Loading

HEAD = """
import json, os, signal, sys
def say(**event): sys.stdout.write(json.dumps(event) + "\\n"); sys.stdout.flush()
"""
LOADED = 'say(type="loaded", id=c["id"], name="n", fingerprint="f", parameters=1, trainable=1, device="cpu", form="x")'


def fake_worker(tmp_path, body):
    """A client whose worker is a script; `body` runs for every command `c`."""
    script = HEAD + "for line in sys.stdin:\n    c = json.loads(line)\n" + "".join(f"    {line}\n" for line in body.splitlines())
    return WorkerClient(tmp_path / "worker.log", [sys.executable, "-c", script])


async def load(client):
    return [event async for event in client.load("starter", "nf4", Lora())]


async def test_events_arrive_in_order(tmp_path):
    client = fake_worker(tmp_path, f'say(type="loading", id=c["id"], stage="a")\nprint("stray", file=sys.stderr)\n{LOADED}')
    await client.start()
    assert [type(event).__name__ for event in await load(client)] == ["Loading", "Loaded"]
    assert [type(event).__name__ for event in await load(client)] == ["Loading", "Loaded"]
    assert (tmp_path / "worker.log").read_text().strip().endswith("stray")
    pid = client.pid
    await client.close()
    assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "memory ran out"),
        ("os.abort()", "SIGABRT"),
        ("os._exit(3)", "code 3"),
        ("sys.exit(0)", "code 0"),
        ('print("not json", flush=True)', "unreadable"),
        ('say(type="unheard", id=1)', "unreadable"),
        ("""print('{"type": "loading", "id": 1, "x": ' + "[" * 99999, flush=True)""", "unreadable"),
        ('sys.stdout.write("x" * (1 << 25)); sys.stdout.flush()', "unreadable"),
    ],
)
async def test_a_worker_that_dies_is_named_and_can_be_started_again(tmp_path, body, said):
    client = fake_worker(tmp_path, body)
    await client.start()
    with pytest.raises(FlavorError, match=said) as error:
        await load(client)
    assert error.value.kind == "worker" and not client.alive
    with pytest.raises(FlavorError, match=said):
        await load(client)
    await client.close()
    client.command = fake_worker(tmp_path, LOADED).command
    await client.start()
    assert len(await load(client)) == 1
    await client.close()


async def test_a_failure_is_an_error_with_its_hint(tmp_path):
    client = fake_worker(tmp_path, 'say(type="failed", id=c["id"], message="No room.", hint="Make some.", kind="disk")')
    await client.start()
    with pytest.raises(FlavorError) as error:
        await load(client)
    assert (error.value.message, error.value.hint, error.value.kind) == ("No room.", "Make some.", "disk")
    await client.close()


async def test_leaving_early_cancels(tmp_path, monkeypatch):
    body = (
        'open(os.environ["SEEN"], "a").write(c["type"] + " ")\n'
        'if c["type"] == "load": say(type="loading", id=c["id"], stage="a")\n'
        'else: say(type="cancelled", id=c["of"])'
    )
    client = fake_worker(tmp_path, body)
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    await client.start()
    events = client.load("starter", "nf4", Lora())
    assert isinstance(await anext(events), Loading)
    await events.aclose()
    await client.close()
    assert (tmp_path / "seen").read_text() == "load cancel "


async def test_a_hung_worker_is_ended(tmp_path):
    client = WorkerClient(
        tmp_path / "worker.log", [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(99)"]
    )
    await client.start()
    pid = client.pid
    await client.close()
    assert not os.path.exists(f"/proc/{pid}")


async def test_a_slow_base_may_take_longer_over_a_step(tmp_path, monkeypatch):
    client = fake_worker(tmp_path, LOADED.replace('form="x"', 'form="x", train_speed=float(os.environ["SPEED"])'))
    for speed, seconds in (("8", 256), ("200", 120), ("0", 120)):
        monkeypatch.setenv("SPEED", speed)
        await client.start()
        await load(client)
        assert client.stalled == seconds
        await client.close()


async def test_what_could_not_be_asked_is_not_waited_for(tmp_path):
    """A folder's name that is no UTF-8, and a worker that is gone: once there is one again it is not held to have stalled."""
    client = fake_worker(tmp_path, LOADED)
    await client.start()
    with pytest.raises(FlavorError, match=r"/a/caf\\udce9 is not UTF-8, and cannot be sent"):
        [event async for event in client.load("/a/caf\udce9", "nf4", Lora())]
    assert not client._commands and client.alive and len(await load(client)) == 1
    os.kill(client.pid, signal.SIGKILL)
    while not client.death:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    with pytest.raises(FlavorError, match="memory ran out"):
        await load(client)
    assert not client._commands
    await client.close()
