"""From a base's name to its folder: pickles, foreign code and absent models are refused in one line; a filled cache needs no network."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from core import environment
from core.errors import FlavorError
from core.hub.locate import fingerprint, locate
from core.worker.model import load


def last(name):
    *_, folder = locate(str(name))
    return folder


def test_a_local_folder(tiny):
    assert last(tiny) == tiny.resolve()


def test_pickles_are_refused(tmp_path, tiny):
    shutil.copytree(tiny, tmp_path / "pickled")
    (tmp_path / "pickled/model.safetensors").rename(tmp_path / "pickled/pytorch_model.bin")
    with pytest.raises(FlavorError, match=r"only pickles \(pytorch_model.bin\)"):
        last(tmp_path / "pickled")


def test_models_with_code_of_their_own_are_refused(tmp_path, tiny):
    shutil.copytree(tiny, tmp_path / "coded")
    path = tmp_path / "coded/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "auto_map": {"AutoModel": "evil.Model"}}))
    with pytest.raises(FlavorError, match="code of its own"):
        last(tmp_path / "coded")


@pytest.mark.parametrize("name", ["./nowhere/at all", "../x y", "missing.gguf"])
def test_what_is_no_model_is_refused(name):
    with pytest.raises(FlavorError):
        last(name)


def test_a_broken_gguf_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAVOR_TUI_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF but not really" * 100)
    with pytest.raises(FlavorError):
        last(path)
    assert not list((tmp_path / "cache/models").iterdir())


def test_conversions_that_were_interrupted_are_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAVOR_TUI_CACHE", str(tmp_path / "cache"))
    (tmp_path / "broken.gguf").write_bytes(b"GGUF but not really" * 100)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    given_up, going = (tmp_path / f"cache/models/.tmp-{pid}-x" for pid in (gone.pid, os.getpid()))
    for folder in (given_up, going):
        folder.mkdir(parents=True)
    with pytest.raises(FlavorError):
        last(tmp_path / "broken.gguf")
    assert list((tmp_path / "cache/models").iterdir()) == [going]


@pytest.mark.parametrize("quantization", ["nf4", "none"])
def test_a_base_that_lacks_weights_is_refused(tmp_path, tiny, quantization):
    """transformers makes up what is missing."""
    shutil.copytree(tiny, tmp_path / "part")
    weights = load_file(tiny / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "part/model.safetensors", {"format": "pt"})
    with pytest.raises(FlavorError, match=r"not whole: model.layers.1.mlp.up_proj.weight is missing"):
        list(load(str(tmp_path / "part"), quantization))


def test_fingerprints_tell_weights_apart(tiny, other):
    assert fingerprint(tiny) != fingerprint(other)
    assert fingerprint(tiny) == fingerprint(tiny)


def test_weights_that_are_never_read_change_no_fingerprint(tmp_path, tiny):
    again = shutil.copytree(tiny, tmp_path / "again")
    (again / "consolidated.safetensors").write_bytes(b"the same weights once more")
    assert fingerprint(again) == fingerprint(tiny)


def locate_in_process(name, cache, endpoint):
    """`locate` in a process of its own, since the hub's library reads its environment once."""
    code = f"""
from core.hub.locate import locate
from core.errors import FlavorError
try:
    *_, folder = locate({name!r})
    print("FOLDER", folder)
except FlavorError as error:
    print("ERROR", error.kind, error)
"""
    own = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HUB_ETAG_TIMEOUT": "2"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=own, timeout=120, check=False)
    return next(line for line in result.stdout.splitlines() if line.startswith(("FOLDER", "ERROR")))


def test_a_cached_hub_model_needs_no_network(tiny, tmp_path):
    snapshot = tmp_path / "models--someone--tiny/snapshots/abc123"
    shutil.copytree(tiny, snapshot)
    (tmp_path / "models--someone--tiny/refs").mkdir()
    (tmp_path / "models--someone--tiny/refs/main").write_text("abc123")
    assert locate_in_process("someone/tiny", tmp_path, "http://127.0.0.1:9") == f"FOLDER {snapshot}"


def test_what_is_not_here_is_not_fetched_by_itself(tmp_path):
    answer = locate_in_process("someone/absent", tmp_path, "http://127.0.0.1:9")
    assert answer.startswith("ERROR absent") and "D downloads it" in answer


def download_in_process(name, cache, endpoint):
    """The last thing that `core.hub.download` says."""
    own = {"HF_HUB_CACHE": str(cache), "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HUB_ETAG_TIMEOUT": "2"}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "core.hub.download", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**environment.of_download(), **own},
    )  # fmt: skip
    with process:
        return [json.loads(line) for line in process.stdout][-1]


def test_without_a_network_the_hint_says_so(tmp_path):
    answer = download_in_process("someone/absent", tmp_path, "http://127.0.0.1:9")
    assert answer["kind"] == "network" and "Check the network" in answer["hint"]


class FakeHub(http.server.BaseHTTPRequestHandler):
    """A stand-in for the hub that knows one gated model and no other."""

    def do_GET(self):
        gated = "gated" in self.path
        self.send_response(403 if gated else 404)
        self.send_header("X-Error-Code", "GatedRepo" if gated else "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


@pytest.fixture
def hub():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize(("name", "kind"), [("someone/gated", "access"), ("someone/absent", "missing")])
def test_the_hub_refuses(hub, tmp_path, name, kind):
    assert download_in_process(name, tmp_path, hub)["kind"] == kind


def test_the_starter_is_found_without_being_imported():
    from core.worker import starter

    assert starter.find().name == starter.FILE
    assert Path(starter.find()).stat().st_size > 50_000_000
    assert starter.PACKAGE not in sys.modules
