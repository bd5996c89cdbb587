"""Reading in a folder that others can write to: no link is followed, no pipe is waited for, no device read."""

import errno
import os
import stat
from pathlib import Path

_MOST_BYTES = 64 * 1024 * 1024


def open_file(path: Path) -> int:
    """
    Open *path* to read, and return its descriptor.

    Raises:
        OSError: If it cannot be opened, or is no regular file.
    """
    # A pipe would be waited for, for ever, without O_NONBLOCK.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no regular file", str(path))
    return descriptor


def read_file(path: Path) -> bytes:
    """
    Return what is in *path*.

    Raises:
        OSError: If it cannot be opened, is no regular file, or larger than anything that is meant to be read whole.
    """
    with os.fdopen(open_file(path), "rb") as file:
        if os.fstat(file.fileno()).st_size > _MOST_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        return file.read()
