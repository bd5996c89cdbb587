"""
File sink, the record of truth: JSON lines in local files, one ``write()`` per line.

A file belongs to one process and is never renamed or truncated, so that shippers can follow it by name:
``<stream>-<service>-<instance id>-<time>-<n>.jsonl``.
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
from inferlog.sinks.retention import CHECK_EVERY_SECONDS, Retention
from inferlog.sinks.shipped import is_tailed

_RETRY_OPEN_SECONDS = 1.0  # on a full or read-only disk, every line would otherwise try to create a file
_UNSAFE = re.compile(r"[^A-Za-z0-9._]+")
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
"""Errors of a disk, or a quota, without space."""


def check_directory(directory: Path) -> None:
    """
    Check that this process can create files in *directory*, or can create *directory*. Leaves no files behind.

    A full disk passes: a service must be able to start before there is space again.

    Raises:
        OSError: If it cannot.
    """
    nearest = next(path for path in (directory, *directory.parents) if os.path.lexists(path))
    if nearest == directory:
        try:
            tempfile.TemporaryFile(dir=directory).close()
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise OSError(error.errno, error.strerror, str(directory)) from error
    elif not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(nearest))
    elif not os.access(nearest, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        reason = errno.EROFS if os.statvfs(nearest).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(reason, os.strerror(reason), str(nearest))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLimits:
    """
    Limits at which a file is closed and the next one is started.

    Attributes:
        max_file_bytes: Maximum size; a file is closed before it exceeds this.
        max_file_age_seconds: Maximum age; a file is closed at the first line after this.
    """

    max_file_bytes: int
    max_file_age_seconds: float


class _OpenFile:
    """
    Open log file of this process.

    Attributes:
        descriptor: File descriptor for writing.
        inode: Inode number.
        expires: Time by the sink's clock, in seconds, after which the next line starts a new file.
        most_bytes: Limit of the size in bytes.
        bytes: Size in bytes.
        lines: Number of complete lines.
        path: Path of the file.
        torn: Whether it ends without a newline.
        lacks_only_newline: Whether the last line of a torn file is complete but for its newline.
        removed: Whether another process has deleted, renamed, replaced or truncated it.
        seen_lines: Number of lines when the file was last verified to be in place.
    """

    __slots__ = (
        "_device",
        "bytes",
        "descriptor",
        "expires",
        "inode",
        "lacks_only_newline",
        "lines",
        "most_bytes",
        "path",
        "removed",
        "seen_lines",
        "torn",
    )

    def __init__(self, path: Path, descriptor: int, limits: FileLimits, now: float) -> None:
        status = os.fstat(descriptor)
        self.path = path
        self._device, self.inode = status.st_dev, status.st_ino
        self.descriptor = descriptor
        self.expires = now + limits.max_file_age_seconds
        self.most_bytes = limits.max_file_bytes
        self.bytes = self.lines = self.seen_lines = 0
        self.torn = self.lacks_only_newline = self.removed = False

    def is_in_place(self) -> bool:
        """Return whether the path still refers to the file at its full length; True if unknown."""
        least_bytes = self.bytes  # read first: another thread may be writing
        try:
            status = self.path.lstat()
        except OSError as error:
            return error.errno not in _GONE
        return (status.st_dev, status.st_ino) == (self._device, self.inode) and status.st_size >= least_bytes


class FileSink:
    """
    Appends lines of one stream to its own files. Callers serialise all methods except :meth:`check_file`.

    The first file is created at the first line, so that a process that logs nothing leaves no file. A file that is
    deleted, renamed, replaced or truncated while in use is detected within a second, and the next line starts a new
    file.

    Args:
        directory: Directory of the files; created if missing.
        stream: First part of the name: ``events``, ``app``, ``health`` or ``content``.
        service: Second part; characters not allowed in a name become ``_``.
        instance_id: Third part, new for each process and fork.
        limits: Size and age limits of a file.
        retention: Deletes shipped files, and enforces the size limit of the directory.
        losses: Reports lost lines; None to ignore them.
        clock: Monotonic clock in seconds.
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
        self._check_at = -math.inf
        self._checking = threading.Lock()
        self._open_error: OSError | None = None
        self._retry_open_at = -math.inf

    def write(self, line: bytes) -> bool:
        """
        Append *line*, which ends with a newline; return whether it was written completely.

        Never raises, and blocks only on the local disk: a line rejected by a full or broken disk is dropped and
        reported, and the caller counts it. A line that lacks only its newline is written: the next write, or
        :meth:`close`, adds the newline.
        """
        now = self._clock()
        length = len(line)
        try:
            if now >= self._check_at:
                self._check_at = now + CHECK_EVERY_SECONDS
                self.check_file()
            file = self._file
            # Not a method: every line passes here.
            if file is None or file.removed or file.bytes + length > file.most_bytes or now > file.expires:
                file = self._open_next()
            if self._retention.is_full(length):
                limit = self._retention.max_total_bytes
                return self._drop(f"max_total_bytes ({limit}) reached, no file can be deleted")
            if file.torn:
                line = b"\n" + line
                length += 1
            written = os.write(file.descriptor, line)
        except OSError as error:
            if error.errno is None:
                raise  # of a signal handler, such as TimeoutError
            return self._drop(error.strerror or str(error))
        file.bytes += written
        if written < length or file.torn:
            # After a short write the rest of the line is not retried: the disk has just filled. The next line starts
            # with a newline, so that only this one is broken, or not even this one.
            file.torn = not line[:written].endswith(b"\n")
            file.lacks_only_newline = written == length - 1
            if written < length - 1:
                return self._drop(os.strerror(errno.ENOSPC))
        file.lines += 1
        return True

    def has_written(self, line: bytes) -> bool:
        """
        Return whether the file ends with *line*, after an exception has ended :meth:`write`; correct its counts.

        A line that lacks only its newline is written, as above.
        """
        file = self._file
        if file is None:
            return False
        try:
            with file.path.open("rb") as reader:
                file.bytes = reader.seek(0, os.SEEK_END)
                reader.seek(max(0, file.bytes - len(line)))
                end = reader.read()
        except OSError:
            return False
        file.torn = file.bytes > 0 and not end.endswith(b"\n")
        file.lacks_only_newline = end.endswith(line[:-1])
        whole = end == line or file.lacks_only_newline
        file.lines += whole
        return whole

    def check_file(self) -> None:
        """Detect the removal of the open file, and count the lines since the last check. Thread-safe."""
        file = self._file
        if file is None or not self._checking.acquire(blocking=False):
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
            self._checking.release()

    def close(self) -> None:
        """Close the open file. A later line opens the next one."""
        self.check_file()
        file, self._file = self._file, None
        if file is None:
            return
        if file.torn:
            try:
                os.write(file.descriptor, b"\n")  # a reader would otherwise wait for the rest of the line
            except OSError as error:
                if file.lacks_only_newline:
                    self._drop(error.strerror or str(error))
        try:
            os.close(file.descriptor)
        except OSError as error:  # a file server may reject the last lines only now
            self._drop(error.strerror or str(error))

    def detach_after_fork(self) -> None:
        """Close the descriptor without completing the file: in a forked child it belongs to the parent."""
        # Forked while another thread was closing the file, the child has no file, or a descriptor that is closed.
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                os.close(file.descriptor)

    def _drop(self, reason: str) -> bool:
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
            if error.errno is not None:  # otherwise of a signal handler, such as TimeoutError
                self._open_error = error
            raise
        self._open_error = None
        # Held while the file is open, so that the retention of another process can distinguish it from a finished
        # one. On a file system without locks, the retention uses the files' ages and numbers.
        with suppress(OSError):
            fcntl.flock(self._file.descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        self._retention.request_sweep()
        return self._file

    def _create(self, now: float) -> _OpenFile:
        """Create the next file, with an inode that Fluentd has not read in another file."""
        begun = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        rejected: list[Path] = []  # while they exist, the next file gets another inode
        try:
            while True:
                self._number += 1
                path = self._directory / f"{self._prefix}-{begun}-{self._number:04d}.jsonl"
                # Readable only by owner and group, such as a shipper's. O_EXCL: never opens another process's file.
                descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
                file = _OpenFile(path, descriptor, self._limits, now)
                if not is_tailed(self._directory, file.inode):
                    return file
                os.close(descriptor)
                rejected.append(path)
        finally:
            for path in rejected:
                path.unlink(missing_ok=True)
