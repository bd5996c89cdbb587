"""
Files of dead letters: the shipper's ``dead_letters.jsonl``, Fluentd's ``inferlog.<stream>.<date>.log``.

The shipper and Fluentd may keep running: a file is first renamed, and later letters begin a new one. Stored letters go
into the subdirectory ``redriven``; the remaining ones stay in the renamed file for the next run.
"""

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from inferlog.sinks.file import DISK_FULL
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.files import try_lock
from inferlog_ops.core.streams import STREAMS
from inferlog_ops.core.wait import poll
from inferlog_ops.ship.redrive.letter import Letter, parse_fluentd_letter, parse_shipper_letter

_NAME = re.compile(
    rf"(?P<source>dead_letters|inferlog\.(?P<stream>{'|'.join(STREAMS)})\.\d{{8}})"
    r"(?P<taken>\.redrive-\w+)?(?P<ending>\.jsonl|\.log)"
)
_DONE_FOLDER = "redriven"
_WRITER_SECONDS = 10.0
_SECONDS_BETWEEN_POLLS = 0.05


@dataclass(frozen=True, slots=True)
class LetterFile:
    """One file of dead letters."""

    path: Path

    @property
    def name(self) -> str:
        """Name in output."""
        return str(self.path)

    def read_letters(self) -> Iterator[Letter]:
        """Yield the letters without changing the file."""
        with self.path.open("rb") as file:
            yield from _read_letters(file, self.path)

    @contextmanager
    def take(self) -> Iterator["TakenFile"]:
        """
        Yield the file to the block, which puts each letter aside or keeps it. If the block fails, all letters stay.

        Raises:
            OperatorError: If another redrive uses the file, another process keeps it open for writing, or the disk is
                full.
        """
        name = _parse_name(self.path)
        path = self.path if name["taken"] else _move_away(self.path, name)
        rest = path.with_name(f"{path.name}.part")
        done = path.parent / _DONE_FOLDER / f"{name['source']}{name['ending']}"
        with path.open("rb") as file:
            _lock(file, path)
            done.parent.mkdir(exist_ok=True)
            try:
                with rest.open("wb") as kept, done.open("ab") as finished:
                    yield TakenFile(path, file, kept, finished)
                    for each in (kept, finished):
                        each.flush()
                        os.fsync(each.fileno())
                if rest.stat().st_size:
                    shutil.copymode(path, rest)
                    rest.replace(path)
                else:
                    path.unlink()
            except OSError as error:
                if error.errno not in DISK_FULL:
                    raise
                raise OperatorError(
                    f"{path.parent} is on a full disk ({error.strerror}); all letters stay in {path.name}: "
                    "free some space, then run this again"
                ) from error
            finally:
                rest.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A file of dead letters in exclusive use."""

    path: Path
    _file: BinaryIO
    _kept: BinaryIO
    _done: BinaryIO

    def read_letters(self) -> Iterator[Letter]:
        yield from _read_letters(self._file, self.path)

    def put(self, letter: Letter, *, done: bool) -> None:
        """Move *letter* to ``redriven`` if it is *done*, or keep it for the next run."""
        (self._done if done else self._kept).write(letter.raw + b"\n")


def find_letter_files(places: Iterable[Path]) -> list[LetterFile]:
    """
    Return the files with dead letters in *places*, each a directory or a file.

    Raises:
        OperatorError: If a place is missing, or is a file without the name of a dead letter file.
    """
    found: list[LetterFile] = []
    for place in places:
        if place.is_dir():
            found += [LetterFile(path) for path in sorted(place.iterdir()) if _has_letters(path)]
        else:
            _parse_name(place)
            if not place.exists():
                raise OperatorError(f"{place} does not exist: give the folder or the file with the dead letters")
            found.append(LetterFile(place))
    return found


def _parse_name(path: Path) -> re.Match[str]:
    name = _NAME.fullmatch(path.name)
    if name is None:
        raise OperatorError(
            f"{path} does not have the name of a dead letter file: expected dead_letters.jsonl (inferlog ship) or "
            "inferlog.<stream>.<date>.log (Fluentd)"
        )
    return name


def _has_letters(path: Path) -> bool:
    return bool(_NAME.fullmatch(path.name)) and path.is_file() and path.stat().st_size > 0


def _read_letters(file: BinaryIO, path: Path) -> Iterator[Letter]:
    stream = _parse_name(path)["stream"]
    for line in file:
        raw = line.rstrip(b"\r\n")
        if raw:
            yield parse_shipper_letter(raw) if stream is None else parse_fluentd_letter(raw, stream)


def _move_away(path: Path, name: re.Match[str]) -> Path:
    """Rename the file, wait until no process writes to it, and return its new path."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    moved = path.with_name(f"{name['source']}.redrive-{stamp}{name['ending']}")
    try:
        path.rename(moved)
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be moved to {moved.name} ({error.strerror}): check that this user may write there"
        ) from error
    with moved.open("rb") as file:
        _wait_for_writers(file, moved)
    return moved


def _wait_for_writers(file: BinaryIO, path: Path) -> None:
    """Return when no process has *file* open for writing. Fluentd opens it briefly once a second."""
    for _ in poll(timeout_seconds=_WRITER_SECONDS, interval_seconds=_SECONDS_BETWEEN_POLLS):
        try:
            # The lease is granted only while no process has the file open for writing, under any name.
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                return  # the file system or the user does not support leases
        else:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            return
    raise OperatorError(f"{path} is still open for writing in another process: end that process, then run this again")


def _lock(file: BinaryIO, path: Path) -> None:
    if not try_lock(file):
        raise OperatorError(f"another inferlog redrive uses {path}: wait for its end")
