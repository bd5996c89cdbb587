"""The shipper's state directory, locked so that only one shipper uses it, with an id that survives restarts."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inferlog.sinks.file import DISK_FULL
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.files import replace_file, try_lock


@dataclass(frozen=True, slots=True)
class StateDir:
    """A state directory that this process has locked. *shipper_id* is the same at every start."""

    path: Path
    shipper_id: str

    @property
    def offset_file(self) -> Path:
        """The acknowledged offset of each file."""
        return self.path / "positions.json"

    @property
    def dead_letters(self) -> Path:
        """The permanently refused lines, each with its reason."""
        return self.path / "dead_letters.jsonl"


@contextmanager
def lock_state_dir(path: Path) -> Iterator[StateDir]:
    """
    Lock the state directory *path* for the duration of the block. Create it if it is missing.

    Raises:
        OperatorError: If another shipper holds the lock, the directory is not writable, or its file system does not
            support locks.
    """
    with report_unusable(path):
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        with report_unusable(path):
            _acquire(lock, path)
            state = StateDir(path, _load_or_create_id(path / "id"))
        yield state
    finally:
        os.close(lock)


@contextmanager
def report_unusable(path: Path) -> Iterator[None]:
    """
    Translate file errors in the state directory *path* into one sentence for the operator.

    Raises:
        OperatorError: For any `OSError` in the block.
    """
    try:
        yield
    except OSError as error:
        remedy = "free space on its disk" if error.errno in DISK_FULL else "make it readable and writable for this user"
        raise OperatorError(
            f"the state directory {path} cannot be used ({error.filename or path}: {error.strerror}): "
            f"{remedy}, or give another --state"
        ) from error


def _acquire(lock: int, path: Path) -> None:
    try:
        locked = try_lock(lock)
    except OSError as error:
        raise OperatorError(
            f"the state directory {path} is on a file system without locks ({error.strerror}), which prevent two "
            "shippers from sending the same lines: give a --state on a local disk"
        ) from error
    if not locked:
        owner = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        raise OperatorError(
            f"another shipper (pid {owner}) uses {path}: stop it, or give another --state for other logs or another "
            "cluster"
        )
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _load_or_create_id(path: Path) -> str:
    existing = path.read_text(errors="replace").strip() if path.exists() else ""
    if existing.isalnum():
        return existing
    created = uuid.uuid4().hex
    replace_file(path, f"{created}\n".encode(), durable=True)
    return created
