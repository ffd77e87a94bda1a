"""A stand-in for the hub on loopback: what huggingface_hub really calls to look at, fetch, create and fill a repository, and no more.

Content of large files goes the way of git LFS (batch, put, verify), small files stand in the commit. Every request is recorded.
"""

import base64
import hashlib
import http.server
import json
import re
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import unquote, urlparse


@dataclass
class Repo:
    private: bool = True
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)

    @property
    def sha(self):
        return hashlib.sha1(
            repr([(name, hashlib.sha256(data).hexdigest()) for name, data in sorted(self.files.items())]).encode()
        ).hexdigest()


class Hub:
    """`repos` by (kind, id); `token`: the only one that may do anything with a private one; `pace`: bytes a second of a download."""

    def __init__(self, token="", pace=0):
        self.token, self.pace = token, pace
        self.repos: dict[tuple[str, str], Repo] = {}
        self.requests: list[tuple[str, str, str]] = []
        self.stored: dict[str, bytes] = {}
        self.sent = 0
        """Bytes of files that were fetched."""
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self):
                hub.answer(self)

            do_GET = do_HEAD = do_POST = do_PUT = _do

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request):
        path = unquote(urlparse(request.path).path)
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        self.requests.append((request.command, path, request.headers.get("Authorization", "")))
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        for pattern, action in (
            (r"/api/repos/create", self.create),
            (r"/api/validate-yaml", lambda *_: (200, {"errors": [], "warnings": []})),
            (r"/api/(model|dataset)s/([^/]+/[^/]+)/preupload/main", self.preupload),
            (r"/api/(model|dataset)s/([^/]+/[^/]+)/commit/main", self.commit),
            (r"/api/(model|dataset)s/([^/]+/[^/]+)(?:/revision/\w+)?", self.info),
            (r"/api/(model|dataset)s/([^/]+/[^/]+)/tree/\w+", self.tree),
            (r"/(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", self.batch),
            (r"/lfs/(\w+)", self.put),
            (r"/verify", self.verify),
            (r"/([^/]+/[^/]+)/resolve/\w+/(.+)", self.resolve),
        ):
            if found := re.fullmatch(pattern, path):
                writes = request.command != "GET" and request.command != "HEAD" and "/lfs/" not in path[:5]
                if writes and given != self.token:
                    return self.say(request, 401, {"error": "Invalid credentials"})
                result = action(request, body, given, *found.groups())
                return self.say(request, *result) if result else None
        return self.say(request, 404, {"error": f"no such path {path}"}, {"X-Error-Code": "RepoNotFound"})

    def say(self, request, status, data=None, headers=None):
        raw = json.dumps({} if data is None else data).encode()
        request.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **(headers or {})}.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(raw)

    def repo(self, kind, name):
        return self.repos.get(((kind or "model").removesuffix("/").removesuffix("s"), name))

    def create(self, request, body, given):
        asked = json.loads(body)
        key = (asked.get("type") or "model", f"{asked['organization']}/{asked['name']}")
        if key in self.repos:
            return 409, {"error": "You already created this repo"}
        self.repos[key] = Repo(private=asked.get("visibility") == "private")
        return 200, {"url": f"{self.url}/{key[1]}", "name": key[1], "private": self.repos[key].private}

    def info(self, request, body, given, kind, name):
        repo = self.repo(kind, name)
        if repo is None or (repo.private and given != self.token):
            return 401, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
        return 200, {
            "_id": "1", "id": name, "modelId": name, "private": repo.private, "sha": repo.sha, "tags": [], "downloads": 0, "likes": 0,
            "siblings": [{"rfilename": path} for path in sorted(repo.files)],
        }  # fmt: skip

    def tree(self, request, body, given, kind, name):
        files = sorted(self.repo(kind, name).files.items())
        return 200, [{"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()} for path, data in files]

    def preupload(self, request, body, given, kind, name):
        files = json.loads(body)["files"]
        told = [
            {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith((".safetensors", ".gguf")) else "regular", "shouldIgnore": False}
            for f in files
        ]
        return 200, {"files": told}

    def batch(self, request, body, given, kind, name):
        objects = []
        for asked in json.loads(body)["objects"]:
            href = {"href": f"{self.url}/lfs/{asked['oid']}"}
            objects.append({**asked, "actions": {"upload": href, "verify": {"href": f"{self.url}/verify"}}})
        return 200, {"transfer": "basic", "objects": objects}

    def put(self, request, body, given, oid):
        assert not given  # the token is for the hub, not for where the bytes are kept
        self.stored[oid] = body
        return 200, {}

    def verify(self, request, body, given):
        asked = json.loads(body)
        whole = hashlib.sha256(self.stored.get(asked["oid"], b"")).hexdigest() == asked["oid"]
        return (200, {}) if whole else (400, {"error": "not whole"})

    def commit(self, request, body, given, kind, name):
        repo = self.repo(kind, name)
        for line in map(json.loads, body.splitlines()):
            match line["key"], line["value"]:
                case "header", said:
                    repo.commits.append(said["summary"])
                case "file", said:
                    repo.files[said["path"]] = base64.b64decode(said["content"])
                case "lfsFile", said:
                    repo.files[said["path"]] = self.stored[said["oid"]]
        return 200, {"commitUrl": f"{self.url}/{name}/commit/{repo.sha}", "commitOid": repo.sha}

    def resolve(self, request, body, given, name, path):
        repo = self.repo("model", name)
        if repo is None or path not in repo.files:
            return 404, {"error": "none"}, {"X-Error-Code": "EntryNotFound" if repo else "RepoNotFound"}
        data = repo.files[path]
        start = int(re.match(r"bytes=(\d+)-", request.headers.get("Range", "bytes=0-"))[1])
        request.send_response(206 if start else 200)
        headers = {
            "Content-Length": str(len(data) - start), "ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": repo.sha,
            "X-Linked-Size": str(len(data)), "Accept-Ranges": "bytes",
        }  # fmt: skip
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        for header, value in headers.items():
            request.send_header(header, value)
        request.end_headers()
        if request.command == "HEAD":
            return None
        step = max(1, self.pace // 20) if self.pace else len(data)
        for at in range(start, len(data), step or 1):
            try:
                request.wfile.write(data[at : at + step])
            except OSError:
                return None  # whoever asked is gone
            self.sent += len(data[at : at + step])
            if self.pace:
                time.sleep(step / self.pace)  # asked each time: a test may slow it down
        return None
