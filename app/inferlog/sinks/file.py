"""
The record of truth: JSON lines in local files, one ``write()`` a line.

A file belongs to one process, is named once and never renamed or truncated, so that whoever ships it needs no
trick to follow it: ``<stream>-<service>-<instance id>-<time>-<n>.jsonl``.
"""

import errno
import fcntl
import math
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inferlog.losses import Losses
from inferlog.sinks.housekeeping import LOOK_EVERY_SECONDS
from inferlog.sinks.retention import Retention
from inferlog.sinks.shipped import is_tailed

_RETRY_OPEN_SECONDS = 1.0  # on a full or read-only disk every line would otherwise try to make a file
_UNSAFE = re.compile(r"[^A-Za-z0-9._]+")
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}
_FULL = {errno.ENOSPC, errno.EDQUOT}


def check_directory(directory: Path) -> None:
    """
    Check that a process may make files in *directory*, or may make *directory*. Leaves nothing behind.

    A disk that is full passes: it will have room again, and a service must be able to start meanwhile.

    Raises:
        OSError: If it may not.
    """
    nearest = next(path for path in (directory, *directory.parents) if path.exists())
    if nearest == directory:
        try:
            tempfile.TemporaryFile(dir=directory).close()
        except OSError as error:
            if error.errno not in _FULL:
                raise OSError(error.errno, error.strerror, str(directory)) from error
    elif not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(nearest))
    elif not os.access(nearest, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        reason = errno.EROFS if os.statvfs(nearest).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(reason, os.strerror(reason), str(nearest))


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


class _OpenFile:
    """
    One log file that this process writes to.

    Attributes:
        descriptor: Its number in this process, to write to.
        inode: Its number in the file system.
        expires: Seconds of the sink's clock after which the next line begins a new file.
        most_bytes: Length beyond which it must not grow.
        bytes: Its length.
        lines: Count of whole lines.
        torn: Whether it ends in the middle of a line.
        removed: Whether it was deleted, renamed, replaced or truncated by somebody else.
        seen_lines: Count of lines when it was last seen in its place.
    """

    __slots__ = (
        "_device",
        "_path",
        "bytes",
        "descriptor",
        "expires",
        "inode",
        "lines",
        "most_bytes",
        "removed",
        "seen_lines",
        "torn",
    )

    def __init__(self, path: Path, descriptor: int, limits: FileLimits, now: float) -> None:
        status = os.fstat(descriptor)
        self._path = path
        self._device, self.inode = status.st_dev, status.st_ino
        self.descriptor = descriptor
        self.expires = now + limits.max_file_age_seconds
        self.most_bytes = limits.max_file_bytes
        self.bytes = self.lines = self.seen_lines = 0
        self.torn = self.removed = False

    def is_in_place(self) -> bool:
        """Return whether the file has its name and its length. If that is not known, it has."""
        least_bytes = self.bytes  # first: another thread may be writing
        try:
            status = self._path.lstat()
        except OSError as error:
            return error.errno not in _GONE
        return (status.st_dev, status.st_ino) == (self._device, self.inode) and status.st_size >= least_bytes


class FileSink:
    """
    Appends lines of one stream to files of its own. Not thread-safe, but for :meth:`look`: the caller holds its lock.

    It opens the first file at the first line, so that a process that logs nothing leaves nothing behind. A file that
    is deleted, renamed, replaced or truncated under it is noticed within a second, and the next line begins a new one.

    Args:
        directory: Where the files lie; made if absent.
        stream: First part of the name: ``events``, ``app``, ``health`` or ``content``.
        service: Second part; characters that do not belong into a name become ``_``.
        instance_id: Third part, new for each process and fork.
        limits: When a file is closed.
        retention: Deletes shipped files, and returns when the directory is full.
        losses: Reports lost lines; None: nobody does.
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
        losses: Losses | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._stream = stream
        self._prefix = f"{stream}-{_UNSAFE.sub('_', service)[:64]}-{instance_id}"
        self._limits = limits
        self._retention = retention
        self._losses = losses
        self._clock = clock
        self._number = 0
        self._file: _OpenFile | None = None
        self._look_at = -math.inf
        self._looking = threading.Lock()
        self._open_error: OSError | None = None
        self._retry_open_at = -math.inf

    def write(self, line: bytes) -> bool:
        """
        Append *line*, which ends with a newline; return whether it is in the file whole.

        Never raises and never waits for anything but the local disk: a line that a full or broken disk does not
        take is dropped and reported, and the caller counts it.
        """
        now = self._clock()
        length = len(line)
        try:
            if now >= self._look_at:
                self._look_at = now + LOOK_EVERY_SECONDS
                self.look()
            file = self._file
            # Not a method: every line passes here.
            if file is None or file.removed or file.bytes + length > file.most_bytes or now > file.expires:
                file = self._open_next()
            if self._retention.full(length):
                return self._dropped(f"max_total_bytes ({self._retention.max_total_bytes}) reached, nothing to delete")
            if file.torn:
                line = b"\n" + line
                length += 1
            written = os.write(file.descriptor, line)
        except OSError as error:
            return self._dropped(error.strerror or str(error))
        file.bytes += written
        if written < length or file.torn:
            # After a short write the rest of the line is not worth a second try: the disk has just filled. The next
            # line begins with a newline, so that only this one is broken.
            file.torn = written < length
            if file.torn:
                return self._dropped(os.strerror(errno.ENOSPC))
        file.lines += 1
        return True

    def look(self) -> None:
        """Notice that somebody has removed the open file, and count the lines since the last look. From any thread."""
        file = self._file
        if file is None or not self._looking.acquire(blocking=False):
            return
        try:
            lines = file.lines
            if not file.removed and file.is_in_place():
                file.seen_lines = lines
                return
            if self._losses is not None and (lines > file.seen_lines or not file.removed):
                self._losses.add_removed(self._stream, str(self._directory), lines - file.seen_lines)
            file.removed, file.seen_lines = True, lines
        finally:
            self._looking.release()

    def close(self) -> None:
        """Close the open file. A later line opens the next one."""
        if self._file is None:
            return
        self.look()
        if self._file.torn:
            with suppress(OSError):
                os.write(self._file.descriptor, b"\n")  # or a reader would wait for the rest of the broken line
        self.detach_after_fork()

    def detach_after_fork(self) -> None:
        """Let go of the file as it is: in a forked child it belongs to the parent."""
        if self._file is not None:
            os.close(self._file.descriptor)
            self._file = None

    def _dropped(self, reason: str) -> bool:
        if self._losses is not None:
            self._losses.add(self._stream, str(self._directory), reason)
        return False

    def _open_next(self) -> _OpenFile:
        self.close()
        now = self._clock()
        if self._open_error is not None and now < self._retry_open_at:
            raise OSError(self._open_error.errno, self._open_error.strerror)
        self._retry_open_at = now + _RETRY_OPEN_SECONDS
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._file = self._create(now)
        except OSError as error:
            self._open_error = error
            raise
        self._open_error = None
        # Held while the file is open, so that another process's retention can tell it from a finished one. Where the
        # file system has no locks, the retention goes by the files' ages and numbers.
        with suppress(OSError):
            fcntl.flock(self._file.descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        self._retention.want_sweep()
        return self._file

    def _create(self, now: float) -> _OpenFile:
        """Make the next file. Its inode is none that Fluentd has seen in another file."""
        begun = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        refused: list[Path] = []  # while they exist, the next file gets another inode
        try:
            while True:
                self._number += 1
                path = self._directory / f"{self._prefix}-{begun}-{self._number:04d}.jsonl"
                # Readable by a shipper of the same group, by nobody else. O_EXCL: never into another process's file.
                descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
                file = _OpenFile(path, descriptor, self._limits, now)
                if not is_tailed(self._directory, file.inode):
                    return file
                os.close(descriptor)
                refused.append(path)
        finally:
            for path in refused:
                path.unlink(missing_ok=True)
