"""Failing ``flock()`` in this process. Python imports ``sitecustomize`` at its start."""

import errno
import fcntl
import os


def _refuse_lock(_file: object, _operation: int) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


fcntl.flock = _refuse_lock
