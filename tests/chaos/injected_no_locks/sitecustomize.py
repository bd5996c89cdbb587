"""Makes ``flock()`` fail in this process: Python runs this at its start where it finds it."""

import errno
import fcntl
import os


def _flock(_file: object, _operation: int) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


fcntl.flock = _flock
