"""Engine of a test run, started by the first process that needs it and stopped after the last."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.home import Home
from inferlog_ops.engine import control


@contextmanager
def open_engine_of_the_run(shared: Path) -> Iterator[Home]:
    """
    Yield a running engine.

    Args:
        shared: Folder shared by all processes of this run only.
    """
    home = Home(shared / "home")
    users = shared / "users_of_the_engine"
    me = users / str(os.getpid())
    users.mkdir(exist_ok=True)
    with _lock_start(shared):
        if control.find_running_url(home.engine) is None:
            _let_it_hold_many_streams(control.start(home.engine).url)
        me.touch()
    yield home
    with _lock_start(shared):
        me.unlink()
        if not any(users.iterdir()):
            control.stop(home.engine)


def _let_it_hold_many_streams(url: str) -> None:
    """Raise the limit of a thousand shards: every test creates streams, and none deletes them."""
    with Cluster(url=url).build_client() as client:
        client.cluster.put_settings(persistent={"cluster.max_shards_per_node": 5_000})


@contextmanager
def _lock_start(shared: Path) -> Iterator[None]:
    with (shared / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
