"""The shipper's own directory: one shipper at a time, known by an id that stays."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.ship.positions import replace_file


@dataclass(frozen=True, slots=True)
class StateDir:
    """A state directory that this process holds. *shipper_id* is the same at every start."""

    path: Path
    shipper_id: str

    @property
    def positions(self) -> Path:
        """Up to where each file is answered."""
        return self.path / "positions.json"

    @property
    def dead_letters(self) -> Path:
        """The lines that were refused for good, each with its reason."""
        return self.path / "dead_letters.jsonl"


@contextmanager
def held(path: Path) -> Iterator[StateDir]:
    """
    Hold the state directory *path*, made if it is missing, for as long as the block runs.

    Raises:
        OperatorError: If another shipper holds it, it cannot be written to, or its file system has no locks.
    """
    with usable(path):
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        with usable(path):
            _take(lock, path)
            state = StateDir(path, _shipper_id(path / "id"))
        yield state
    finally:
        os.close(lock)


@contextmanager
def usable(path: Path) -> Iterator[None]:
    """
    Say what is wrong with the state directory *path* when something in it cannot be read or written.

    Raises:
        OperatorError: For any `OSError` in the block.
    """
    try:
        yield
    except OSError as error:
        raise OperatorError(
            f"the state directory {path} cannot be used ({error.filename or path}: {error.strerror}): "
            "make it readable and writable for this user, or give another --state"
        ) from error


def _take(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        raise OperatorError(
            f"another shipper (pid {owner}) works with {path}: stop it, or give this one another --state"
        ) from None
    except OSError as error:
        raise OperatorError(
            f"the state directory {path} is on a file system without locks ({error.strerror}), which keep two shippers "
            "from sending the same lines: give a --state on a local disk"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _shipper_id(path: Path) -> str:
    known = path.read_text(errors="replace").strip() if path.exists() else ""
    if known.isalnum():
        return known
    made = uuid.uuid4().hex
    replace_file(path, f"{made}\n".encode(), durable=True)
    return made
