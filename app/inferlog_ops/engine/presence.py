"""
Detection of a running engine: a lock on its home, and a file with its address.

The lock is authoritative. The kernel releases it however the engine's process ends, so neither a file left after
``kill -9`` nor a reused pid is mistaken for a running engine.
"""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import orjson

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.files import replace_file, try_lock
from inferlog_ops.core.wait import poll

_PROBE_TIMEOUT_SECONDS = 0.5
_SECONDS_BETWEEN_POLLS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningEngine:
    """
    A running engine that answers requests.

    Attributes:
        url: ``http://127.0.0.1:port``.
        pid: Process id.
        version: Elasticsearch version.
        started: Time when it was ready; timezone-aware.
    """

    url: str
    pid: int
    version: str
    started: datetime


def is_held(engine_home: Path) -> bool:
    """
    Return whether an engine holds *engine_home*: starting, running or stopping.

    Raises:
        OperatorError: If the home belongs to another user.
    """
    try:
        with _find_lock_file(engine_home).open("rb") as lock:
            return not try_lock(lock, shared=True)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError as error:
        raise _make_foreign_home_error(engine_home) from error


def find_running(engine_home: Path) -> RunningEngine | None:
    """Return the running engine of *engine_home*; None if there is none or it is starting or stopping."""
    if not is_held(engine_home):
        return None
    try:
        content = orjson.loads(_find_published_file(engine_home).read_bytes())
    except FileNotFoundError:
        return None
    if content["pid"] != read_holder_pid(engine_home):
        return None  # left by a killed engine while another one is starting
    return RunningEngine(**{**content, "started": datetime.fromisoformat(content["started"])})


def read_holder_pid(engine_home: Path) -> int | None:
    """Return the pid of the engine that holds *engine_home*; None if it has not been spawned yet."""
    content = _find_lock_file(engine_home).read_bytes()
    return int(content) if content else None


@contextmanager
def hold(engine_home: Path) -> Generator[int | None]:
    """
    Lock *engine_home* for the block; yield the lock's descriptor, or None if another process holds the home.

    A child that inherits the descriptor keeps the lock after the block.

    Raises:
        OperatorError: If the home belongs to another user.
    """
    try:
        descriptor = os.open(_find_lock_file(engine_home), os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError as error:
        raise _make_foreign_home_error(engine_home) from error
    try:
        if _acquire(descriptor):
            os.ftruncate(descriptor, 0)
            yield descriptor
        else:
            yield None
    finally:
        os.close(descriptor)


def note_holder(descriptor: int, pid: int) -> None:
    """Write the pid of the process that keeps the lock into the lock file."""
    os.pwrite(descriptor, b"%d\n" % pid, 0)


def keep_holding(descriptor: int) -> None:
    """Make an inherited lock non-inheritable, so that children of this process do not hold it."""
    os.set_inheritable(descriptor, False)


def publish(engine_home: Path, engine: RunningEngine) -> None:
    """Write the address file of *engine*. Only for the process that holds the home."""
    content = orjson.dumps(asdict(engine), option=orjson.OPT_APPEND_NEWLINE)
    replace_file(_find_published_file(engine_home), content, durable=False)


def withdraw(engine_home: Path) -> None:
    """Delete the address file of this process or of a dead one. Only for the process that holds the home."""
    _find_published_file(engine_home).unlink(missing_ok=True)


def _acquire(descriptor: int) -> bool:
    # `is_held` in another process takes the lock for a moment.
    polls = poll(timeout_seconds=_PROBE_TIMEOUT_SECONDS, interval_seconds=_SECONDS_BETWEEN_POLLS)
    return any(try_lock(descriptor) for _ in polls)


def _make_foreign_home_error(engine_home: Path) -> OperatorError:
    return OperatorError(
        f"{_find_lock_file(engine_home)}: {os.strerror(errno.EACCES)}; "
        "this home belongs to another user: choose another one with --home"
    )


def _find_published_file(engine_home: Path) -> Path:
    return engine_home / "engine.json"


def _find_lock_file(engine_home: Path) -> Path:
    return engine_home / "engine.lock"
