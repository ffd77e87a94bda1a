"""Large files of the hub, fetched so that a download that was stopped goes on where it was, also in another process.

huggingface_hub 2 writes to a file of its own for each download, so that what a killed one had got is lost. Here the part has one
name, by the content's hash; when it is whole, and has that hash, it gets the name under which the library finds it in its cache.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from core.errors import FlavorError
from core.files import sha256

LEAST = 8 << 20
"""Bytes of a file that is worth it."""
MOST = 50 << 30
"""Bytes of the largest file that the hub gives out over plain HTTP; larger ones are left to the library."""
SHA256 = re.compile(r"[0-9a-f]{64}")


class Parts:
    """The large files of a model that are not here yet. `files`: as a dry run of `snapshot_download` tells them."""

    def __init__(self, name: str, files: Sequence[Any]) -> None:
        from huggingface_hub import constants
        from huggingface_hub.file_download import repo_folder_name

        self._name = name
        self._files = [file for file in files if file.will_download and LEAST <= (file.file_size or 0) < MOST]
        self._blobs = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model") / "blobs"
        self._whole = 0
        self._part: Path | None = None

    def done(self) -> int:
        """Bytes that are here."""
        try:
            return self._whole + (self._part.stat().st_size if self._part else 0)
        except OSError:
            return self._whole

    def fetch(self) -> None:
        """Get them, one after another. Raises what the library raises; FlavorError where a file is not what it was said to be."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.errors import HfHubHTTPError
        from huggingface_hub.utils import build_hf_headers

        for file in self._files:
            url = hf_hub_url(self._name, file.filename, revision=file.commit_hash)
            told = get_hf_file_metadata(url)
            if told.etag is None or told.size is None:
                continue  # the library knows what to do, or says why not
            headers = build_hf_headers()
            elsewhere = urlparse(told.location).netloc != urlparse(url).netloc
            if elsewhere:
                headers.pop("authorization", None)  # the token is for the hub only
            try:
                self._get(told.location, told.etag, told.size, headers)
            except HfHubHTTPError as error:
                if not elsewhere or error.response.status_code != 403:
                    raise
                again = get_hf_file_metadata(url).location  # an address elsewhere is good for a while only
                self._get(again, told.etag, told.size, headers)
            self._part, self._whole = None, self._whole + told.size

    def _get(self, url: str, etag: str, size: int, headers: dict[str, str]) -> None:
        from huggingface_hub.file_download import http_get

        self._blobs.mkdir(parents=True, exist_ok=True)
        blob, part = self._blobs / etag, self._blobs / f"{etag}.part.incomplete"
        if blob.exists():
            return
        self._part = part
        with open(part, "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise FlavorError(f"{self._name} is being downloaded already.", "Wait for that, or stop it.", "locked") from None
            here = file.tell()
            if here > size:
                file.truncate(0)
                here = 0
            http_get(url, file, resume_size=here, headers=headers, expected_size=size)
            file.flush()
            os.fsync(file.fileno())
            if SHA256.fullmatch(etag) and sha256(part) != etag:
                file.truncate(0)
                raise FlavorError(f"A file of {self._name} came damaged.", "Download it again.", "network")
            os.replace(part, blob)
