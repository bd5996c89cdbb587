"""Reads the lines that a file has grown by. A file is open only while it is read."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from inferlog.sinks.safe_open import open_file
from inferlog_ops.ship.batch import Batch
from inferlog_ops.ship.clock_skew import ClockSkew
from inferlog_ops.ship.offsets import Fingerprint, OffsetTracker, TrackedFile
from inferlog_ops.ship.settings import Settings

_HEAD_BYTES = 256


class ReplacedError(Exception):
    """Another file stands under the name. *identity* is the new one's, *size* its length in bytes."""

    def __init__(self, identity: Fingerprint, size: int) -> None:
        super().__init__()
        self.identity = identity
        self.size = size


class Tail:
    """Moves lines from files into batches."""

    def __init__(self, root: Path, ledger: OffsetTracker, clock_skew: ClockSkew, settings: Settings) -> None:
        self._root = root
        self._ledger = ledger
        self._clock_skew = clock_skew
        self._settings = settings

    def read_into(self, batch: Batch, file: TrackedFile) -> None:
        """
        Fill *batch* with whole lines that *file* had at the last look. Half a line is left for another time.

        Raises:
            ReplacedError: If the file under the name is not the one that was read before.
            OSError: If it cannot be read.
        """
        with self._opened(file) as handle:
            while file.has_unread and not self.is_full(batch):
                if not self._read_chunk(handle, batch, file) and not self._read_long_line(handle, batch, file):
                    break

    def is_full(self, batch: Batch) -> bool:
        """Whether *batch* holds as much as one request should."""
        return len(batch) >= self._settings.bulk_events or batch.size_bytes >= self._settings.bulk_bytes

    @contextmanager
    def _opened(self, file: TrackedFile) -> Iterator[int]:
        # A pipe or a link may have taken the name since it was looked at.
        handle = open_file(self._root / file.name)
        try:
            self._check_identity(handle, file)
            yield handle
        finally:
            os.close(handle)

    def _check_identity(self, handle: int, file: TrackedFile) -> None:
        known, status = file.identity, os.fstat(handle)
        same = (known.device, known.inode) == (status.st_dev, status.st_ino) and status.st_size >= file.read_to
        if not same or not _ends_a_line(handle, file.read_to) or _digest(handle, known.head_bytes) != known.head_digest:
            raise ReplacedError(Fingerprint(device=status.st_dev, inode=status.st_ino), status.st_size)

    def _read_chunk(self, handle: int, batch: Batch, file: TrackedFile) -> bool:
        """Take the whole lines of one read; return False if there was none."""
        wanted = min(self._settings.read_bytes, file.size - file.read_to)
        chunk = os.pread(handle, wanted, file.read_to)
        lines = chunk.split(b"\n", self._settings.bulk_events - len(batch))
        lines.pop()  # what follows the last end of a line that was looked for
        if not lines:
            return False
        self._remember_head(handle, file, len(lines[0]))
        self._clock_skew.note(file.name, lines[-1], written_after=file.caught_up_at)
        batch.doubtful |= file.read_to < file.doubtful_to
        end = batch.add(file, file.read_to, lines, self._settings.line_bytes)
        batch.spans.append(self._ledger.claim(file, end))
        return True

    def _read_long_line(self, handle: int, batch: Batch, file: TrackedFile) -> bool:
        """Take the one line that is longer than a read; return False if its end is not there yet."""
        end = self._find_end(handle, file)
        if end is None:
            return False
        start, length, limit = file.read_to, end - file.read_to, self._settings.line_bytes
        self._remember_head(handle, file, length)
        batch.doubtful |= start < file.doubtful_to
        if length > limit:
            batch.refuse_long(file, start, os.pread(handle, self._settings.read_bytes, start), length, limit)
        else:
            batch.add(file, start, [os.pread(handle, length, start)], limit)
        batch.spans.append(self._ledger.claim(file, end + 1))
        return True

    def _find_end(self, handle: int, file: TrackedFile) -> int | None:
        """Return the place of the next end of a line. What was looked through once is not looked through again."""
        file.scanned_to = max(file.scanned_to, file.read_to)
        while file.scanned_to < file.size:
            wanted = min(self._settings.read_bytes, file.size - file.scanned_to)
            piece = os.pread(handle, wanted, file.scanned_to)
            found = piece.find(b"\n")
            if found >= 0:
                return file.scanned_to + found
            if not piece:  # shorter than it was: the next look will see it
                file.size = file.scanned_to
                break
            file.scanned_to += len(piece)
        return None

    def _remember_head(self, handle: int, file: TrackedFile, first_line_bytes: int) -> None:
        if not file.identity.head_bytes:
            length = min(_HEAD_BYTES, file.read_to + first_line_bytes + 1)
            file.identity = replace(file.identity, head_bytes=length, head_digest=_digest(handle, length))


def _digest(handle: int, length: int) -> str:
    """Return a digest of the first *length* bytes; an empty string for none."""
    return hashlib.blake2b(os.pread(handle, length, 0), digest_size=8).hexdigest() if length else ""


def _ends_a_line(handle: int, position: int) -> bool:
    return position == 0 or os.pread(handle, 1, position - 1) == b"\n"
