"""
Small files that must never be half there, seen by others, or lost: written beside, then renamed.

A process that is killed at any moment leaves the file as it was or as it should be. What else it leaves, a draft that
nobody reads, is gone with the next write.
"""

import fcntl
import os
import secrets
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inferlog_ops.core.errors import OperatorError

PRIVATE = 0o600
_ALPHABET = string.ascii_letters + string.digits
_LETTERS = 32
"""190 bits. Letters and digits only, so that it can stand in YAML, in an address and in a shell as it is."""


def new_secret() -> str:
    """Return a random secret that nobody can guess."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LETTERS))


def create(path: Path, content: bytes, mode: int = PRIVATE) -> bool:
    """
    Write *content* to *path* if there is nothing yet; return whether it was written.

    A file that is there keeps its content whatever it is, and gets *mode*.

    Raises:
        OperatorError: If the folder cannot be written to.
    """
    with _mended(path), _alone_in(path.parent):
        if path.exists():
            if path.stat().st_mode & 0o7777 != mode:
                path.chmod(mode)
            return False
        _put(path, content, mode)
        return True


def replace(path: Path, content: bytes, mode: int = PRIVATE) -> bool:
    """
    Make *path* hold *content*; return whether it did not before.

    Raises:
        OperatorError: If the folder cannot be written to.
    """
    with _mended(path), _alone_in(path.parent):
        if path.exists() and path.read_bytes() == content and path.stat().st_mode & 0o7777 == mode:
            return False
        _put(path, content, mode)
        return True


def read(path: Path) -> str:
    """
    Return the secret in *path*.

    Raises:
        OperatorError: If there is none.
    """
    try:
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise OperatorError(f"{path} cannot be read: {reason}; make it with: docker compose run --rm prepare") from None
    if not secret:
        raise OperatorError(f"{path} is empty; delete it, then run: docker compose run --rm prepare")
    return secret


def make_folder(path: Path, mode: int) -> bool:
    """
    Make the folder *path* if it is not there, and give it *mode*; return whether anything was done.

    Raises:
        OperatorError: If that is not allowed.
    """
    with _mended(path):
        made = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        if path.stat().st_mode & 0o7777 == mode:
            return made
        path.chmod(mode)
        return True


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other set-up writes into *folder*."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _put(path: Path, content: bytes, mode: int) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor, opened for nobody else to read)
        file.write(content)
        file.flush()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _mended(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OperatorError(
            f"{error.filename or path} cannot be written: {error.strerror}; "
            f"is the volume mounted, and does it belong to user {os.getuid()}, as a new one does?"
        ) from error
