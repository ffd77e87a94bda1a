"""Publishes checkpoints until it is killed: the real protocol on files without a model. Run as a program; each child says on stdout which
checkpoint it has finished. The parent forks, kills after a random time, and prints what it found, as JSON."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from core import checkpoints, files
from core.checkpoints import Place
from core.config import Lora, Training
from core.errors import FlavorError
from core.runfiles import CheckpointInfo, RunSpec
from runs.registry import Registry
from tests.safety.memory import in_memory

PLACE = Place("base", "f" * 32, "t" * 32, Lora(r=4, alpha=8))


def make_run(workspace: Path, number: int) -> RunSpec:
    """A run as the session would have frozen it."""
    spec = RunSpec(
        f"{number:04}", "now", "base", PLACE.fingerprint, "nf4", PLACE.lora, Training(), 1, 1, 1e-3, None, 0, 0, hashlib.sha256(b"").hexdigest()
    )  # fmt: skip
    Registry(workspace).create(spec, [])
    return spec


def publish(workspace: Path, spec: RunSpec, epoch: int) -> None:
    """One checkpoint, its weights written in pieces as a library writes them, and the pointer set to it."""

    def fill(staging: Path) -> CheckpointInfo:
        with open(staging / checkpoints.WEIGHTS, "wb") as file:
            for piece in range(6):
                file.write(bytes([epoch % 251, piece]) * 20_000)
                file.flush()
        config = {"peft_type": "LORA", "r": PLACE.lora.r, "lora_alpha": PLACE.lora.alpha}
        (staging / checkpoints.CONFIG).write_text(json.dumps(config))
        (staging / "README.md").write_text("an adapter")
        name = f"{spec.name}/epoch-{epoch:02}"
        return CheckpointInfo(name, epoch, "base", PLACE.fingerprint, "", None, 1.0, "now", manifest=checkpoints.manifest(PLACE, spec))

    checkpoints.publish(workspace / "runs" / spec.name / "checkpoints" / f"epoch-{epoch:02}", fill)
    Registry(workspace).use(f"{spec.name}/epoch-{epoch:02}")


def child(workspace: Path, spec: RunSpec, done: int) -> None:
    """Publish, and end here whatever happens: an error that went on would remove the parent's folder."""
    status = 1
    try:
        for epoch in range(1, 90):
            publish(workspace, spec, epoch)
            os.write(done, b".")
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(status)


def look(workspace: Path, spec: RunSpec, finished: int, before: str) -> list[str]:
    """What is wrong after a kill: a checkpoint that is there and not whole, one that was finished and is not there, a pointer to neither."""
    wrong = []
    folder = workspace / "runs" / spec.name / "checkpoints"
    present = [name for name in files.names(folder) if not name.startswith(".")]
    for name in present:
        try:
            checkpoints.verify(folder / name, PLACE)
        except FlavorError as error:
            wrong.append(str(error))
    if len(present) < finished:
        wrong.append(f"{finished} were finished, {len(present)} are there")
    current = Registry(workspace).current()
    if current != before and (not current.startswith(spec.name) or current.split("/")[1] not in present):
        wrong.append(f"{current} is active, and is not there")
    return wrong


def round_of(workspace: Path, number: int, rng: random.Random) -> list[str]:
    """One child, killed."""
    before = Registry(workspace).current()
    spec = make_run(workspace, number)
    told, done = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(told)
        child(workspace, spec, done)
    os.close(done)
    time.sleep(rng.random() * 0.06)
    os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    finished = len(os.read(told, 1 << 16))
    os.close(told)
    wrong = look(workspace, spec, finished, before)
    if status not in (0, signal.SIGKILL):
        wrong.append(f"publishing ended by itself, with status {status}")
    files.sweep(workspace)
    left = [name for name in files.names(workspace / "runs" / spec.name / "checkpoints") if name.startswith(".")]
    return wrong + [f"{name} was left over" for name in left]


def in_place(staging: Path, final: Path) -> None:
    """A planted fault: publishing by writing into the place itself, the manifest first."""
    final.mkdir(parents=True)
    for path in sorted(staging.iterdir(), key=lambda path: path.name != checkpoints.INFO):
        with open(final / path.name, "wb") as file:
            file.write(path.read_bytes())
        time.sleep(0.002)


def fail(staging: Path, final: Path) -> None:
    """A planted fault: publishing that fails."""
    raise OSError("planted")


PLANTED = {"in place": in_place, "failing": fail}


def main() -> None:
    count, seed = int(sys.argv[1]), sys.argv[2]
    if planted := PLANTED.get(sys.argv[3]):
        checkpoints.publish_folder = planted  # type: ignore[attr-defined]
    rng, wrong = random.Random(seed), []
    with tempfile.TemporaryDirectory(dir=in_memory()) as name:
        for number in range(1, count + 1):
            wrong += round_of(Path(name), number, rng)
            if number % 100 == 0:
                files.remove_tree(Path(name) / "runs")
        print(json.dumps({"wrong": len(wrong), "first": wrong[:5]}))


if __name__ == "__main__":
    main()
