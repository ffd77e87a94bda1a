"""Pushes to a stand-in hub: private unless asked otherwise, named file by file, only with the name typed; and the token is nowhere else."""

import json
import os
import pty
import re
import subprocess
import sys
import time

import pytest

from core.checkpoints import WEIGHTS
from docs import json_lines
from tests.exports.conftest import run
from tests.hub import Hub, Repo

TOKEN = "hf_" + "T" * 34
REPO = "me/tiny-tavern"


@pytest.fixture
def hub():
    hub = Hub(TOKEN)
    yield hub
    hub.close()


@pytest.fixture
def push(baked, hub, tmp_path):
    """Runs the command as a person with a token in their environment."""

    def push(*words, token=TOKEN):
        own = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "FLAVOR_TUI_CACHE": str(tmp_path / "cache")}
        own["HF_TOKEN"] = token
        return run("push", baked, *words, "--json", check=False, env=own, stdin=subprocess.DEVNULL)

    return push


def lines(done):
    assert done.returncode == 0, done.stderr
    assert all(json_lines.check("push", line) for line in done.stdout.splitlines())
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_arrives_is_what_the_dry_run_wrote_and_what_was_listed(push, hub, tmp_path, baked):
    dry = tmp_path / "dry"
    told = lines(push("adapter", REPO, "--dry-run", dry, "--license", "cc-by-4.0"))
    assert not hub.requests
    said = lines(push("adapter", REPO, "--confirm", REPO, "--license", "cc-by-4.0"))
    repo = hub.repos["model", REPO]
    assert repo.private and repo.commits == ["From flavor-tui"]
    files = {path.name: path.read_bytes() for path in dry.iterdir()}
    assert repo.files == files and WEIGHTS in files
    assert {line["file"]: line["bytes"] for line in said[:-1]} == {name: len(data) for name, data in files.items()}
    assert told[:-1] == said[:-1] and said[-1]["url"].startswith(hub.url)
    assert WEIGHTS in files and "/lfs/" in "".join(path for _, path, _ in hub.requests)
    card, settings = files["README.md"].decode(), json.loads(files["adapter_config.json"])
    assert f'"{REPO}"' in card and settings["base_model_name_or_path"] == "tiny"
    assert str(baked.parent) not in "".join(data.decode("latin-1") for data in files.values())
    assert not list((tmp_path / "cache/push").iterdir())


def test_a_dataset_goes_to_a_dataset_repository(push, hub):
    lines(push("dataset", REPO, "--license", "mit", "--confirm", REPO, "--public"))
    repo = hub.repos["dataset", REPO]
    assert not repo.private and sorted(name for name in repo.files if "preferences" not in name) == [
        "README.md",
        "data/test.jsonl",
        "data/train.jsonl",
    ]
    assert sum(len(repo.files[f"data/{split}.jsonl"].splitlines()) for split in ("train", "test")) == 8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Nobody is there to type the name"),
        (("--confirm", "me/other"), "That is not me/tiny-tavern"),
        (("--confirm", ""), "That is not"),
    ],
)
def test_without_the_name_nothing_is_sent(push, hub, words, said):
    done = push("dataset", REPO, "--license", "mit", *words)
    assert done.returncode == 1 and said in done.stderr
    assert not hub.requests


def test_a_dataset_without_a_licence_is_not_sent(push, hub):
    done = push("dataset", REPO, "--confirm", REPO)
    assert done.returncode == 1 and "A card names a licence" in done.stderr and not hub.requests


def test_the_name_is_typed_at_a_terminal(baked, hub, tmp_path):
    own = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "FLAVOR_TUI_CACHE": str(tmp_path), "HF_TOKEN": TOKEN}
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "tui", "push", baked, "dataset", REPO, "--license", "mit"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=own,
    )
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + 60
    while b"Type its name" not in shown and time.monotonic() < deadline:
        shown += os.read(ours, 4096)
    assert re.search(rb"train.jsonl +[\d,]+ bytes", shown) and b"(private)" in shown and not hub.requests
    os.write(ours, f"{REPO}\n".encode())
    assert program.wait(60) == 0
    os.close(ours)
    assert hub.repos["dataset", REPO].private


def test_a_repository_that_is_public_already_gets_nothing_by_mistake(push, hub):
    hub.repos["model", REPO] = Repo(private=False)
    done = push("adapter", REPO, "--confirm", REPO)
    assert done.returncode == 1 and "is public on the hub" in done.stderr
    assert not hub.repos["model", REPO].files
    lines(push("adapter", REPO, "--confirm", REPO, "--public"))
    assert hub.repos["model", REPO].files


def test_a_repository_that_is_private_already_is_not_called_public(push, hub):
    hub.repos["dataset", REPO] = Repo(private=True)
    done = push("dataset", REPO, "--license", "mit", "--confirm", REPO, "--public")
    assert done.returncode == 1 and "is private on the hub" in done.stderr and "without --public" in done.stderr
    assert not hub.repos["dataset", REPO].files


def test_the_token_is_shown_to_the_hub_and_to_nobody_else(push, hub, tmp_path, baked):
    done = push("dataset", REPO, "--license", "mit", "--confirm", REPO)
    assert {given for _, path, given in hub.requests if not path.startswith("/lfs/")} == {f"Bearer {TOKEN}"}
    assert TOKEN not in done.stdout + done.stderr
    kept = [path for folder in (tmp_path, baked) for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]
    refused = push("dataset", REPO, "--license", "mit", "--confirm", REPO, token="hf_" + "X" * 34)
    assert refused.returncode == 1 and "does not let you write" in refused.stderr and "XXXX" not in refused.stderr + refused.stdout
