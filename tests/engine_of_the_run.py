"""The one engine of a run, whichever of its processes needs it first, and until none needs it any more."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inferlog_ops.engine import control
from inferlog_ops.home import Home


@contextmanager
def engine_of_the_run(shared: Path) -> Iterator[Home]:
    """
    Give the block a running engine.

    Args:
        shared: A folder that all processes of this run know, and no other run.
    """
    home = Home(shared / "home")
    users = shared / "users_of_the_engine"
    me = users / str(os.getpid())
    users.mkdir(exist_ok=True)
    with _one_at_a_time(shared):
        if control.running_url(home.engine) is None:
            control.start(home.engine)
        me.touch()
    yield home
    with _one_at_a_time(shared):
        me.unlink()
        if not any(users.iterdir()):
            control.stop(home.engine)


@contextmanager
def _one_at_a_time(shared: Path) -> Iterator[None]:
    with (shared / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
