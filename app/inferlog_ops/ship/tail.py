"""Reading of new lines into batches, fairly between streams and files. A file is open only during a read."""

import hashlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inferlog.sinks.safe_open import open_file
from inferlog_ops.core.streams import STREAMS
from inferlog_ops.ship.batch import Batch
from inferlog_ops.ship.clock_skew import ClockSkew
from inferlog_ops.ship.discovery import FileDiscovery
from inferlog_ops.ship.offsets import FoundFile, OffsetTracker, TrackedFile
from inferlog_ops.ship.schedule import Schedule
from inferlog_ops.ship.settings import ShipSettings

_HEAD_BYTES = 256

_POLLING_SHARE = 0.1
"""Maximum share of one core for polling a directory with very many files."""


class ReplacedFileError(Exception):
    """The file *found* has the name now, or the file has another content."""

    def __init__(self, found: FoundFile) -> None:
        super().__init__()
        self.found = found


class FileTailer:
    """Moves lines from files into batches."""

    def __init__(self, root: Path, tracker: OffsetTracker, clock_skew: ClockSkew, settings: ShipSettings) -> None:
        self._root = root
        self._tracker = tracker
        self._clock_skew = clock_skew
        self._settings = settings

    def read_into(self, batch: Batch, file: TrackedFile) -> None:
        """
        Fill *batch* with whole lines that *file* had at the last poll. An incomplete line is left for a later read.

        Raises:
            ReplacedFileError: If the file with this name is not the one that was read before.
            OSError: If it is unreadable.
        """
        with self._open(file) as handle:
            while file.has_unread and not self.is_full(batch):
                if not self._read_chunk(handle, batch, file) and not self._read_long_line(handle, batch, file):
                    break

    def is_full(self, batch: Batch) -> bool:
        """Whether *batch* has the size of one request."""
        return len(batch) >= self._settings.bulk_events or batch.size_bytes >= self._settings.bulk_bytes

    @contextmanager
    def _open(self, file: TrackedFile) -> Iterator[int]:
        # A FIFO or a symlink may have replaced the file since the last poll.
        handle = open_file(self._root / file.name)
        try:
            self._check_fingerprint(handle, file)
            yield handle
        finally:
            os.close(handle)

    def _check_fingerprint(self, handle: int, file: TrackedFile) -> None:
        known, found = file.fingerprint, FoundFile.build(file.name, file.stream, os.fstat(handle))
        # The device may change with a mount: the leading bytes decide.
        is_same = known.inode == found.inode and found.size >= file.read_offset
        if (
            not is_same
            or not _is_line_start(handle, file.read_offset)
            or _compute_digest(handle, known.head_bytes) != known.head_digest
        ):
            raise ReplacedFileError(found)
        self._tracker.confirm(file, found)

    def _read_chunk(self, handle: int, batch: Batch, file: TrackedFile) -> bool:
        """Add the whole lines of one read; return False if there were none."""
        wanted = min(self._settings.read_bytes, file.size - file.read_offset)
        chunk = os.pread(handle, wanted, file.read_offset)
        lines = chunk.split(b"\n", self._settings.bulk_events - len(batch))
        lines.pop()  # the bytes after the last end of line
        if not lines:
            return False
        self._record_head(handle, file, len(lines[0]))
        self._clock_skew.note(file.name, lines[-1], written_after=file.caught_up_at)
        end = batch.add(file, file.read_offset, lines, self._settings.line_bytes)
        batch.add_byte_range(self._tracker.reserve(file, end))
        return True

    def _read_long_line(self, handle: int, batch: Batch, file: TrackedFile) -> bool:
        """Add one line that is longer than a read; return False if its end is not written yet."""
        end = self._find_end(handle, file)
        if end is None:
            return False
        start, length, limit = file.read_offset, end - file.read_offset, self._settings.line_bytes
        self._record_head(handle, file, length)
        if length > limit:
            batch.add_long_line(file, start, os.pread(handle, self._settings.read_bytes, start), length, limit)
        else:
            batch.add(file, start, [os.pread(handle, length, start)], limit)
        batch.add_byte_range(self._tracker.reserve(file, end + 1))
        return True

    def _find_end(self, handle: int, file: TrackedFile) -> int | None:
        """Return the offset of the next end of line. Bytes that were scanned before are not scanned again."""
        file.record_scan(file.read_offset)
        while file.scanned_offset < file.size:
            wanted = min(self._settings.read_bytes, file.size - file.scanned_offset)
            piece = os.pread(handle, wanted, file.scanned_offset)
            found = piece.find(b"\n")
            if found >= 0:
                return file.scanned_offset + found
            if not piece:  # truncated: the next poll handles it
                file.end_at_scan()
                break
            file.record_scan(file.scanned_offset + len(piece))
        return None

    def _record_head(self, handle: int, file: TrackedFile, first_line_bytes: int) -> None:
        if not file.fingerprint.head_bytes:
            length = min(_HEAD_BYTES, file.read_offset + first_line_bytes + 1)
            file.record_head(length, _compute_digest(handle, length))


