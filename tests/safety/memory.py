"""A folder in memory, where tests write quickly."""

import os
import shutil

SHM = "/dev/shm"


def in_memory(room: int = 1 << 30) -> str | None:
    """The system's folder in memory, where it may be written and has more than `room` bytes free (a container's has 64 MB); else None."""
    return SHM if os.access(SHM, os.W_OK) and shutil.disk_usage(SHM).free > room else None
