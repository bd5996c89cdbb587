"""Keeps the log directory bounded: deletes shipped files, keeps others, even if new lines have to be dropped."""

import fcntl
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

from inferlog.sinks.safe_open import open_file
from inferlog.sinks.shipped import shipped_to_all_bytes

_RECHECK_SECONDS = 1.0
_RECHECK_RESERVE_SECONDS = 10.0
_RESERVE = 10  # a tenth of the directory: room for what is written until a sweep has made more
_HALF_LINE_BYTES = 256 * 1024  # more than the longest line there is: no need to look
_CLOCKS_APART_SECONDS = 60.0  # between this machine and a file server
_NUMBERED = re.compile(r"(.+)-\d{8}T\d{6}Z-(\d+)\.jsonl")


@dataclass(frozen=True, slots=True)
class _LogFile:
    path: Path
    size_bytes: int
    modified: float


class _Listing:
    """All log files of a directory at one moment, oldest first."""

    def __init__(self, files: Iterator[_LogFile]) -> None:
        self.files = sorted(files, key=lambda file: file.modified)

    def has_successor(self, path: Path) -> bool:
        """Whether the writer of *path* has begun a later file, and so closed this one."""
        match = _NUMBERED.fullmatch(path.name)
        return match is not None and int(match[2]) < self._last_numbers[match[1]]

    @cached_property
    def _last_numbers(self) -> dict[str, int]:
        last: dict[str, int] = {}
        for file in self.files:
            if match := _NUMBERED.fullmatch(file.path.name):
                last[match[1]] = max(last.get(match[1], 0), int(match[2]))
        return last


class Retention:
    """
    Deletes files by age and total size once they are shipped, and tells when nothing more may be written.

    One for all sinks of a process. The running count is exact at each sweep and close to it in between.

    Args:
        directory: The log directory, shared with other processes.
        keep_shipped_seconds: How long a shipped file stays, for a look with ``grep``.
        max_total_bytes: Above nine tenths of this, shipped files go earlier; above it, new lines are refused.
        max_file_age_seconds: Longest that a process writes to one file: where the file system has no locks, a file
            that is older is finished.
        names: Which files it looks after, as a pattern: all, or those of one kind of writer.
        start_housekeeping: Has :meth:`sweep_if_wanted` called soon, by another thread; None: sweeps are done at once.
    """

    def __init__(
        self,
        directory: Path,
        *,
        keep_shipped_seconds: float,
        max_total_bytes: int,
        max_file_age_seconds: float = 3600.0,
        names: str = "*.jsonl",
        start_housekeeping: Callable[[], None] | None = None,
    ) -> None:
        self._directory = directory
        self._names = names
        self._keep_shipped_seconds = keep_shipped_seconds
        self.max_total_bytes = max_total_bytes
        self._max_file_age_seconds = max_file_age_seconds
        self._start_housekeeping = start_housekeeping
        self._wanted = False
        self._reserve_bytes = max_total_bytes // _RESERVE
        self._free_bytes = max_total_bytes
        self._checked = 0.0

    def full(self, more_bytes: int) -> bool:
        """Count *more_bytes* against the total; return True, at the cap, for as long as nothing can be deleted."""
        free_bytes = self._free_bytes - more_bytes
        if free_bytes < self._reserve_bytes:
            self._make_room(_RECHECK_SECONDS if self._free_bytes < more_bytes else _RECHECK_RESERVE_SECONDS)
            free_bytes = self._free_bytes - more_bytes
            if free_bytes < 0:
                return True
        self._free_bytes = free_bytes
        return False

    def _make_room(self, at_most_every_seconds: float) -> None:
        if time.monotonic() - self._checked >= at_most_every_seconds:
            self.want_sweep()

    def want_sweep(self) -> None:
        """Have a sweep done: by the housekeeping if there is one, else at once."""
        if self._start_housekeeping is None:
            self.sweep()
        else:
            self._wanted = True
            self._start_housekeeping()

    def sweep_if_wanted(self) -> None:
        """Sweep if somebody has asked for it since the last time."""
        if self._wanted:
            self._wanted = False
            self.sweep()

    def sweep(self) -> None:
        """Delete shipped, finished files that are too old or too many, oldest first; measure what is left."""
        self._checked = time.monotonic()
        free_before = self._free_bytes
        listing = _Listing(self._files())
        total_bytes = sum(file.size_bytes for file in listing.files)
        shipped = shipped_to_all_bytes(self._directory)
        expired_before = time.time() - self._keep_shipped_seconds
        for file in listing.files:
            if file.modified >= expired_before and total_bytes <= self.max_total_bytes - self._reserve_bytes:
                break
            if self._delete_if_done(file, shipped.get(file.path.name, 0), listing):
                total_bytes -= file.size_bytes
        # Other threads have written meanwhile: to files that were measured already, as far as anybody knows.
        self._free_bytes = self.max_total_bytes - total_bytes - (free_before - self._free_bytes)

    def _files(self) -> Iterator[_LogFile]:
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    if fnmatch(entry.name, self._names) and (file := _log_file(entry)):
                        yield file
        except OSError:
            return  # removed, or not readable: there is nothing to delete

    def _delete_if_done(self, file: _LogFile, shipped: int, listing: _Listing) -> bool:
        """
        Delete *file* if no process holds it open for writing, and nothing is left in it that could be shipped.

        What is left may be half a line: its writer was killed in the midst of it, and nobody will finish it.
        """
        try:
            descriptor = open_file(file.path)
        except OSError:
            return False
        try:
            if not self._is_finished(descriptor, file, listing) or os.fstat(descriptor).st_size != file.size_bytes:
                return False  # or it has grown since it was looked at
            left_bytes = file.size_bytes - shipped
            if left_bytes > _HALF_LINE_BYTES or (left_bytes > 0 and b"\n" in os.pread(descriptor, left_bytes, shipped)):
                return False
            file.path.unlink()
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True

    def _is_finished(self, descriptor: int, file: _LogFile, listing: _Listing) -> bool:
        """Return whether no process will write to *file* again: nobody holds its lock, or it is too old for that."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks, as some network mounts are
            age_seconds = time.time() - file.modified
            return age_seconds > self._max_file_age_seconds + _CLOCKS_APART_SECONDS or listing.has_successor(file.path)
        return True


def _log_file(entry: os.DirEntry[str]) -> _LogFile | None:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return None  # another process has deleted it
    return _LogFile(Path(entry.path), status.st_size, status.st_mtime) if stat.S_ISREG(status.st_mode) else None
