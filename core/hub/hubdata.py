"""Bring a dataset from the hub to this machine: run as a process of its own (`python -m core.hub.hubdata NAME`).

Prints one JSON object: `folder`, or `error` with a hint. Only tables and texts are asked for, never code, pictures or sound.
"""

from __future__ import annotations

import sys

from core import answering
from core.errors import FlavorError
from core.hub.download import explain

DATA = ["*.parquet", "*.jsonl", "*.json", "*.csv", "*.tsv", "*.md", "*.txt"]
MOST = 200 * 1024 * 1024
"""Bytes of all its files: a few thousand texts have a hundredth of that."""


def fetch(name: str) -> str:
    """The folder it is in. Raises FlavorError."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import DryRunError, GatedRepoError, RepositoryNotFoundError

    try:
        files = snapshot_download(name, repo_type="dataset", allow_patterns=DATA, dry_run=True)
        size = sum(file.file_size for file in files)
        if size > MOST:
            raise FlavorError(f"{name} has {size / 1e6:.0f} MB; the limit is {MOST / 1e6:.0f}.", "Import a part of it from a file.", "huge")
        return str(snapshot_download(name, repo_type="dataset", allow_patterns=DATA))
    except Exception as error:
        cause = error.__cause__ if isinstance(error, DryRunError) and error.__cause__ else error
        if isinstance(cause, RepositoryNotFoundError) and not isinstance(cause, GatedRepoError):
            said = f"There is no dataset {name!r} on the hub, or it is private."
            raise FlavorError(said, "Check the id, or `hf auth login`.", "missing") from error
        raise explain(name, error) from error


def main() -> None:
    """Name in, one line out."""
    wire = answering.own_stdout()
    answering.take_token()
    answering.end_with_stdin()
    answering.answer(wire, ({"folder": fetch(name)} for name in sys.argv[1:]))


if __name__ == "__main__":
    main()
