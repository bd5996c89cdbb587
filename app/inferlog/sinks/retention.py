"""Keeps the log directory bounded: what is shipped may go, what is not shipped stays, even when that means to drop."""

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inferlog.sinks.planted import open_file
from inferlog.sinks.shipped import shipped_to_all_bytes

_RECHECK_SECONDS = 1.0
_HALF_LINE_BYTES = 256 * 1024  # more than the longest line there is: no need to look


@dataclass(frozen=True, slots=True)
class _LogFile:
    path: Path
    size_bytes: int
    modified: float


class Retention:
    """
    Deletes files by age and total size once they are shipped, and tells when nothing more may be written.

    One for all sinks of a process. The running count is exact at each sweep and close to it in between.

    Args:
        directory: The log directory, shared with other processes.
        keep_shipped_seconds: How long a shipped file stays, for a look with ``grep``.
        max_total_bytes: Above this, shipped files go earlier, and new lines are refused if that does not help.
        names: Which files it looks after, as a pattern: all, or those of one kind of writer.
    """

    def __init__(
        self, directory: Path, *, keep_shipped_seconds: float, max_total_bytes: int, names: str = "*.jsonl"
    ) -> None:
        self._directory = directory
        self._names = names
        self._keep_shipped_seconds = keep_shipped_seconds
        self._max_total_bytes = max_total_bytes
        self._free_bytes = max_total_bytes
        self._checked = 0.0

    def full(self, more_bytes: int) -> bool:
        """Count *more_bytes* against the total; return True, at the cap, for as long as nothing can be deleted."""
        if self._free_bytes < more_bytes:
            if time.monotonic() - self._checked < _RECHECK_SECONDS:
                return True
            self.sweep()
            if self._free_bytes < more_bytes:
                return True
        self._free_bytes -= more_bytes
        return False

    def sweep(self) -> None:
        """Delete shipped, finished files that are too old or too many, oldest first; measure what is left."""
        self._checked = time.monotonic()
        files = sorted(self._files(), key=lambda file: file.modified)
        total_bytes = sum(file.size_bytes for file in files)
        shipped = shipped_to_all_bytes(self._directory)
        expired_before = time.time() - self._keep_shipped_seconds
        for file in files:
            if file.modified >= expired_before and total_bytes <= self._max_total_bytes:
                break
            if _delete_if_done(file, shipped.get(file.path.name, 0)):
                total_bytes -= file.size_bytes
        self._free_bytes = self._max_total_bytes - total_bytes

    def _files(self) -> Iterator[_LogFile]:
        for path in self._directory.glob(self._names):
            try:
                status = path.lstat()
            except OSError:
                continue  # another process has deleted it
            if stat.S_ISREG(status.st_mode):
                yield _LogFile(path, status.st_size, status.st_mtime)


def _delete_if_done(file: _LogFile, shipped: int) -> bool:
    """
    Delete *file* if no process holds it open for writing, and nothing is left in it that could be shipped.

    What is left may be half a line: its writer was killed in the midst of it, and nobody will finish it.
    """
    try:
        descriptor = open_file(file.path)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_size != file.size_bytes:
            return False  # it has grown since it was looked at
        left_bytes = file.size_bytes - shipped
        if left_bytes > _HALF_LINE_BYTES or (left_bytes > 0 and b"\n" in os.pread(descriptor, left_bytes, shipped)):
            return False
        file.path.unlink()
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
