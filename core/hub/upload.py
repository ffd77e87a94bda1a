"""Put files on the hub: run as a process of its own (`python -m core.hub.upload`), which alone has the token.

One `Push` on stdin, one JSON object a line on stdout: what is being done, at last `url`, or `error` with a hint. Nothing else than the
files named is sent, in one commit. Plain uploads (no Xet): they are what the tests speak with a stand-in hub.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from core import answering, environment
from core.errors import FlavorError
from core.hub.asked import Push
from core.text import counted, short


def explain(repo: str, error: Exception) -> FlavorError:
    """What went wrong, for a person."""
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    match error:
        case FlavorError():
            return error
        case LocalTokenNotFoundError():
            return FlavorError("There is no token for the hub on this machine.", "`hf auth login`, with a token that may write.", "access")
        case HfHubHTTPError() if error.response is not None and error.response.status_code in (401, 403):
            return FlavorError(
                f"The hub does not let you write to {repo}.", "`hf auth login`, with a token that may write there.", "access"
            )
        case _:
            reason = environment.mask(short(str(error), 160))
            return FlavorError(f"{repo} could not be pushed: {reason}.", "Check the network, then push again.", "network")


def push(asked: Push) -> Iterator[dict[str, Any]]:
    """What happens, in the form in which it is printed. Raises FlavorError; what was committed before is untouched."""
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    hub = HfApi()
    try:
        yield {"stage": f"asking the hub for {asked.repo}"}
        try:
            _must_be_as_asked(asked, hub.repo_info(asked.repo, repo_type=asked.kind))
        except RepositoryNotFoundError:
            hub.create_repo(asked.repo, repo_type=asked.kind, private=not asked.public)
            _must_be_as_asked(asked, hub.repo_info(asked.repo, repo_type=asked.kind))
        yield {"stage": f"sending {counted(len(asked.names), 'file')}"}
        added = [CommitOperationAdd(name, Path(asked.folder) / name) for name in asked.names]
        done = hub.create_commit(asked.repo, added, commit_message=asked.message, repo_type=asked.kind)
    except Exception as error:
        raise explain(asked.repo, error) from error
    yield {"url": str(done.commit_url), "commit": done.oid}


def _must_be_as_asked(asked: Push, info: Any) -> None:
    """Raises FlavorError where others would see what the person meant to keep, or nobody what was to be shown: a repository that was there
    already, or an organisation's rule."""
    if not info.private and not asked.public:
        raise FlavorError(f"{asked.repo} is public on the hub.", "Choose another name, or say --public.", "public")
    if info.private and asked.public:
        raise FlavorError(f"{asked.repo} is private on the hub.", "Push without --public, or make it public on its page first.", "private")


def main() -> None:
    wire = answering.own_stdout()
    asked = msgspec.json.decode(sys.stdin.buffer.readline(), type=Push)
    os.environ["HF_HUB_DISABLE_XET"] = "1"
    answering.take_token()
    answering.end_with_stdin()
    answering.answer(wire, push(asked))


if __name__ == "__main__":
    main()
