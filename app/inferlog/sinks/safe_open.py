"""Safe reads from a shared directory: rejects symlinks, FIFOs and devices."""

import errno
import os
import stat
from pathlib import Path

_MOST_BYTES = 64 * 1024 * 1024


def open_file(path: Path) -> int:
    """
    Open *path* for reading, and return its descriptor.

    Raises:
        OSError: If it cannot be opened, or is not a regular file.
    """
    # Without O_NONBLOCK, opening a FIFO blocks forever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def read_file(path: Path) -> bytes:
    """
    Return the content of *path*.

    Raises:
        OSError: If it cannot be opened, is not a regular file, or is larger than 64 MiB.
    """
    with os.fdopen(open_file(path), "rb") as file:
        if os.fstat(file.fileno()).st_size > _MOST_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        return file.read()
