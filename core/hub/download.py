"""Bring a hub model to this machine: run as a process of its own (`python -m core.hub.download NAME`); this, `core.hub.hubdata` and `core.hub.upload` alone use the network.

Prints one JSON object a line: each file and its size, then what has come, at last `done`, or `error` with a hint. What was begun
before is resumed. Only safetensors, JSON, text and templates are asked for, never a pickle or code.
"""

from __future__ import annotations

import errno
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core import answering, environment
from core.errors import FlavorError
from core.hub.basefolder import ALLOWED, TWICE, check_folder
from core.hub.resuming import Parts
from core.text import short


def explain(name: str, error: BaseException) -> FlavorError:
    """What went wrong with a download, for a person."""
    from huggingface_hub.errors import DryRunError, GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    if isinstance(error, DryRunError) and error.__cause__:
        error = error.__cause__
    match error:
        case FlavorError():
            return error
        case GatedRepoError():
            return FlavorError(
                f"{name} is gated: your account has no access.", "Accept its licence on its page, then `hf auth login`.", "access"
            )
        case RepositoryNotFoundError():
            return FlavorError(f"There is no model {name!r} on the hub, or it is private.", "Check the id, or `hf auth login`.", "missing")
        case HfHubHTTPError() if error.response is not None and error.response.status_code in (401, 403):
            return FlavorError(f"The hub refused access to {name}.", "`hf auth login`, then try again.", "access")
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return FlavorError(f"{name} could not be downloaded: {error.strerror}.", "Make room; what came stays, and is resumed.", "disk")
        case OSError(errno=errno.EACCES | errno.EPERM | errno.EROFS):
            where = error.filename or "the hub's cache"
            return FlavorError(
                f"{name} could not be kept: {where}: {error.strerror}.", "Mend its rights, or set HF_HOME to another folder.", "disk"
            )
        case _:
            reason = environment.mask(short(str(error), 120))
            return FlavorError(
                f"{name} could not be downloaded: {reason}.", "Check the network; what came stays, and is resumed.", "network"
            )


class _Nowhere:
    """A file that takes a progress bar's drawing and shows none."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


def download(name: str) -> Iterator[dict[str, Any]]:
    """What happens, in the form in which it is printed. Raises FlavorError."""
    from huggingface_hub import snapshot_download
    from tqdm.auto import tqdm

    bars: list[Any] = []

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": False, "file": _Nowhere()})
            if kwargs.get("unit") == "B":
                bars.append(self)

    outcome: list[Path | BaseException] = []

    def work() -> None:
        try:
            parts.fetch()
            outcome.append(Path(snapshot_download(name, allow_patterns=ALLOWED, ignore_patterns=TWICE, tqdm_class=Bar)))
        except BaseException as error:
            outcome.append(error)

    try:
        files = snapshot_download(name, allow_patterns=ALLOWED, ignore_patterns=TWICE, dry_run=True)
        for file in files:
            yield {"file": file.filename, "bytes": file.file_size, "here": not file.will_download}
        parts = Parts(name, files)
    except Exception as error:
        raise explain(name, error) from error
    total = sum(file.file_size or 0 for file in files if file.will_download)
    thread = threading.Thread(target=work, daemon=True)  # ends with the process; the parts stay
    thread.start()
    while thread.is_alive():
        yield {"done": min(total, parts.done() + sum(bar.n for bar in bars)), "of": total}
        time.sleep(0.2)
    if isinstance(outcome[0], BaseException):
        raise explain(name, outcome[0]) from outcome[0]
    yield {"folder": str(check_folder(outcome[0], name))}


def main() -> None:
    """Name in, lines out."""
    wire = answering.own_stdout()
    answering.take_token()
    answering.end_with_stdin()
    answering.answer(wire, download(sys.argv[1]))


if __name__ == "__main__":
    main()
