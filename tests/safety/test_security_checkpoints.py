"""A checkpoint is whole or absent, and one that is damaged or foreign is refused by name: kills while it is published, and fourteen kinds of
adapters that must not be used, each also where somebody made its manifest fit."""

import json
import os
import shutil
import subprocess
import sys

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

from core import checkpoints, runfiles
from core.checkpoints import CONFIG, INFO, WEIGHTS
from core.config import Lora
from core.errors import FlavorError
from core.protocol import Train
from core.runfiles import CheckpointInfo, RunSpec
from runs.checkup import _check_checkpoint
from tests.engine.conftest import load_engine, make_tiny
from tests.engine.test_engine import make_run, texts
from tests.safety.sizes import SEED, report, size


def run(count, planted=""):
    words = [sys.executable, "-m", "tests.safety.publishing", str(count), f"checkpoints {SEED}", planted or "as it is"]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def test_publishing_is_killed():
    count = size("checkpoints killed")
    found, planted, failing = run(count), run(30, "in place"), run(30, "failing")
    caught = "caught" if planted["wrong"] else "MISSED"
    report("checkpoints killed", f"{count} kills: {found['wrong']} half published, lost or left over", f"written in place: {caught}")
    assert not found["wrong"], found["first"]
    assert caught == "caught"
    assert any("by itself" in fault for fault in failing["first"]), "a child that failed was taken for one that was killed"


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """A tiny base; one of the same shape; the same one with a tokenizer that has two pieces swapped."""
    folder = tmp_path_factory.mktemp("bases")
    one, other = make_tiny(folder / "one"), make_tiny(folder / "other", seed=1)
    swapped = shutil.copytree(one, folder / "swapped")
    tokenizer = json.loads((swapped / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    words["a"], words["b"] = words["b"], words["a"]
    (swapped / "tokenizer.json").write_text(json.dumps(tokenizer))
    return {"one": one, "other": other, "swapped": swapped}


@pytest.fixture(scope="module")
def engines(bases):
    return {name: load_engine(folder) for name, folder in bases.items()}


@pytest.fixture(scope="module")
def runs(engines, tmp_path_factory):
    """Two finished runs on the first base."""
    folder = tmp_path_factory.mktemp("runs")
    engine, loaded = engines["one"]
    for name in ("0001", "0002"):
        made = make_run(folder, loaded, name, rows=3, epochs=2 if name == "0001" else 1, seed=int(name))
        list(engine.train(Train(id=3, run=str(made))))
    return folder


def weights(folder, change):
    state = load_file(folder / WEIGHTS)
    change(state)
    save_file(state, folder / WEIGHTS)


def flip(folder):
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-5] ^= 1
    (folder / WEIGHTS).write_bytes(data)


def config(folder, **changes):
    (folder / CONFIG).write_text(json.dumps({**json.loads((folder / CONFIG).read_text()), **changes}))


def link_out(folder):
    shutil.move(folder / WEIGHTS, folder.parent.parent.parent / "elsewhere.safetensors")
    (folder / WEIGHTS).symlink_to(folder.parent.parent.parent / "elsewhere.safetensors")


def swap(folder):
    other = folder.parent.parent.parent / "0002/checkpoints/epoch-01"
    shutil.copy(other / WEIGHTS, folder / WEIGHTS)


def swap_folders(folder):
    shutil.rmtree(folder)
    shutil.copytree(folder.parent.parent.parent / "0002/checkpoints/epoch-01", folder)


def edit_manifest(folder):
    (folder / INFO).write_bytes((folder / INFO).read_bytes().replace(b'"epoch": 2', b'"epoch": 9'))


def rename_weights(folder):
    runfiles.write(folder / INFO, msgspec.structs.replace(runfiles.read(folder / INFO, CheckpointInfo), sha256="0" * 64))


def first(state):
    return next(iter(state))


def narrower(state):
    for name in state:
        state[name] = state[name][:2].clone() if "lora_A" in name else state[name][:, :2].clone()


DAMAGE = {
    "a flipped bit": flip,
    "a number that is none": lambda folder: weights(folder, lambda s: s[first(s)].fill_(float("nan"))),
    "a tensor missing": lambda folder: weights(folder, lambda s: s.pop(first(s))),
    "a tensor too many": lambda folder: weights(folder, lambda s: s.update(extra=torch.zeros(2))),
    "another rank": lambda folder: (weights(folder, narrower), config(folder, r=2)),
    "another alpha": lambda folder: config(folder, lora_alpha=9999),
    "cut off": lambda folder: os.truncate(folder / WEIGHTS, (folder / WEIGHTS).stat().st_size // 2),
    "a file missing": lambda folder: (folder / CONFIG).unlink(),
    "files of another checkpoint": swap,
    "another checkpoint in its place": swap_folders,
    "the manifest edited": edit_manifest,
    "two names for its weights": rename_weights,
    "a pickle lying there": lambda folder: (folder / "adapter_model.bin").write_bytes(b"cos\nsystem\n(S'echo'\ntR."),
    "a link to elsewhere": link_out,
    "an unknown file": lambda folder: (folder / "more.json").write_text("{}"),
}


def make_fit(folder):
    """Write the manifest anew, as somebody would who wants it to be used."""
    info = runfiles.read(folder / INFO, CheckpointInfo)
    hashes = checkpoints.file_hashes(folder)
    manifest = msgspec.structs.replace(info.manifest, files=hashes)
    runfiles.write(folder / INFO, msgspec.structs.replace(info, sha256=hashes[WEIGHTS], manifest=manifest))


def refusal(loaded, folder):
    """What the engine says of a checkpoint, or an empty text where it uses it."""
    engine, _ = loaded
    engine.adapters.drop_kept()
    engine.adapters.changed()
    try:
        texts(engine, folder, 2)
    except FlavorError as error:
        return str(error)
    return ""


@pytest.fixture
def checkpoint(runs, tmp_path):
    return shutil.copytree(runs, tmp_path / "runs", symlinks=True) / "0001/checkpoints/epoch-02"


def test_what_file_managers_leave_is_passed_over(checkpoint):
    for name in (".DS_Store", ".directory", "._adapter_model.safetensors", "Thumbs.db", "desktop.ini"):
        (checkpoint / name).write_bytes(b"x")
    assert checkpoints.verify_files(checkpoint).epoch == 2 and not _check_checkpoint(checkpoint, "here")
    (checkpoint / "notes.txt").write_text("mine")
    with pytest.raises(FlavorError, match=r"holds notes.txt, which was not saved with it. Remove .*notes.txt, then"):
        checkpoints.verify_files(checkpoint)
    assert "notes.txt" in _check_checkpoint(checkpoint, "here")[0].what


FITTING = ("a number that is none", "a tensor missing", "a tensor too many", "another rank", "another alpha", "a pickle lying there",
           "a link to elsewhere", "another checkpoint in its place", "cut off")  # fmt: skip
"""Kinds that are refused though the manifest names them."""


def test_damaged_and_foreign_checkpoints_are_refused(engines, runs, tmp_path):
    used, unnamed = [], []
    for kind, damage in DAMAGE.items():
        for fit in (False, True) if kind in FITTING else (False,):
            folder = shutil.copytree(runs, tmp_path / f"{kind}-{fit}", symlinks=True) / "0001/checkpoints/epoch-02"
            damage(folder)
            if fit:
                make_fit(folder)
            said = refusal(engines["one"], folder)
            used += [] if said else [f"{kind} (manifest fits: {fit})"]
            unnamed += [] if "0001/epoch-02" in said or "checkpoint.json" in said else [f"{kind}: {said}"]
    whole = runs / "0001/checkpoints/epoch-02"
    for name, kind in (("other", "another base of the same shape"), ("swapped", "another tokenizer")):
        said = refusal(engines[name], whole)
        used += [] if "another base" in said or "another tokenizer" in said else [kind]
    planted = "caught" if not refusal(engines["one"], whole) else "MISSED"
    kinds = len(DAMAGE) + 2
    report(
        "damaged and foreign checkpoints", f"{kinds - len(set(used))} of {kinds} kinds refused by name", f"a whole one is used: {planted}"
    )
    assert not used and not unnamed and planted == "caught"


def test_peft_alone_would_have_taken_them(checkpoint, bases):
    """The planted fault of the suite: without the manifest these are loaded without a word."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    flip(checkpoint)
    config(checkpoint, lora_alpha=9999)
    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(bases["other"], dtype=torch.float32), checkpoint)


def test_a_checkpoint_of_an_earlier_version_is_used(engines, checkpoint):
    """Its `checkpoint.json` names the weights only, and has no seal."""
    info = msgspec.to_builtins(runfiles.read(checkpoint / INFO, CheckpointInfo))
    del info["manifest"]
    (checkpoint / INFO).write_text(json.dumps(info))
    assert not refusal(engines["one"], checkpoint)
    flip(checkpoint)
    assert "not as it was saved" in refusal(engines["one"], checkpoint)


def test_a_run_made_with_another_lora_is_refused(engines, tmp_path):
    engine, loaded = engines["one"]
    made = make_run(tmp_path, loaded, "0001", rows=2, epochs=1)
    path = made / "run.json"
    runfiles.write(path, msgspec.structs.replace(runfiles.read(path, RunSpec), lora=Lora(r=4, alpha=99)))
    with pytest.raises(FlavorError, match=r"another \[lora\]"):
        list(engine.train(Train(id=2, run=str(made))))
