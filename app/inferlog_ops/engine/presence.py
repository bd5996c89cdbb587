"""
Whether an engine runs on a home, and where it answers.

The truth is a lock that the engine's process holds as long as it lives: the kernel lets go of it however the process
ends, so a file left by ``kill -9`` misleads nobody, nor does another process that was given the same pid.
"""

import errno
import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep

import orjson

from inferlog_ops.core.errors import OperatorError

_LOOKING_TAKES_SECONDS = 0.5
_SECONDS_BETWEEN_TRIES = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningEngine:
    """
    An engine that answers.

    Attributes:
        url: ``http://127.0.0.1:port``.
        pid: Of its process.
        version: Of Elasticsearch.
        started: When it was ready; timezone-aware.
    """

    url: str
    pid: int
    version: str
    started: datetime


def is_held(engine_home: Path) -> bool:
    """
    Return whether an engine, starting, running or stopping, holds *engine_home*.

    Raises:
        OperatorError: If the home belongs to another user.
    """
    try:
        with _lock_file(engine_home).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True
    except PermissionError as error:
        raise _foreign(engine_home) from error
    return False


def published(engine_home: Path) -> RunningEngine | None:
    """Return the engine that answers on *engine_home*; None if there is none, or it is starting or stopping."""
    if not is_held(engine_home):
        return None
    try:
        content = orjson.loads(_published_file(engine_home).read_bytes())
    except FileNotFoundError:
        return None
    if content["pid"] != holder_pid(engine_home):
        return None  # left by a killed engine, and another one is about to start
    return RunningEngine(**{**content, "started": datetime.fromisoformat(content["started"])})


def holder_pid(engine_home: Path) -> int | None:
    """Return the engine process that holds *engine_home*; None if a command is still about to start it."""
    content = _lock_file(engine_home).read_bytes()
    return int(content) if content else None


@contextmanager
def held(engine_home: Path) -> Generator[int | None]:
    """
    Hold *engine_home* while in the block; give the lock's descriptor, or None if another process holds the home.

    A child that inherits the descriptor goes on holding it after the block.

    Raises:
        OperatorError: If the home belongs to another user.
    """
    try:
        descriptor = os.open(_lock_file(engine_home), os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError as error:
        raise _foreign(engine_home) from error
    try:
        if _acquired(descriptor):
            os.ftruncate(descriptor, 0)
            yield descriptor
        else:
            yield None
    finally:
        os.close(descriptor)


def note_holder(descriptor: int, pid: int) -> None:
    """Write into the held lock which process goes on holding it."""
    os.pwrite(descriptor, b"%d\n" % pid, 0)


def keep_holding(descriptor: int) -> None:
    """Keep an inherited lock for this process alone, and not for what it may start."""
    os.set_inheritable(descriptor, False)


def publish(engine_home: Path, engine: RunningEngine) -> None:
    """Say where *engine* answers. Only the process that holds the home may do this."""
    draft = engine_home / "engine.json.draft"
    draft.write_bytes(orjson.dumps(asdict(engine), option=orjson.OPT_APPEND_NEWLINE))
    draft.replace(_published_file(engine_home))


def withdraw(engine_home: Path) -> None:
    """Take back what was published, by this process or a dead one. Only who holds the home may do this."""
    _published_file(engine_home).unlink(missing_ok=True)


def _acquired(descriptor: int) -> bool:
    # Whoever looks whether the home is held takes the lock for a moment.
    deadline = monotonic() + _LOOKING_TAKES_SECONDS
    while monotonic() < deadline:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sleep(_SECONDS_BETWEEN_TRIES)
        else:
            return True
    return False


def _foreign(engine_home: Path) -> OperatorError:
    return OperatorError(
        f"{_lock_file(engine_home)}: {os.strerror(errno.EACCES)}; this home is another user's: choose one with --home"
    )


def _published_file(engine_home: Path) -> Path:
    return engine_home / "engine.json"


def _lock_file(engine_home: Path) -> Path:
    return engine_home / "engine.lock"
