"""Embedded Elasticsearch for a benchmark."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from elasticsearch import Elasticsearch

from benchmarks.command_line import log_progress
from inferlog_ops.core.home import Home
from inferlog_ops.engine import control, presence


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """
    Running Elasticsearch.

    Attributes:
        url: Its address.
        pid: Its process id; 0 if unknown.
    """

    url: str
    pid: int = 0

    def read_cpu_seconds(self) -> float:
        """Return its processor time so far; 0 if its process is unknown."""
        if not self.pid:
            return 0.0
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system


@contextmanager
def open_engine(*, url: str | None = None, home: Path | None = None) -> Iterator[Engine]:
    """Yield the engine at *url*, or of *home*, which is kept, or of a temporary home."""
    if url:
        yield Engine(url=url)
        return
    with open_home(home) as place, open_engine_of_home(place) as answering:
        yield answering


@contextmanager
def open_engine_of_home(home: Home) -> Iterator[Engine]:
    """Yield the engine that runs in *home* and leave it running, or start one and stop it afterwards."""
    running = presence.find_running(home.engine)
    if running is not None:
        log_progress(f"using the engine that runs in {home.root}")
        yield Engine(url=running.url, pid=running.pid)
        return
    log_progress("starting an engine")
    started = control.start(home.engine, report=log_progress, ends_with_us=True)
    try:
        yield Engine(url=started.url, pid=started.pid)
    finally:
        control.stop(home.engine)


@contextmanager
def open_home(path: Path | None) -> Iterator[Home]:
    """Yield the home at *path*, which is kept, or a temporary one."""
    if path is not None:
        yield Home(path)
        return
    with tempfile.TemporaryDirectory(prefix="inferlog-benchmark-") as directory:
        yield Home(Path(directory))


def wait_for_merges(client: Elasticsearch) -> None:
    """Wait until the engine has finished merging segments, as it does after a burst of events."""
    while client.nodes.stats(metric="indices", index_metric="merge")["nodes"].popitem()[1]["indices"]["merges"][
        "current"
    ]:
        time.sleep(0.5)
