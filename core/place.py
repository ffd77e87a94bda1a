"""Where a workspace may be: nothing of it is a link to elsewhere, and a lock means something on its file system."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from pathlib import Path

from core.errors import FlavorError

OURS = (
    "flavor.toml",
    "journal.log",
    "dataset.json",
    "curve.jsonl",
    "sweep.jsonl",
    "sheet.jsonl",
    "measured.json",
    "choices.json",
    "desk.json",
    "lock",
    "drafts",
    "snapshots",
    "damaged",
    "runs",
    "logs",
    "metrics",
)
NETWORK = re.compile(r"9p|afs|afpfs|ceph|cifs|coda|davfs2?|glusterfs|gpfs|lustre|ncpfs|nfs4?|smb3|smbfs|sshfs|rclone|s3fs|vboxsf|webdav")
"""Kinds of file systems that are on another machine, `fuse.` before them or not."""
SYNCED = re.compile(
    r"((?i:dropbox|onedrive|google ?drive|nextcloud|owncloud|mobile documents|cloudstorage|pcloud ?drive)|MEGA(?:sync)?(?! ))( .*)?"
)
"""The names that sync programs give to their folders, most of them with an account behind; mega is a word too."""
MARKS = {
    ".stfolder": "Syncthing",
    ".dropbox.cache": "Dropbox",
    ".sync": "Resilio",
    ".owncloudsync.log": "ownCloud",
    ".nextcloudsync.log": "Nextcloud",
}
"""What sync programs leave in their folders."""
MOUNTS = Path("/proc/self/mountinfo")


def refuse_links(workspace: Path) -> None:
    """Raises FlavorError where a file or folder of ours is a link: what is written through it would end elsewhere."""
    for name in OURS:
        with contextlib.suppress(OSError):  # absent, or it will be said when it is opened
            if stat.S_ISLNK(os.lstat(workspace / name).st_mode):
                raise FlavorError(
                    f"{workspace / name} is a link to elsewhere.", "A workspace keeps everything inside: put the file itself there."
                )


def warning(workspace: Path) -> str:
    """What is wrong with the place of a workspace, in a sentence; nothing where all is well or nobody knows."""
    kind = _kind(workspace)
    if NETWORK.fullmatch(kind.removeprefix("fuse.")):
        return f"This folder is on a network ({kind}), where locks and power cuts are uncertain: open it on one machine at a time."
    for folder in (workspace, *workspace.parents):
        match = SYNCED.fullmatch(folder.name)
        said = match[1] if match else next((program for mark, program in MARKS.items() if (folder / mark).exists()), "")
        if said:
            return f"{folder} is copied by {said}: open the workspace on one machine at a time, and wait until it is copied."
    return ""


def _kind(workspace: Path) -> str:
    """The file system's kind, from the system's list of mounts; empty where it is not known."""
    best, kind = "", ""
    with contextlib.suppress(OSError):
        if sys.platform == "darwin":
            import subprocess

            said = os.fsdecode(subprocess.run(["/sbin/mount"], capture_output=True).stdout)
            mounts = [line.partition(" on ")[2] for line in said.split("\n")]
            table = [(line.rpartition(" (")[0], line.rpartition(" (")[2].split(",")[0]) for line in mounts]
        else:
            told = os.fsdecode(MOUNTS.read_bytes())  # a disk's name may be in any encoding
            rows = [line.split(" ") for line in told.split("\n") if line]
            table = [(row[4].replace("\\040", " "), row[row.index("-") + 1]) for row in rows]
        for at, name in table:
            if workspace.is_relative_to(at) and len(at) >= len(best):
                best, kind = at, name
    return kind
