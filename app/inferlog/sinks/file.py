"""
The record of truth: JSON lines in local files, one ``write()`` a line.

A file belongs to one process, is named once and never renamed or truncated, so that whoever ships it needs no
trick to follow it: ``<stream>-<service>-<instance id>-<time>-<n>.jsonl``.
"""

import fcntl
import math
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inferlog.sinks.retention import Retention
from inferlog.sinks.shipped import tailed_inodes

_RETRY_OPEN_SECONDS = 1.0  # on a full or read-only disk every line would otherwise look through the directory
_UNSAFE = re.compile(r"[^A-Za-z0-9._]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLimits:
    """
    When a file is closed and the next one begun.

    Attributes:
        max_file_bytes: A file is closed before it grows beyond this.
        max_file_age_seconds: A file is closed at the first line after this.
    """

    max_file_bytes: int
    max_file_age_seconds: float


class FileSink:
    """
    Appends lines of one stream to files of its own. Not thread-safe: the caller holds its lock.

    It opens the first file at the first line, so that a process that logs nothing leaves nothing behind.

    Args:
        directory: Where the files lie; made if absent.
        stream: First part of the name: ``events``, ``app``, ``health`` or ``content``.
        service: Second part; characters that do not belong into a name become ``_``.
        instance_id: Third part, new for each process and fork.
        limits: When a file is closed.
        retention: Deletes what is shipped, and says when the directory is full.
        clock: Seconds that never go back.
    """

    copies_dropped = 0

    def __init__(
        self,
        directory: Path,
        *,
        stream: str,
        service: str,
        instance_id: str,
        limits: FileLimits,
        retention: Retention,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._prefix = f"{stream}-{_UNSAFE.sub('_', service)[:64]}-{instance_id}"
        self._limits = limits
        self._retention = retention
        self._clock = clock
        self._number = 0
        self._descriptor = -1
        self._bytes = 0
        self._opened = 0.0
        self._torn = False
        self._retry_open_at = -math.inf

    def write(self, line: bytes) -> bool:
        """
        Append *line*, which ends with a newline; return whether it lies in the file whole.

        Never raises and never waits for anything but the local disk: a line that a full or broken disk does not
        take is dropped, and the caller counts it.
        """
        try:
            if self._descriptor < 0 or self._finished(len(line)):
                self._open_next()
            if self._retention.full(len(line)):
                return False
            if self._torn:
                line = b"\n" + line
            written = os.write(self._descriptor, line)
        except OSError:
            return False
        self._bytes += written
        # After a short write the rest of the line is not worth a second try: the disk has just filled. The next
        # line begins with a newline, so that only this one is broken.
        self._torn = written < len(line)
        return not self._torn

    def close(self) -> None:
        """Close the open file. A later line opens the next one."""
        if self._descriptor < 0:
            return
        if self._torn:
            with suppress(OSError):
                os.write(self._descriptor, b"\n")  # or a reader would wait for the rest of the broken line
        self.abandon()

    def abandon(self) -> None:
        """Let go of the file as it is: in a forked child it belongs to the parent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _finished(self, more_bytes: int) -> bool:
        return (
            self._bytes + more_bytes > self._limits.max_file_bytes
            or self._clock() - self._opened > self._limits.max_file_age_seconds
        )

    def _open_next(self) -> None:
        self.close()
        now = self._clock()
        if now < self._retry_open_at:
            raise OSError(f"{self._directory}: no file could be opened a moment ago")
        self._retry_open_at = now + _RETRY_OPEN_SECONDS
        self._directory.mkdir(parents=True, exist_ok=True)
        self._retention.sweep()
        self._descriptor = self._create()
        # Held while the file is open, so that another process's retention can tell it from a finished one.
        fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        self._bytes, self._opened, self._torn = 0, now, False
        self._retry_open_at = -math.inf

    def _create(self) -> int:
        """Make the next file and return its descriptor. Its inode is none that Fluentd has seen in another file."""
        tailed = tailed_inodes(self._directory)
        begun = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        refused: list[Path] = []  # while they exist, the next file gets another inode
        try:
            while True:
                self._number += 1
                path = self._directory / f"{self._prefix}-{begun}-{self._number:04d}.jsonl"
                # Readable by a shipper of the same group, by nobody else. O_EXCL: never into another process's file.
                descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
                if os.fstat(descriptor).st_ino not in tailed:
                    return descriptor
                os.close(descriptor)
                refused.append(path)
        finally:
            for path in refused:
                path.unlink(missing_ok=True)
