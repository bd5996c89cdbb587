"""The file that tells whoever started the service where it answers."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inferlog_server.errors import StartError


@dataclass(frozen=True, slots=True)
class ReadyFile:
    """
    Exists while the service answers. Whoever reads it sees all of it or nothing.

    Attributes:
        path: Where it lies.
        pid: The process to send SIGTERM to.
    """

    path: Path
    pid: int

    def write(self, url: str) -> None:
        """Say that requests are answered at *url*. Each of several workers may, and writes the same."""
        unfinished = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        unfinished.write_text(json.dumps({"url": url, "pid": self.pid}) + "\n", encoding="utf-8")
        unfinished.replace(self.path)


@contextmanager
def ready_file(path: Path | None) -> Iterator[ReadyFile | None]:
    """
    Give this process's ready file, and take it away at the end; before, take away what an earlier run left.

    Raises:
        StartError: If it could not be written there.
    """
    if path is None:
        yield None
        return
    path = path.absolute()
    if not os.access(path.parent, os.W_OK) or path.is_dir():
        raise StartError(f"ready file {path}: cannot be written; expected a file's path in a directory that is")
    path.unlink(missing_ok=True)
    try:
        yield ReadyFile(path, os.getpid())
    finally:
        path.unlink(missing_ok=True)