class Reader:
    """
    Reader loop: poll the log directory, and submit at most one batch per stream and round.

    Every file of a stream gets a turn before any gets a second one, and no turn is longer than a batch.
    """

    def __init__(
        self,
        *,
        discovery: FileDiscovery,
        tail: FileTailer,
        tracker: OffsetTracker,
        schedule: Schedule,
        settings: ShipSettings,
    ) -> None:
        self._discovery = discovery
        self._tail = tail
        self._tracker = tracker
        self._schedule = schedule
        self._settings = settings
        self._turns: dict[str, deque[TrackedFile]] = {stream: deque() for stream in STREAMS}
        self._unreadable: set[TrackedFile] = set()
        self._next_poll = 0.0

    def run_until(self, stopping: threading.Event) -> None:
        """
        Read existing and new lines until *stopping* is set.

        Lines written before that are also read, unless Elasticsearch is slow or refuses them.
        """
        while not stopping.is_set():
            if time.monotonic() >= self._next_poll:
                self._poll()
            changes = self._schedule.changes
            if not self._submit_some():
                self._schedule.wait_for_change(changes, max(0.0, self._next_poll - time.monotonic()))
        deadline = time.monotonic() + self._settings.stop_seconds / 2
        self._read_all(
            lambda: time.monotonic() >= deadline or self._schedule.is_closed or bool(self._schedule.list_reasons())
        )

    def run_once(self, stopping: threading.Event) -> None:
        """Read the existing lines. Return when all are read, or *stopping* is set."""
        self._read_all(stopping.is_set)

    def _read_all(self, gives_up: Callable[[], bool]) -> None:
        self._poll()
        while any(self._is_readable(file) for file in self._tracker.list_files()) and not gives_up():
            changes = self._schedule.changes
            if not self._submit_some():
                self._schedule.wait_for_change(changes, self._settings.poll_seconds)

    def _poll(self) -> None:
        began = time.monotonic()
        self._discovery.poll()
        self._unreadable.clear()
        files = self._tracker.list_files()
        for stream, turns in self._turns.items():
            current = {file: None for file in files if file.stream == stream}
            waiting_longest_first = {file: None for file in turns if file in current}
            self._turns[stream] = deque(waiting_longest_first | current)
        took = time.monotonic() - began
        self._next_poll = began + max(self._settings.poll_seconds, took / _POLLING_SHARE)

    def _is_readable(self, file: TrackedFile) -> bool:
        return (file.has_unread or file.must_check) and file not in self._unreadable

    def _submit_some(self) -> bool:
        """Submit at most one batch of each stream; return whether there was any."""
        submitted = False
        for stream, turns in self._turns.items():
            if self._schedule.has_room(stream):
                batch = self._fill_batch(stream, turns)
                if batch.byte_ranges:
                    self._schedule.submit(batch)
                    submitted = True
        return submitted

    def _fill_batch(self, stream: str, turns: deque[TrackedFile]) -> Batch:
        batch = Batch(stream=stream)
        for _ in range(len(turns)):
            if self._tail.is_full(batch):
                break
            file = turns[0]
            turns.rotate(-1)
            if self._is_readable(file):
                turns[-1] = self._read(batch, file)
        return batch

    def _read(self, batch: Batch, file: TrackedFile) -> TrackedFile:
        """Move lines of *file* into *batch*; return the file for the next turn, the new one if it was replaced."""
        try:
            self._tail.read_into(batch, file)
        except ReplacedFileError as replaced:
            return self._discovery.restart(file, replaced.found)
        except FileNotFoundError:
            file.set_gone(True)
        except OSError as error:
            file.set_trouble(f"cannot read {file.name}: {error.strerror}")
            self._unreadable.add(file)
        else:
            file.set_trouble(None)
        return file


def _compute_digest(handle: int, length: int) -> str:
    """Return a digest of the first *length* bytes; an empty string for none."""
    return hashlib.blake2b(os.pread(handle, length, 0), digest_size=8).hexdigest() if length else ""


def _is_line_start(handle: int, offset: int) -> bool:
    return offset == 0 or os.pread(handle, 1, offset - 1) == b"\n"
