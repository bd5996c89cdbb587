"""Retention of the log directory: bounds its size by deleting shipped files, never unshipped ones. Runs in a thread."""

import fcntl
import os
import re
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Final

from inferlog.context import warn_once
from inferlog.sinks.safe_open import open_file
from inferlog.sinks.shipped import read_bytes_shipped_to_all

CHECK_EVERY_SECONDS: Final = 0.5
"""Interval of the checks of open files; half of the second within which a removal must be detected."""

_STOP_AT_MOST_SECONDS: Final = 3.0
_RECHECK_SECONDS = 1.0
_RECHECK_RESERVE_SECONDS = 10.0
_RESERVE = 10  # a tenth of the directory: space for lines written until a sweep has freed more
_HALF_LINE_BYTES = 256 * 1024  # longer than any line, so that the rest cannot be a half line
_CLOCKS_APART_SECONDS = 60.0  # maximum clock difference to a file server
_NUMBERED = re.compile(r"(.+)-\d{8}T\d{6}Z-(\d+)\.jsonl")


@dataclass(frozen=True, slots=True)
class _LogFile:
    path: Path
    size_bytes: int
    modified: float


class _Listing:
    """Snapshot of the log files of a directory, oldest first."""

    def __init__(self, files: Iterator[_LogFile]) -> None:
        self.files = sorted(files, key=lambda file: file.modified)

    def has_successor(self, path: Path) -> bool:
        """Return whether the writer of *path* has started a later file, and so has closed this one."""
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
    Deletes shipped files by age and total size, and reports when the directory is full.

    Shared by all sinks of a process. The total is exact at each sweep and estimated in between.

    Args:
        directory: The log directory, shared with other processes.
        keep_shipped_seconds: Age at which a shipped file is deleted.
        max_total_bytes: Above nine tenths of this, shipped files are deleted earlier; above it, new lines are rejected.
        max_file_age_seconds: Longest time that a process writes to one file: on a file system without locks, an
            older file is finished.
        names: Glob pattern of the managed files.
        start_housekeeping: Schedules :meth:`sweep_if_requested` in another thread; None: sweep immediately.
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
        self._is_sweep_requested = False
        self._reserve_bytes = max_total_bytes // _RESERVE
        self._free_bytes = max_total_bytes
        self._checked = 0.0

    def is_full(self, more_bytes: int) -> bool:
        """Reserve *more_bytes* of the total; return True at the limit, if no file can be deleted."""
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
            self.request_sweep()

    def request_sweep(self) -> None:
        """Request a sweep by the housekeeping thread; without one, sweep immediately."""
        if self._start_housekeeping is None:
            self.sweep()
        else:
            self._is_sweep_requested = True
            self._start_housekeeping()

    def sweep_if_requested(self) -> None:
        """Sweep if requested since the last sweep."""
        if self._is_sweep_requested:
            self._is_sweep_requested = False
            self.sweep()

    def sweep(self) -> None:
        """Delete shipped, finished files over the age or size limit, oldest first; measure the remaining size."""
        self._checked = time.monotonic()
        free_before = self._free_bytes
        listing = _Listing(self._list_files())
        total_bytes = sum(file.size_bytes for file in listing.files)
        shipped = read_bytes_shipped_to_all(self._directory)
        expired_before = time.time() - self._keep_shipped_seconds
        for file in listing.files:
            if file.modified >= expired_before and total_bytes <= self.max_total_bytes - self._reserve_bytes:
                break
            if self._delete_if_done(file, shipped.get(file.path.name, 0), listing):
                total_bytes -= file.size_bytes
        # Other threads have written meanwhile; their bytes count as written to files that were already measured.
        self._free_bytes = self.max_total_bytes - total_bytes - (free_before - self._free_bytes)

    def _list_files(self) -> Iterator[_LogFile]:
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    if fnmatch(entry.name, self._names) and (file := _read_log_file(entry)):
                        yield file
        except OSError:
            return  # removed or unreadable: no file to delete

    def _delete_if_done(self, file: _LogFile, shipped: int, listing: _Listing) -> bool:
        """
        Delete *file* if no process has it open for writing, and nothing shippable is left in it.

        The rest may be half a line: its writer was killed while writing it.
        """
        try:
            descriptor = open_file(file.path)
        except OSError:
            return False
        try:
            if not self._is_finished(descriptor, file, listing) or os.fstat(descriptor).st_size != file.size_bytes:
                return False  # or it has grown since the listing
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
        """Return whether no process will write to *file* again: unlocked, or without locks, too old or succeeded."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks, as on some network mounts
            age_seconds = time.time() - file.modified
            return age_seconds > self._max_file_age_seconds + _CLOCKS_APART_SECONDS or listing.has_successor(file.path)
        return True


def _read_log_file(entry: os.DirEntry[str]) -> _LogFile | None:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return None  # another process has deleted it
    return _LogFile(Path(entry.path), status.st_size, status.st_mtime) if stat.S_ISREG(status.st_mode) else None


class Housekeeping:
    """
    Runs *tasks* twice a second in a daemon thread, from the first file or loss on.

    No request waits for a large directory. If the thread cannot start, the next file, full directory or loss retries.
    """

    def __init__(self) -> None:
        self.tasks: list[Callable[[], None]] = []
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._starting = threading.Lock()
        self._is_retired = False

    def start(self) -> None:
        """Start the thread, unless already started. Never raises or waits for another thread that starts it."""
        # During finalisation a thread does not run, and start() would wait for it forever.
        if self._thread is not None or sys.is_finalizing() or not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None and not self._is_retired:
                self._start()
        finally:
            self._starting.release()

    def _start(self) -> None:
        self._stopped = threading.Event()
        self._thread = thread = threading.Thread(target=self._run, args=[self._stopped], name="inferlog-housekeeping")
        thread.daemon = True  # a service that exits without shutdown() must not wait for it
        try:
            thread.start()
        except (RuntimeError, MemoryError):  # thread limit of the machine or container
            self._thread = None

    def stop(self) -> None:
        """End the thread and run the tasks a last time: a short process may not have run them yet."""
        thread, self._thread = self._thread, None
        self._stopped.set()
        if thread is not None:
            thread.join(_STOP_AT_MOST_SECONDS)
            if thread.is_alive():
                return  # the disk hangs, and the caller would too
        self._run_tasks()

    def retire(self) -> None:
        """Start no thread from now on; :meth:`stop` ends one that is running."""
        with self._starting:
            self._is_retired = True

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(CHECK_EVERY_SECONDS):
            self._run_tasks()

    def _run_tasks(self) -> None:
        for task in self.tasks:
            try:
                task()
            except Exception as error:  # noqa: BLE001 (logged, and the other tasks continue)
                warn_once(f"inferlog.housekeeping.failed: {error!r}")
