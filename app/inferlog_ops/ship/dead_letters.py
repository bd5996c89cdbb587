"""The dead letter file: permanently refused lines, each once and with its reason."""

import errno
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from inferlog_ops.ship.batch import RefusedLine


class DeadLetters:
    """
    Appends refused lines as JSON lines. Thread-safe.

    The file is open only during a write: ``inferlog redrive`` may move it away in between.

    A letter that a crash truncated is removed at the start. Its line is not acknowledged, so it is read again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._written: set[bytes] = set()
        self._closed = False
        self._load()

    def close(self) -> None:
        """Reject all further writes."""
        with self._lock:
            self._closed = True

    def write(self, refused: Sequence[RefusedLine]) -> None:
        """
        Append *refused* and fsync. Lines that were written before a crash are skipped.

        Raises:
            OSError: If the write fails. Then the file contains none of them.
        """
        with self._lock:
            letters = {
                key: letter
                for letter in map(_build_letter, refused)
                if (key := _compute_key(letter)) not in self._written
            }
            if not letters:
                return
            content = b"".join(orjson.dumps(letter, option=orjson.OPT_APPEND_NEWLINE) for letter in letters.values())
            with self._open() as file:
                size = os.fstat(file).st_size
                try:
                    _append(file, content)
                except OSError:
                    os.ftruncate(file, size)
                    raise
            self._written |= letters.keys()

    @contextmanager
    def _open(self) -> Iterator[int]:
        if self._closed:
            raise OSError(errno.EBADF, "closed", str(self._path))
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            yield file
        finally:
            os.close(file)

    def _load(self) -> None:
        """Load the keys of existing letters, and remove a truncated last one."""
        size = 0
        with self._open() as file, open(file, "rb", closefd=False) as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    os.ftruncate(file, size)
                    break
                size += len(line)
                try:
                    self._written.add(_compute_key(orjson.loads(line)))
                except (ValueError, KeyError, TypeError):
                    continue  # written by another program


def _append(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
    os.fsync(file)


def _build_letter(refused: RefusedLine) -> dict[str, Any]:
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "stream": refused.file.stream,
        "file": refused.file.name,
        "offset": refused.offset,
        "reason": refused.reason,
        "line_bytes": refused.length,
        "line": refused.text.decode(errors="backslashreplace"),
    }


def _compute_key(letter: dict[str, Any]) -> bytes:
    """Return the identity of a letter. It includes the line, since another file may reuse the name."""
    place = f"{letter['file']}\0{letter['offset']}\0{letter['line']}"
    return hashlib.blake2b(place.encode(), digest_size=16).digest()
