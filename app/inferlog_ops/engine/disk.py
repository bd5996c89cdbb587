"""Free disk space and disk usage."""

import os
import shutil
from pathlib import Path

from inferlog_ops.core.console import format_bytes
from inferlog_ops.core.errors import OperatorError

NEEDED_BYTES = 1_500_000_000
"""The engine rejects events below 1 GiB of free space (its watermarks); the rest is for its jars and first events."""


def measure_free_bytes(path: Path) -> int:
    """Return the free space for this user at *path* or, if it is missing, at its nearest existing parent."""
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    return shutil.disk_usage(existing).free


def require_room(path: Path, needed_bytes: int = NEEDED_BYTES) -> None:
    """
    Check that the disk of *path* has at least *needed_bytes* of free space.

    Raises:
        OperatorError: If it has less.
    """
    if (free := measure_free_bytes(path)) < needed_bytes:
        raise OperatorError(
            f"{path}: {format_bytes(free)} are free on this disk and the engine needs {format_bytes(needed_bytes)}; "
            "make room, or choose another disk with --home"
        )


def measure_usage(folder: Path) -> int:
    """Return the disk usage of all files below *folder*; files that vanish during the walk are skipped."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_blocks * 512
            except FileNotFoundError:
                continue
    return total
