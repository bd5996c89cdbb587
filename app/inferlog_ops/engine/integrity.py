"""Whether a file is the one that the lock file names."""

import hashlib
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from inferlog_ops.engine.blueprint import Jar


def is_intact(path: Path, jar: Jar) -> bool:
    """Return whether the file at *path* is there and has the locked content."""
    try:
        if path.stat().st_size != jar.size_bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def differing(files: Collection[tuple[Path, Jar]]) -> list[tuple[Path, Jar]]:
    """Return those of *files* that are missing or not the locked ones."""
    # Hashing leaves Python to other threads.
    with ThreadPoolExecutor() as pool:
        intact = pool.map(lambda file: is_intact(*file), files)
        return [file for file, good in zip(files, intact, strict=True) if not good]
