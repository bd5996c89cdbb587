"""The read offset and the acknowledged offset of each log file."""

import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from inferlog_ops.ship.clock_skew import Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A log file as the file system describes it. *name* is relative to the log directory, with ``/``."""

    name: str
    stream: str
    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def build(cls, name: str, stream: str, status: os.stat_result) -> Self:
        return cls(
            name=name,
            stream=stream,
            device=status.st_dev,
            inode=status.st_ino,
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """
    Recognizes a file after a restart, even if another file has taken its name or its inode.

    Attributes:
        device: Number of the file system, which can change with a mount.
        mtime_ns: Modification time when the leading bytes were last compared; None if unknown.
        inode: Number of the file in the file system.
        head_bytes: Number of leading bytes in *head_digest*; 0 until the first read.
        head_digest: Hexadecimal digest of the leading bytes. The first line contains an id, so digests are unique.
    """

    device: int
    inode: int
    head_bytes: int = 0
    head_digest: str = ""
    mtime_ns: int | None = None

    @classmethod
    def build(cls, found: FoundFile) -> "Fingerprint":
        """Return the fingerprint of a file that was not read yet."""
        return cls(device=found.device, inode=found.inode, mtime_ns=found.mtime_ns)

    def is_confirmed_by(self, found: FoundFile) -> bool:
        """Whether *found* is this file without a comparison of its leading bytes."""
        return (self.device, self.inode) == (found.device, found.inode) and self.mtime_ns in (None, found.mtime_ns)


@dataclass(slots=True, eq=False)
class ByteRange:
    """Lines of one file that are in flight together, from byte *start* to before byte *end*."""

    file: "TrackedFile"
    start: int
    end: int
    is_acknowledged: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class TrackedFile:
    """
    One log file and its offsets, in bytes from the beginning of the file. Changes only through its methods.

    Attributes:
        name: Path relative to the log directory.
        stream: Stream of its lines.
        fingerprint: Recognizes the file after a restart.
        size: Size at the last poll.
        confirmed_size: Size at the last poll before the leading bytes were compared.
        acknowledged_offset: Every line before it is acknowledged.
        read_offset: Every line before it has been read.
        scanned_offset: There is no end of line between *read_offset* and here.
        maybe_stored_to: Another shipper may have sent lines before it: the size of the file when it was found, or at
            the last poll while another shipper is active.
        caught_up_at: Last poll at which every byte had been read; None before the first.
        is_suspect: Whether it may have another content, or be another file with the same inode, until its leading bytes
            are compared.
        is_gone: Whether the file has disappeared.
        trouble: Why the file is unreadable; None if it is readable.
        byte_ranges: Byte ranges in flight, oldest first.
    """

    name: str
    stream: str
    fingerprint: Fingerprint
    size: int
    confirmed_size: int = 0
    acknowledged_offset: int = 0
    read_offset: int = 0
    scanned_offset: int = 0
    maybe_stored_to: int = 0
    caught_up_at: Moment | None = None
    is_suspect: bool = False
    is_gone: bool = False
    trouble: str | None = None
    byte_ranges: deque[ByteRange] = field(default_factory=deque)

    @property
    def has_unread(self) -> bool:
        """Whether the file may contain an unread whole line."""
        return not self.is_gone and max(self.read_offset, self.scanned_offset) < self.size

    @property
    def must_check(self) -> bool:
        """Whether the file has to be opened only to compare its leading bytes."""
        return self.is_suspect and self.read_offset > 0 and not (self.is_gone or self.has_unread)

    @property
    def confirmed_offset(self) -> int:
        """The acknowledged offset; 0 while it may be the offset of another file."""
        return 0 if self.must_check else self.acknowledged_offset

    @property
    def has_partial_line(self) -> bool:
        """Whether the file ends in an incomplete line."""
        return not self.is_gone and self.read_offset < self.size and not self.has_unread

    @property
    def behind_bytes(self) -> int:
        """Bytes that are not acknowledged, without an incomplete last line, which cannot be sent."""
        return max(0, self._end_of_lines - self.acknowledged_offset)

    @property
    def unread_bytes(self) -> int:
        """Bytes that were not read, without an incomplete last line."""
        return max(0, self._end_of_lines - self.read_offset)

    @property
    def in_flight_bytes(self) -> int:
        """Bytes that were read and are not acknowledged."""
        return sum(
            byte_range.end - byte_range.start
            for byte_range in tuple(self.byte_ranges)
            if not byte_range.is_acknowledged
        )

    @property
    def _end_of_lines(self) -> int:
        return self.read_offset if self.scanned_offset >= self.size else self.size

    def update(self, found: FoundFile, polled_at: Moment) -> None:
        """Record the state at a poll. A smaller size means that an incomplete line was removed: scan it again."""
        self.is_suspect = not self.fingerprint.is_confirmed_by(found)
        if found.size < self.size:
            self.scanned_offset = self.read_offset
        self.confirmed_size = min(self.confirmed_size, found.size)
        self.size = found.size
        if found.size == self.read_offset:
            self.caught_up_at = polled_at

    def mark_maybe_stored(self) -> None:
        """Record that another shipper may have sent every line of the last poll."""
        self.maybe_stored_to = self.size

    def record_scan(self, offset: int) -> None:
        """Record that there is no end of line between the read offset and *offset*."""
        self.scanned_offset = max(self.scanned_offset, offset)

    def end_at_scan(self) -> None:
        """Record that the file ends at the scanned offset, shorter than at the last poll."""
        self.size = self.scanned_offset

    def end_at_confirmed_size(self) -> None:
        """Record that later polls may have measured another file."""
        self.size = max(self.read_offset, self.confirmed_size)

    def record_head(self, length: int, digest: str) -> None:
        """Add a digest of the first *length* bytes to the fingerprint."""
        self.fingerprint = replace(self.fingerprint, head_bytes=length, head_digest=digest)

    def confirm(self, found: FoundFile) -> None:
        """Record that the leading bytes of *found* are those of the fingerprint."""
        self.fingerprint = replace(self.fingerprint, device=found.device, mtime_ns=found.mtime_ns)
        self.confirmed_size = self.size
        self.is_suspect = False

    def set_gone(self, is_gone: bool) -> None:
        self.is_gone = is_gone

    def set_trouble(self, reason: str | None) -> None:
        self.trouble = reason

    def reserve(self, end: int) -> ByteRange:
        """Advance the read offset to *end*, and return the lines before it as a byte range in flight."""
        byte_range = ByteRange(self, self.read_offset, end)
        self.byte_ranges.append(byte_range)
        self.read_offset = self.scanned_offset = end
        return byte_range

    def advance(self) -> None:
        """Move the acknowledged offset over the leading acknowledged ranges."""
        while self.byte_ranges and self.byte_ranges[0].is_acknowledged:
            self.acknowledged_offset = self.byte_ranges.popleft().end


@dataclass(frozen=True, slots=True)
class SavedOffset:
    """
    The offset of a file across restarts.

    Attributes:
        fingerprint: Recognizes the file.
        offset: Every line before it is acknowledged (bytes).
        missing_since: When the file disappeared together with its folder's other files (Unix seconds); None before.
    """

    fingerprint: Fingerprint
    offset: int
    missing_since: float | None = None


class OffsetTracker:
    """The tracked files by name, and the offsets of missing files that may return. Thread-safe."""

    def __init__(self) -> None:
        self._files: dict[str, TrackedFile] = {}
        self._missing: dict[str, SavedOffset] = {}
        self._lock = threading.Lock()
        self._changes = 0
        self._acknowledged_bytes = 0

    @property
    def acknowledged_bytes(self) -> int:
        """Bytes that were acknowledged since the start."""
        return self._acknowledged_bytes

    @property
    def changes(self) -> int:
        """Counter that grows with every change worth a checkpoint."""
        return self._changes

    def list_files(self) -> list[TrackedFile]:
        """Return all files in the order of their discovery."""
        with self._lock:
            return list(self._files.values())

    def get(self, name: str) -> TrackedFile | None:
        with self._lock:
            return self._files.get(name)

    def get_missing(self, name: str) -> SavedOffset | None:
        with self._lock:
            return self._missing.get(name)

    def list_missing(self) -> dict[str, SavedOffset]:
        """Return the offsets of files that are not tracked, by name."""
        with self._lock:
            return dict(self._missing)

    def set_missing(self, missing: Mapping[str, SavedOffset]) -> None:
        """Replace the offsets of files that are not tracked."""
        with self._lock:
            self._changes += self._missing != missing
            self._missing = dict(missing)

    def list_offsets(self) -> dict[str, SavedOffset]:
        """Return the offsets to save, by name: those of one moment, so that no file is left out on its way."""
        now = time.time()
        with self._lock:
            return self._missing | {
                file.name: SavedOffset(file.fingerprint, file.acknowledged_offset, now if file.is_gone else None)
                for file in self._files.values()
            }

    def track(self, found: FoundFile, fingerprint: Fingerprint, offset: int = 0) -> TrackedFile:
        """
        Track *found* from *offset* on, in place of any file of the same name.

        All of its current content may be stored already: another shipper, or this one before a crash, may have sent it.
        """
        file = TrackedFile(
            name=found.name,
            stream=found.stream,
            fingerprint=fingerprint,
            size=found.size,
            acknowledged_offset=offset,
            read_offset=offset,
            maybe_stored_to=found.size,
            is_suspect=not fingerprint.is_confirmed_by(found),
        )
        with self._lock:
            self._missing.pop(file.name, None)
            self._files[file.name] = file
            self._changes += 1
        return file

    def forget(self, file: TrackedFile, *, missing_since: float | None) -> None:
        """Stop tracking *file*. With *missing_since* (Unix seconds) its offset is kept."""
        with self._lock:
            if self._files.get(file.name) is file:
                del self._files[file.name]
                if missing_since is not None:
                    self._missing[file.name] = SavedOffset(file.fingerprint, file.acknowledged_offset, missing_since)
                self._changes += 1

    def confirm(self, file: TrackedFile, found: FoundFile) -> None:
        """Record that the leading bytes of *found* are those of *file*."""
        with self._lock:
            self._changes += file.must_check
            file.confirm(found)

    def update(self, file: TrackedFile, found: FoundFile, polled_at: Moment) -> None:
        """Record the state of *file* at a poll."""
        with self._lock:
            must_check = file.must_check
            file.update(found, polled_at)
            # The offset that was published may be that of another content.
            self._changes += file.must_check and not must_check

    def reserve(self, file: TrackedFile, end: int) -> ByteRange:
        """Mark the lines of *file* from its read offset to *end* as in flight."""
        with self._lock:
            return file.reserve(end)

    def acknowledge(self, byte_ranges: Iterable[ByteRange]) -> None:
        """Acknowledge *byte_ranges*. The acknowledged offset moves only over ranges without a gap."""
        with self._lock:
            for byte_range in byte_ranges:
                byte_range.is_acknowledged = True
                self._acknowledged_bytes += byte_range.end - byte_range.start
                byte_range.file.advance()
            self._changes += 1
