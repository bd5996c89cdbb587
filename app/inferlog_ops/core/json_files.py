"""JSON files that a person may have written: read whole, or refused in one sentence."""

import os
import stat
from pathlib import Path
from typing import Any

import orjson

from inferlog_ops.core.errors import OperatorError

_MOST_BYTES = 16 * 1024 * 1024
# What reads the value goes down into it, a few calls for each level.
_DEEPEST = 64


def read_json(path: Path, what: str, *, exit_code: int = 1) -> Any:
    """
    Return the value in *path*: finite numbers, whole Unicode, no deeper than what goes through it can go.

    Args:
        path: A file; a pipe or a device, which might never end, is refused.
        what: The file's name in messages.
        exit_code: Of the error.

    Raises:
        OperatorError: If it cannot be read, or is no such JSON.
    """
    try:
        content = _content(path)
    except OSError as error:
        raise OperatorError(f"{what} cannot be read: {error.strerror}", exit_code=exit_code) from error
    if content is None:
        raise OperatorError(
            f"{what} is no file of at most {_MOST_BYTES // 1024**2} MiB; expected one with JSON", exit_code=exit_code
        )
    try:
        value = orjson.loads(content)
    except ValueError as error:
        raise OperatorError(f"{what} is no JSON: {error}", exit_code=exit_code) from error
    if not _is_shallow(value):
        raise OperatorError(f"{what} is nested deeper than {_DEEPEST} levels; expected fewer", exit_code=exit_code)
    return value


def _content(path: Path) -> bytes | None:
    """Return what is in *path*; None if it is no regular file, or too large."""
    # Without O_NONBLOCK a pipe would be waited for, for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        return file.read() if stat.S_ISREG(status.st_mode) and status.st_size <= _MOST_BYTES else None


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST + 1):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return True
    return False
