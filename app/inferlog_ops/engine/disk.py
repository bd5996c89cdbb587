"""Room on the disk: how much is left, how much a folder takes."""

import math
import os
import shutil
from pathlib import Path

from inferlog_ops.core.errors import OperatorError

NEEDED_BYTES = 1_500_000_000
"""The engine takes no events below 1 GiB of room (its watermarks); the rest is for its jars and first events."""

_UNITS = ("kB", "MB", "GB", "TB")


def free_bytes(path: Path) -> int:
    """Return the room for files of this user at *path*, or where it would be made."""
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    return shutil.disk_usage(existing).free


def require_room(path: Path, needed_bytes: int = NEEDED_BYTES) -> None:
    """
    Refuse to begin what *path*'s disk cannot hold.

    Raises:
        OperatorError: If there is too little room.
    """
    if (free := free_bytes(path)) < needed_bytes:
        raise OperatorError(
            f"{path}: {readable(free)} are free on this disk and the engine needs {readable(needed_bytes)}; "
            "make room, or choose another disk with --home"
        )


def used_bytes(folder: Path) -> int:
    """Return what all files below *folder* take on the disk; files that vanish meanwhile count nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def readable(size_bytes: int) -> str:
    """Write a size for a person: ``71.3 MB``."""
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    power = min(int(math.log(size_bytes, 1000)), len(_UNITS))
    return f"{size_bytes / 1000**power:.1f} {_UNITS[power - 1]}"
