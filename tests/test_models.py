"""The models on this machine: found by their headers, told from what is no base, and fetched with what came before kept."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import gguf
import numpy as np
import pytest

from core.errors import FlavorError
from core.fit import Machine, Shape, need
from core.hub import models as looking
from core.hub.basefolder import check_folder
from core.hub.download import explain
from core.hub.models import below, shape_of_folder
from core.hub.resuming import Parts
from docs import json_lines
from tests.engine.conftest import make_tiny
from tests.exports.conftest import run
from tests.hub import Hub, Repo
from tui.commands import models


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("models") / "tiny")


def test_a_model_is_known_by_its_header(tiny):
    import torch
    from transformers import AutoModelForCausalLM

    shape = shape_of_folder(tiny)
    assert shape.parameters == AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).num_parameters()
    assert (shape.vocabulary, shape.width, shape.layers, shape.tied) == (258, 64, 2, True)


def test_what_is_no_base_is_said_to_be_none(tiny, tmp_path):
    (tmp_path / "deep/er").mkdir(parents=True)
    shutil.copytree(tiny, tmp_path / "deep/er/good")
    shutil.copytree(tiny, tmp_path / "pickled")
    (tmp_path / "pickled/model.safetensors").rename(tmp_path / "pickled/pytorch_model.bin")
    shutil.copytree(tiny, tmp_path / "cut")
    (tmp_path / "cut/model.safetensors").write_bytes((tiny / "model.safetensors").read_bytes()[:2000])
    shutil.copytree(tiny, tmp_path / "pictures")
    told = json.loads((tiny / "config.json").read_text())
    (tmp_path / "pictures/config.json").write_text(json.dumps({**told, "architectures": ["UNet2DModel"]}))
    (tmp_path / "broken.gguf").write_bytes(b"GGUF nothing" * 99)
    writer = gguf.GGUFWriter(tmp_path / "lora.gguf", "llama")
    writer.add_type("adapter")
    writer.add_tensor("a", np.zeros((4, 4), np.float32))
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    os.symlink(tiny, tmp_path / "link")
    found = {os.path.relpath(model.name, tmp_path): model for model in below(tmp_path)}
    assert sorted(found) == ["broken.gguf", "cut", "deep/er/good", "lora.gguf", "pickled"]
    assert [name for name, model in found.items() if not model.problem] == ["deep/er/good"]
    assert "only pickles" in found["pickled"].problem


def test_a_part_of_a_gguf_is_no_base(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "x-00001-of-00002.gguf", "llama")
    writer.add_uint16("split.count", 2)
    writer.add_tensor("a", np.zeros((4, 4), np.float32))
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    assert "one of 2 parts; join them first" in next(below(tmp_path)).problem


def test_weights_that_lie_there_twice_count_once(tiny, tmp_path):
    parameters = shape_of_folder(tiny).parameters
    folder = shutil.copytree(tiny, tmp_path / "twice")
    shutil.copy(folder / "model.safetensors", folder / "consolidated.safetensors")
    assert shape_of_folder(folder).parameters == parameters
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}))
    assert shape_of_folder(folder).parameters == parameters


def test_other_json_in_a_models_folder_is_nobodys_business(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "trained")
    (folder / "trainer_state.json").write_text(json.dumps(["auto_map"] * 2_000_000))
    (folder / "notes.json").write_text('{"a": 1}\n{"b": 2}\n')
    assert check_folder(folder, "it") == folder
    for index in ("{}", "[]"):
        (folder / "model.safetensors.index.json").write_text(index)
        with pytest.raises(FlavorError, match="names no weights"):
            check_folder(folder, "it")


@pytest.mark.parametrize(
    ("number", "hint"), [(errno.ENOSPC, "Make room"), (errno.EROFS, "HF_HOME"), (errno.EACCES, "HF_HOME"), (errno.ECONNRESET, "network")]
)
def test_what_hinders_a_download_is_called_what_it_is(number, hint):
    told = explain("someone/tiny", OSError(number, os.strerror(number), "/cache/part"))
    assert os.strerror(number) in told.message and hint in told.hint


def test_an_address_that_was_good_for_a_while_only_is_asked_for_anew(hub, tmp_path, monkeypatch):
    """As where the bytes are kept elsewhere: first an address that is refused."""
    import huggingface_hub
    from huggingface_hub import constants

    class Elsewhere(Hub):
        def answer(self, request):
            self.requests.append((request.command, request.path, request.headers.get("Authorization", "")))
            fresh = request.path.endswith("?fresh")
            self.say(request, 302 if fresh else 403, {}, {"Location": f"{hub.url}/someone/tiny/resolve/main/{weights}"} if fresh else {})

    weights = "model.safetensors"
    elsewhere = Elsewhere()
    addresses = iter([f"{elsewhere.url}/{weights}?old", f"{elsewhere.url}/{weights}?fresh"])
    data = hub.repos["model", "someone/tiny"].files[weights]
    told = SimpleNamespace(etag=hashlib.sha256(data).hexdigest(), size=len(data))
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url: SimpleNamespace(location=next(addresses), **vars(told)))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    hub.pace = 0
    file = SimpleNamespace(will_download=True, file_size=len(data), filename=weights, commit_hash="main")
    Parts("someone/tiny", [file]).fetch()
    elsewhere.close()
    assert (tmp_path / "models--someone--tiny/blobs" / told.etag).read_bytes() == data


def test_a_driver_that_does_not_know_the_memory_is_no_gpu(monkeypatch):
    monkeypatch.setattr(looking, "_driver", lambda what: ["[N/A]"])
    assert looking.machine().gpu == 0 and looking.machine().free > 0
    monkeypatch.setattr(looking, "_driver", lambda what: ["[N/A]", " 2048"])
    assert looking.machine().gpu == 2048 << 20


async def test_looking_that_ends_in_the_middle_is_said(monkeypatch):
    async def answers(*_):
        yield {"machine": {"free": 1}}

    monkeypatch.setattr(models, "answers", answers)
    with pytest.raises(FlavorError, match="ended unexpectedly"):
        [one async for one in models.known([])]


def test_the_estimate_grows_with_everything_and_a_verdict_follows_it():
    small, large = Shape(135_000_000, 49_152, 576, 30), Shape(8_000_000_000, 151_936, 4096, 36, False)
    roomy = Machine(64 << 30)
    assert need(small, roomy).peak < need(large, roomy).peak
    assert need(small, Machine(64 << 30, number=4)).peak > need(small, roomy).peak
    wide, narrow = (need(small, Machine(free, number=4, packed=False)).peak for free in (64 << 30, 1 << 28))
    halves = wide - narrow - small.linear * 4  # the copies for training and for sampling, of which the latter is in blocks of 512 inputs
    assert halves == pytest.approx((small.linear + small.vocabulary * small.width) * 2 * 1024 / 576, rel=1e-6)
    assert need(small, roomy).first > 0 and need(large, roomy).first == 0
    assert need(large, Machine(64 << 30)).verdict == "fits" and need(large, Machine(8 << 30)).verdict == "too large"
    assert need(large, Machine(64 << 30, gpu=12 << 30)).peak < need(large, roomy).peak


def test_the_command_lists_what_is_here_and_what_is_advised(tiny, tmp_path):
    cache = tmp_path / "hub"
    snapshot = cache / "models--someone--small/snapshots/abc"
    shutil.copytree(tiny, snapshot)
    (cache / "models--someone--small/refs").mkdir()
    (cache / "models--someone--small/refs/main").write_text("abc")
    own = {**os.environ, "HF_HUB_CACHE": str(cache), "HOME": str(tmp_path)}
    done = run("models", "--in", tiny.parent, "--json", check=False, env=own)
    assert done.returncode == 0, done.stderr
    assert {json_lines.check("models", line) for line in done.stdout.splitlines()} == {"Machine", "Model", "Models"}
    machine, *told, last = map(json.loads, done.stdout.splitlines())
    by_name = {one["name"]: one for one in told}
    assert machine["free"] > 0 and last["models"] == len(told)
    assert by_name["someone/small"]["where"] == "hub" and by_name[str(tiny)]["verdict"] == "fits"
    assert by_name["starter"]["parameters"] == 134_515_008 or "starter" not in by_name
    advised = [one for one in told if one["where"] == "to download"]
    assert len(advised) >= 8 and all(one["licence"] and one["training_bytes"] for one in advised)


@pytest.fixture
def hub(tiny):
    hub = Hub(pace=20_000_000)
    files = {path.name: path.read_bytes() for path in tiny.iterdir()}
    files["model.safetensors"] = bytes(range(256)) * 120_000  # the hub's library writes in parts of ten megabytes
    hub.repos["model", "someone/tiny"] = Repo(private=False, files=files)
    yield hub
    hub.close()


def downloading(hub, tmp_path, name="someone/tiny"):
    own = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "FLAVOR_TUI_CACHE": str(tmp_path),
    }
    words = [sys.executable, "-m", "tui", "models", "--get", name, "--json"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=own)


def test_a_stopped_download_is_resumed_where_it_was(hub, tmp_path, tiny):
    whole = len(hub.repos["model", "someone/tiny"].files["model.safetensors"])
    first = downloading(hub, tmp_path)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "hf").rglob("*.incomplete")) or hub.sent < 0.8 * whole:
        assert time.monotonic() < deadline and first.poll() is None
        time.sleep(0.05)
    hub.pace = 1_000_000  # on a busy machine the rest would be there before the signal
    first.send_signal(signal.SIGINT)
    assert first.wait(30) == 130
    time.sleep(0.3)
    kept = max(path.stat().st_size for path in (tmp_path / "hf").rglob("*.incomplete"))
    assert kept >= 10_000_000
    hub.pace, before = 0, hub.sent
    second = downloading(hub, tmp_path)
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 0 and json.loads(said.splitlines()[-1]) == {"base": "someone/tiny"}
    assert hub.sent - before < sum(map(len, hub.repos["model", "someone/tiny"].files.values())) - kept + 1
    kept_files = {path.name: path for path in (tmp_path / "hf").rglob("snapshots/*/*")}
    for name, data in hub.repos["model", "someone/tiny"].files.items():
        assert hashlib.sha256(kept_files[name].read_bytes()).digest() == hashlib.sha256(data).digest(), name


def test_weights_that_lie_there_twice_are_fetched_once(hub, tmp_path, tiny):
    files = {path.name: path.read_bytes() for path in tiny.iterdir()}
    hub.repos["model", "someone/twice"] = Repo(private=False, files={**files, "consolidated.safetensors": b"x" * 5000})
    said = downloading(hub, tmp_path, "someone/twice").communicate(timeout=60)
    here = {path.name for path in (tmp_path / "hf").rglob("snapshots/*/*")}
    assert "model.safetensors" in here and "consolidated.safetensors" not in here, said


def test_a_name_that_is_none_is_refused_before_anything(tmp_path):
    done = run("models", "--get", "../../etc", check=False)
    assert done.returncode == 1 and "not from the hub" in done.stderr


def test_models_are_shown_in_words():
    known = models.Known("a/b", "hub", 5, Shape(1_720_000_000, 9, 9, 9), need(Shape(1_720_000_000, 151_936, 2048, 28), Machine(64 << 30)))
    assert known.size() == "1.7B" and known.fit().startswith("fits, ")
    assert models.Known("a/b", "folder", 5, None, None, problem="only pickles").fit() == "no base"
