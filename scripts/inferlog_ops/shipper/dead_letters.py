"""The dead letter file: lines that no store will ever take, each with its reason, none twice."""

import hashlib
import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from inferlog_ops.shipper.lines import RefusedLine


class DeadLetters:
    """
    Appends refused lines, as JSON, a line each. Safe to use from several threads.

    A letter that a crash cut in half is removed at the start: its line has not been passed by any position, so it
    comes again.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._written: set[bytes] = set()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._size = self._load(path)

    def close(self) -> None:
        """Close the file; whoever still wants to write is refused."""
        with self._lock:
            os.close(self._file)
            self._file = -1

    def write(self, refused: Sequence[RefusedLine]) -> None:
        """
        Put *refused* on the disk, but for those that stand there since before a crash; return when they are safe.

        Raises:
            OSError: If the disk does not take them. Then none of them is in the file.
        """
        with self._lock:
            letters = {key: letter for letter in map(_letter, refused) if (key := _key(letter)) not in self._written}
            if not letters:
                return
            content = b"".join(orjson.dumps(letter, option=orjson.OPT_APPEND_NEWLINE) for letter in letters.values())
            try:
                self._append(content)
            except OSError:
                os.ftruncate(self._file, self._size)
                raise
            self._size += len(content)
            self._written |= letters.keys()

    def _append(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)

    def _load(self, path: Path) -> int:
        """Remember what is in the file; return its size without a letter that was cut in half."""
        size = 0
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    os.ftruncate(self._file, size)
                    break
                size += len(line)
                try:
                    self._written.add(_key(orjson.loads(line)))
                except (ValueError, KeyError, TypeError):
                    continue  # not written by a shipper
        return size


def _letter(refused: RefusedLine) -> dict[str, Any]:
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "stream": refused.file.stream,
        "file": refused.file.name,
        "offset": refused.offset,
        "reason": refused.reason,
        "line_bytes": refused.length,
        "line": refused.text.decode(errors="backslashreplace"),
    }


def _key(letter: dict[str, Any]) -> bytes:
    """Return what tells one letter from another. The line belongs to it: another file may take a name again."""
    place = f"{letter['file']}\0{letter['offset']}\0{letter['line']}"
    return hashlib.blake2b(place.encode(), digest_size=16).digest()
