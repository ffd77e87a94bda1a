"""A dataset from the hub, of which a server on this machine plays the part: what is asked for comes, and nothing else is asked."""

import hashlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from core.errors import FlavorError
from dataset.importing import read

FILES = {
    "README.md": b"# A card\n",
    "data/train.jsonl": b'{"text": "Soup from afar.", "Mood": "Grim"}\n',
    "data/test.csv": b"text,Mood\nPie from afar.,Calm\n",
    "load.py": b"raise SystemExit('code of a dataset is never run')\n",
}
COMMIT = "a" * 40


class Hub(http.server.BaseHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self):
        Hub.asked.append(f"{self.command} {self.path}")
        path = self.path.partition("?")[0]
        name = path.partition(f"/resolve/{COMMIT}/")[2] or path.partition("/resolve/main/")[2]
        if "someone/dishes" not in path:
            self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif name in FILES:
            etag = hashlib.sha256(FILES[name]).hexdigest()
            self.answer(200, FILES[name], {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})
        elif "/tree/" in path:
            tree = [{"type": "file", "path": one, "size": len(data), "oid": "b" * 40} for one, data in FILES.items()]
            self.answer(200, json.dumps(tree).encode(), {})
        else:
            siblings = [{"rfilename": one, "size": len(data), "blobId": "b" * 40} for one, data in FILES.items()]
            told = {"id": "someone/dishes", "sha": COMMIT, "siblings": siblings, "private": False, "tags": [], "downloads": 0}
            self.answer(200, json.dumps(told).encode(), {})

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    yield
    server.shutdown()
    server.server_close()


def test_a_dataset_comes_from_the_hub(hub, task):
    reading = read("hf://datasets/someone/dishes", task)
    assert not reading.faults
    assert [(row.text, row.fields) for row in reading.rows] == [("Pie from afar.", {"Mood": "Calm"}), ("Soup from afar.", {"Mood": "Grim"})]
    assert any("train.jsonl" in line for line in Hub.asked) and not any("load.py" in line for line in Hub.asked if "resolve" in line)
    with pytest.raises(FlavorError, match="no dataset 'someone/absent'"):
        read("hf://datasets/someone/absent", task)


def test_no_path_is_looked_for_on_a_network(hub, task):
    Hub.asked.clear()
    with pytest.raises(FlavorError, match="A dataset on the hub is hf://datasets/someone/dishes"):
        read("someone/dishes", task)
    with pytest.raises(FlavorError, match="is no id of a dataset"):
        read("hf://datasets/../x", task)
    assert not Hub.asked


def test_a_download_does_not_outlive_who_asked():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        own = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}", "HF_HUB_OFFLINE": "0"}
        process = subprocess.Popen([sys.executable, "-m", "core.hub.hubdata", "someone/dishes"], stdin=subprocess.PIPE, env=own)
        silent.settimeout(60)
        with silent.accept()[0]:  # it waits for an answer
            process.stdin.close()
            assert process.wait(30) == 1
