"""
Files with secrets: private, replaced atomically and durable.

A process that is killed at any moment leaves either the old file or the new one. It may also leave a draft, which the
next write removes.
"""

import os
import secrets
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.files import replace_file, wait_for_lock

PRIVATE = 0o600
_ALPHABET = string.ascii_letters + string.digits
_LETTERS = 32
"""190 bits. Letters and digits only, so that YAML, URLs and shells need no quoting."""


def create_secret() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LETTERS))


def create(path: Path, content: bytes, mode: int = PRIVATE) -> bool:
    """
    Write *content* to *path* unless the file exists; return whether it was written.

    An existing file keeps its content and gets *mode*.

    Raises:
        OperatorError: If the folder is not writable.
    """
    with _translate_os_errors(path), _lock_folder(path.parent) as folder:
        if path.exists():
            if path.stat().st_mode & 0o7777 != mode:
                path.chmod(mode)
            return False
        replace_file(path, content, durable=True, mode=mode)
        os.fsync(folder)
        return True


def replace(path: Path, content: bytes, mode: int = PRIVATE) -> bool:
    """
    Write *content* to *path* unless it is already there; return whether it was written.

    Raises:
        OperatorError: If the folder is not writable.
    """
    with _translate_os_errors(path), _lock_folder(path.parent) as folder:
        if path.exists() and path.read_bytes() == content and path.stat().st_mode & 0o7777 == mode:
            return False
        replace_file(path, content, durable=True, mode=mode)
        os.fsync(folder)
        return True


def read(path: Path) -> str:
    """
    Return the secret in *path*.

    Raises:
        OperatorError: If the file is missing or empty.
    """
    try:
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not ASCII text"
        raise OperatorError(
            f"{path} cannot be read: {reason}; with docker compose, create it with: docker compose run --rm prepare"
        ) from None
    if not secret:
        raise OperatorError(f"{path} is empty; delete it, then run: docker compose run --rm prepare")
    return secret


def make_folder(path: Path, mode: int) -> bool:
    """
    Create the folder *path* unless it exists, and set its *mode*; return whether anything changed.

    Raises:
        OperatorError: If the system rejects that.
    """
    with _translate_os_errors(path):
        made = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        if path.stat().st_mode & 0o7777 == mode:
            return made
        path.chmod(mode)
        return True


@contextmanager
def _lock_folder(folder: Path) -> Iterator[int]:
    """Hold the lock on *folder*, so that one set-up at a time writes to it; yield its descriptor."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        wait_for_lock(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _translate_os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OperatorError(
            f"{error.filename or path} cannot be written: {error.strerror}; "
            f"is the volume mounted, and is user {os.getuid()} its owner, as in a new volume?"
        ) from error
