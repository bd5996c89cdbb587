"""File operations that several commands share: exclusive locks, atomic replacement, bounded reads of JSON."""

import fcntl
import os
import stat
from pathlib import Path
from typing import IO, Any

import orjson

from inferlog_ops.core.errors import OperatorError

NOT_LOGS = "lost+found"
"""Folder at the top of a file system for its checks, which only its administrator can read."""

_MAX_JSON_BYTES = 16 * 1024 * 1024
_MAX_JSON_DEPTH = 64  # consumers recurse, with a few calls per level


def try_lock(file: IO[Any] | int, *, shared: bool = False) -> bool:
    """
    Lock an open file without waiting; return False if another process holds it.

    The kernel releases the lock when the file is closed, also by the end of the process.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_for_lock(file: IO[Any] | int) -> None:
    """Lock an open file exclusively, after any other process has released it."""
    fcntl.flock(file, fcntl.LOCK_EX)


def replace_file(path: Path, content: bytes, *, durable: bool, mode: int | None = None) -> None:
    """
    Replace *path* atomically, so that a reader sees either the old content or the new one.

    Args:
        path: The file to replace.
        content: The whole new content.
        durable: Wait for the disk, so that the file is complete after a power failure too.
        mode: Permissions. With None the umask decides; otherwise the draft is private until it is complete.
    """
    draft = path.with_name(f".{path.name}.new")
    # In a shared directory the name may be a symlink: it is removed, and its target stays unchanged.
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666 if mode is None else 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if mode is not None:
            os.fchmod(descriptor, mode)
        if durable:
            os.fsync(descriptor)
    draft.replace(path)


def read_json(path: Path, what: str, *, exit_code: int = 1) -> Any:
    """
    Return the JSON value in *path*, which a user may have written.

    Args:
        path: A regular file of at most 16 MiB. A pipe or a device, which might never end, is rejected.
        what: The file's name in messages.
        exit_code: Of the error.

    Raises:
        OperatorError: If the file is not readable, not valid JSON, or nested too deeply.
    """
    try:
        content = _read_bounded(path)
    except OSError as error:
        raise OperatorError(f"{what} cannot be read: {error.strerror}", exit_code=exit_code) from error
    if content is None:
        raise OperatorError(
            f"{what} is not a regular file of at most {_MAX_JSON_BYTES // 1024**2} MiB; expected a JSON file",
            exit_code=exit_code,
        )
    try:
        value = orjson.loads(content)
    except ValueError as error:
        raise OperatorError(f"{what} is not valid JSON: {error}", exit_code=exit_code) from error
    if not _is_shallow(value):
        raise OperatorError(
            f"{what} is nested deeper than {_MAX_JSON_DEPTH} levels; expected fewer", exit_code=exit_code
        )
    return value


def _read_bounded(path: Path) -> bytes | None:
    """Return the content of *path*; None if it is not a regular file or too large."""
    # Without O_NONBLOCK, opening a pipe would wait forever for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        return file.read() if stat.S_ISREG(status.st_mode) and status.st_size <= _MAX_JSON_BYTES else None


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_JSON_DEPTH + 1):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return True
    return False
