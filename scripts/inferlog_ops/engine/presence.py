"""
Whether an engine runs on a home, and where it answers.

The truth is a lock that the engine's process holds as long as it lives: the kernel lets go of it however the process
ends, so a file left by ``kill -9`` misleads nobody, nor does another process that was given the same pid.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import IO

import orjson

_ASKING_TAKES_SECONDS = 0.5


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


def publish(engine_home: Path, engine: RunningEngine) -> None:
    """Say where *engine* answers. Only the process that holds the home's lock may do this."""
    target = _published(engine_home)
    draft = target.with_suffix(".draft")
    draft.write_bytes(orjson.dumps(asdict(engine), option=orjson.OPT_APPEND_NEWLINE))
    draft.replace(target)


def withdraw(engine_home: Path) -> None:
    """Take back what was published. Only the process that holds the home's lock may do this."""
    _published(engine_home).unlink(missing_ok=True)


def published(engine_home: Path) -> RunningEngine | None:
    """Return the engine that runs and answers on *engine_home*; None if there is none, or it is still starting."""
    return _read(engine_home) if is_held(engine_home) else None


def is_held(engine_home: Path) -> bool:
    """Whether a process, starting or running, holds *engine_home*."""
    try:
        with _lock_file(engine_home).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def held(engine_home: Path) -> Generator[IO[bytes] | None]:
    """
    Hold *engine_home* while in the block; give None if another process does.

    A child that inherits the file's descriptor goes on holding it after the block.
    """
    with _lock_file(engine_home).open("ab") as lock:
        yield lock if _acquired(lock) else None


def note_holder(lock: IO[bytes], pid: int) -> None:
    """Write into the held *lock* which process goes on holding it."""
    lock.truncate(0)
    lock.write(b"%d\n" % pid)
    lock.flush()


def holder_pid(engine_home: Path) -> int | None:
    """Return the process that was last said to hold *engine_home*; tells something only while it is held."""
    content = _lock_file(engine_home).read_bytes()
    return int(content) if content else None


def keep_holding(descriptor: int) -> None:
    """Keep an inherited lock for this process alone, and not for what it may start."""
    os.set_inheritable(descriptor, False)


def _acquired(lock: IO[bytes]) -> bool:
    # Whoever asks whether the home is held takes the lock for a moment.
    deadline = monotonic() + _ASKING_TAKES_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() >= deadline:
                return False
            sleep(0.02)
        else:
            return True


def _read(engine_home: Path) -> RunningEngine | None:
    try:
        content = orjson.loads(_published(engine_home).read_bytes())
    except FileNotFoundError:
        return None
    started = datetime.fromisoformat(content.pop("started")).astimezone(UTC)
    return RunningEngine(**content, started=started)


def _published(engine_home: Path) -> Path:
    return engine_home / "engine.json"


def _lock_file(engine_home: Path) -> Path:
    return engine_home / "engine.lock"
