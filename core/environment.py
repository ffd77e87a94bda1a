"""What the program's processes see of the person's environment: no token and no network anywhere but in a download and a push."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

from core.files import cache_folder

SECRET = re.compile(r"(?i)(.*_)?(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS|(API|ACCESS|SECRET|PRIVATE)_?KEY(_ID)?)")
"""Names of variables that hold what nobody else should read."""
HUB_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
TOKEN_FD = "FLAVOR_TUI_TOKEN_FD"
SHAPE = re.compile(r"\b(hf_|api_org_|sk-|ghp_|github_pat_)[A-Za-z0-9_-]{12,}")
"""What tokens of the hub and its neighbours look like."""
FOLDERS = ("HF_HOME", "HF_HUB_CACHE", "HF_TOKEN_PATH", "XDG_CACHE_HOME", "FLAVOR_TUI_CACHE", "FLAVOR_TUI_STATE", "PYTHONPATH")
"""Variables that may hold relative paths; the worker has another working folder."""
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONSAFEPATH": "1",
    "PYTHONFAULTHANDLER": "1",
    "PYTHONUNBUFFERED": "1",
    "MALLOC_MMAP_THRESHOLD_": "4000000",  # glibc gives large tensors back at once: 150 MB less at the starter's peak, no slower
    "MALLOC_ARENA_MAX": "2",
}
_hub_token: int | None = None


def hide_tokens() -> None:
    """Take every token out of this process, by beginning anew without them where there are any: the kernel goes on showing the environment
    that a process was started with, and memory keeps what was read from it. That of the hub goes into a file without a name, which only a
    download reads."""
    global _hub_token
    if handle := os.environ.pop(TOKEN_FD, ""):
        _hub_token = int(handle)
        os.set_inheritable(_hub_token, False)
    found = {name: os.environ.pop(name) for name in list(os.environ) if SECRET.fullmatch(name)}
    if not found:
        return
    token = next((found[name] for name in HUB_TOKENS if found.get(name)), "")
    if token:
        _hub_token = _nameless_file()
        os.write(_hub_token, token.encode())
        os.set_inheritable(_hub_token, True)
        os.environ[TOKEN_FD] = str(_hub_token)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("token")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def token_descriptors() -> tuple[int, ...]:
    """What a download inherits."""
    return () if _hub_token is None else (_hub_token,)


def token_variable() -> dict[str, str]:
    """What tells it which one that is."""
    return {} if _hub_token is None else {TOKEN_FD: str(_hub_token)}


def read_token() -> str:
    """The hub's token, in a download; empty where there is none."""
    handle = os.environ.pop(TOKEN_FD, "")
    return os.pread(int(handle), 4096, 0).decode() if handle else ""


def without_secrets() -> dict[str, str]:
    """The environment of any process that we start: without tokens, with whole paths."""
    kept = {name: value for name, value in os.environ.items() if not SECRET.fullmatch(name)}
    for name in FOLDERS:
        if kept.get(name):
            kept[name] = os.pathsep.join(map(os.path.abspath, kept[name].split(os.pathsep)))
    return kept


PRODUCTS = "64"
"""Products that oneDNN keeps ready, each for one shape. Texts are of many lengths, so its own 1,024 came to 0.3 GB in two epochs over
30 rows (peak 2.18 GB against 1.87), and made nothing faster (`python -m bench.loop --only evening`)."""


SPINS = "6000"
"""Turns that a thread of a product waits awake for the next one. By default it is fifty times as many: then, with any other program
busy on the same cores, the threads that wait keep the one they wait for from running, and a token took up to a second instead of 20 ms.
Fewer cost time alone: on two cores with AVX512 and no bfloat16 a token of one text and of eight took 33 and 50 ms with 3,000, 26 and 45 with
these, 26 and 42 with all, and training gains a twentieth; and beside another program that never rests 88 and 108, 123 and 139, 55 to 262 and 193 to 250."""


def of_worker() -> dict[str, str]:
    """The worker's environment: besides, it cannot go on the network and tells nobody anything, oneDNN keeps few products ready, and
    threads wait asleep. What the person set goes first."""
    return {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": PRODUCTS, "GOMP_SPINCOUNT": SPINS, **without_secrets(), **QUIET}


def of_download() -> dict[str, str]:
    """The environment of a download or a push: the only processes that may use the network."""
    open_again = {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0"}
    return {**without_secrets(), **QUIET, **open_again, **token_variable()}


def empty_folder() -> Path:
    """Where the worker runs: a folder without files, so that no model's settings can name one of the person's."""
    folder = cache_folder() / "empty"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def mask(text: str) -> str:
    """`text` with everything that looks like a token blotted out."""
    return SHAPE.sub(lambda match: match[1] + "…", text)
