"""What the doctor looks at in the runs: each against its own hashes, and against those that the last session left."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core import checkpoints, runfiles
from core.errors import FlavorError
from core.files import exists, names, read_bytes, sha256
from core.finding import Finding
from core.runfiles import BASE, CHECKPOINT, CheckpointInfo
from core.text import counted
from runs.registry import Registry, Run

ADAPTER = "adapter_model.safetensors"


def check_runs(workspace: Path, sums: Mapping[str, str], pointed: bool) -> list[Finding]:
    """Every run and checkpoint, the pointer to the active one, and what is not as the last session left it. Reads only.

    `sums` are the hashes of files by path, as they were at the end of the last session; `pointed`: a session left a pointer.
    """
    registry = Registry(workspace)
    runs = registry.runs()
    found = [one for run in runs for one in _check_run(run)]
    found += _check_current(registry, pointed)
    said = {one.where for one in found}
    for path, sha in sorted(sums.items()):
        if path.startswith("runs/") and path not in said:
            found += _compare(workspace, path, sha)
    checkpoints = sum(len(run.checkpoints) for run in runs)
    return found or [
        Finding("well", "runs", f"{counted(len(runs), 'run')} with {counted(checkpoints, 'checkpoint')}, every file as it was written")
    ]


def _compare(workspace: Path, path: str, sha: str) -> list[Finding]:
    try:
        if sha256(workspace / path) == sha:
            return []
    except FileNotFoundError:
        return [Finding("lost", path, "it was there at the end of the last session, and is gone")]
    except OSError as error:
        return [Finding("lost", path, f"it cannot be read: {error.strerror}")]
    return [Finding("lost", path, "it is not what it was at the end of the last session")]


def _check_run(run: Run) -> list[Finding]:
    where = f"runs/{run.name}"
    if run.status == "newer":
        return [Finding("note", where, run.reason)]
    if run.spec is None:
        return [Finding("lost", f"{where}", run.reason or "it cannot be read")]
    found = []
    try:
        runfiles.read_rows(run.folder / "rows.jsonl", run.spec.rows_sha256)
    except FlavorError as error:
        found.append(Finding("lost", f"{where}/rows.jsonl", str(error)))
    again = not found
    if run.result and run.result.status == "done" and run.result.checkpoint not in [info.name for info in run.checkpoints]:
        found.append(Finding("lost", where, f"its chosen checkpoint {run.result.checkpoint} cannot be read"))
    if run.status == "interrupted" and again:
        what = "it was interrupted; its rows and its seed are whole, so it can be run again: A on Runs, or `retrain --again`"
        found.append(Finding("note", where, what))
    for name in names(run.folder / "checkpoints"):
        if not name.startswith("."):
            found += _check_checkpoint(run.folder / "checkpoints" / name, f"{where}/checkpoints/{name}")
    return found


def _check_checkpoint(folder: Path, where: str) -> list[Finding]:
    try:
        info = runfiles.read(folder / "checkpoint.json", CheckpointInfo)
    except FlavorError as error:
        return [Finding("lost", f"{where}/checkpoint.json", error.message)]
    wanted: dict[str, str] = {ADAPTER: info.sha256, **(info.manifest.files if info.manifest else {})}
    found = []
    for name, sha in wanted.items():
        try:
            if sha256(folder / name) != sha:
                found.append(Finding("lost", f"{where}/{name}", "it is not the file that training wrote"))
        except OSError as error:
            found.append(Finding("lost", f"{where}/{name}", f"it cannot be read: {error.strerror}"))
    if not found:  # its files are whole: is it what the worker would use?
        try:
            checkpoints.verify_files(folder)
        except FlavorError as error:
            found.append(Finding("lost", where, f"{error.message} {error.hint}"))
        except OSError as error:
            found.append(Finding("lost", where, f"it cannot be read: {error.strerror}"))
    return found


def _check_current(registry: Registry, pointed: bool) -> list[Finding]:
    path = registry.folder / "current"
    if not exists(path):
        ended = [run for run in registry.runs() if run.spec is None or (run.result and run.result.status == "done")]
        what = "it is missing, so that the base is active"
        return [Finding("mend", "runs/current", what)] if ended or pointed else []
    try:
        name = read_bytes(path, 200).decode().strip()
    except (OSError, ValueError):
        name = ""
    if name != BASE and not CHECKPOINT.fullmatch(name):
        return [Finding("mend", "runs/current", "it names no checkpoint, so that the base is active")]
    try:
        registry.checkpoint_folder(name)
    except FlavorError:
        return [Finding("mend", "runs/current", f"it names {name}, which is not there")]
    return []


def mend_current(workspace: Path, candidates: list[str]) -> str:
    """Make the first of these checkpoints active that is whole, else the latest whole one, else the base. Says what was done."""
    registry = Registry(workspace)
    latest = [info.name for run in reversed(registry.runs()) for info in reversed(run.checkpoints)]
    for name in [*candidates, *latest]:
        folder = registry.folder / name.replace("/", "/checkpoints/", 1)
        if name == BASE or (CHECKPOINT.fullmatch(name) and not _check_checkpoint(folder, name)):
            registry.use(name)
            return f"{name} is active now"
    registry.use(BASE)
    return "the base is active now"
