"""
The files that dead letters lie in: the shipper's ``dead_letters.jsonl``, Fluentd's ``inferlog.<stream>.<date>.log``.

Whoever writes them may go on meanwhile: a file is moved to a name of its own first, and what comes later begins a new
one. What has to stay is found there by the next run; what is done goes into the folder ``redriven`` beside it.
"""

import errno
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import STREAMS
from inferlog_ops.ship.redrive.letter import Letter, fluentd_letter, shipper_letter

_NAME = re.compile(
    rf"(?P<source>dead_letters|inferlog\.(?P<stream>{'|'.join(STREAMS)})\.\d{{8}})"
    r"(?P<taken>\.redrive-\w+)?(?P<ending>\.jsonl|\.log)"
)
_DONE_FOLDER = "redriven"
_WRITER_SECONDS = 10.0
_SECONDS_BETWEEN_LOOKS = 0.05


@dataclass(frozen=True, slots=True)
class LetterFile:
    """One file of dead letters."""

    path: Path

    @property
    def name(self) -> str:
        """What it is called in answers."""
        return str(self.path)

    def letters(self) -> Iterator[Letter]:
        """Yield what is in it, and change nothing."""
        with self.path.open("rb") as file:
            yield from _letters(file, self.path)

    @contextmanager
    def taken(self) -> Iterator["TakenFile"]:
        """
        Give the file to the block, which says of each letter what is to become of it. If it fails, all of them stay.

        Raises:
            OperatorError: If another redrive works with it, or somebody keeps it open to write.
        """
        name = _named(self.path)
        path = self.path if name["taken"] else _moved(self.path, name)
        rest, done = (
            path.with_name(f"{path.name}.part"),
            path.parent / _DONE_FOLDER / f"{name['source']}{name['ending']}",
        )
        with path.open("rb") as file:
            _hold(file, path)
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
            finally:
                rest.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A file of dead letters that nobody else works with."""

    path: Path
    _file: BinaryIO
    _kept: BinaryIO
    _done: BinaryIO

    def letters(self) -> Iterator[Letter]:
        """Yield what is in it."""
        yield from _letters(self._file, self.path)

    def settle(self, letter: Letter, *, done: bool) -> None:
        """Put *letter* aside if it is *done*, or keep it for the next run."""
        (self._done if done else self._kept).write(letter.raw + b"\n")


def find(places: Iterable[Path]) -> list[LetterFile]:
    """
    Return the files with dead letters in *places*, each a folder or a file.

    Raises:
        OperatorError: If a place is not there, or is a file that is not named as those who write dead letters do.
    """
    found: list[LetterFile] = []
    for place in places:
        if place.is_dir():
            found += [LetterFile(path) for path in sorted(place.iterdir()) if _holds_letters(path)]
        else:
            _named(place)
            if not place.exists():
                raise OperatorError(f"there is no {place}: give the folder or the file with the dead letters")
            found.append(LetterFile(place))
    return found


def _named(path: Path) -> re.Match[str]:
    name = _NAME.fullmatch(path.name)
    if name is None:
        raise OperatorError(
            f"{path} is not named as dead letters are: dead_letters.jsonl (inferlog ship) or "
            "inferlog.<stream>.<date>.log (Fluentd); the name says how to read it"
        )
    return name


def _holds_letters(path: Path) -> bool:
    return bool(_NAME.fullmatch(path.name)) and path.is_file() and path.stat().st_size > 0


def _letters(file: BinaryIO, path: Path) -> Iterator[Letter]:
    stream = _named(path)["stream"]
    for line in file:
        raw = line.rstrip(b"\r\n")
        if raw:
            yield shipper_letter(raw) if stream is None else fluentd_letter(raw, stream)


def _moved(path: Path, name: re.Match[str]) -> Path:
    """Give the file a name that nobody writes to, and return it when nobody writes to it any more."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    moved = path.with_name(f"{name['source']}.redrive-{stamp}{name['ending']}")
    try:
        path.rename(moved)
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be moved to {moved.name} ({error.strerror}): may this user write there?"
        ) from error
    with moved.open("rb") as file:
        _wait_until_nobody_writes(file, moved)
    return moved


def _wait_until_nobody_writes(file: BinaryIO, path: Path) -> None:
    """Return when no process has *file* open to write. Fluentd opens it for a moment, once a second."""
    deadline = time.monotonic() + _WRITER_SECONDS
    while True:
        try:
            # Is given only while nobody has it open to write, by whatever name.
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                return  # a file system, or a user, that cannot ask
            if time.monotonic() >= deadline:
                raise OperatorError(
                    f"{path} is still open to write in another process: end that one, then run this again"
                ) from error
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        else:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            return


def _hold(file: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OperatorError(f"another inferlog redrive works with {path}: wait for its end") from None
