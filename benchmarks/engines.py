"""A real, embedded Elasticsearch for a benchmark."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from elasticsearch import Elasticsearch

from benchmarks.command import tell
from inferlog_ops.core.home import Home
from inferlog_ops.engine import control, presence


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """
    An Elasticsearch that answers.

    Attributes:
        url: Where.
        pid: Its process; 0 if it is not known.
    """

    url: str
    pid: int = 0

    def cpu_seconds(self) -> float:
        """Return its processor time so far; 0 if its process is not known."""
        if not self.pid:
            return 0.0
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system


@contextmanager
def engine(*, url: str | None = None, home: Path | None = None) -> Iterator[Engine]:
    """Give the one at *url*; else that of *home*, which is kept, or of a directory that is deleted afterwards."""
    if url:
        yield Engine(url=url)
        return
    with home_for(home) as place, engine_of(place) as answering:
        yield answering


@contextmanager
def engine_of(home: Home) -> Iterator[Engine]:
    """Give the engine that runs in *home*, and leave it as it is; if there is none, start one and end it afterwards."""
    running = presence.published(home.engine)
    if running is not None:
        tell(f"using the engine that runs in {home.root}")
        yield Engine(url=running.url, pid=running.pid)
        return
    tell("starting an engine")
    started = control.start(home.engine, on_progress=tell, ends_with_us=True)
    try:
        yield Engine(url=started.url, pid=started.pid)
    finally:
        control.stop(home.engine)


@contextmanager
def home_for(path: Path | None) -> Iterator[Home]:
    """Give the home at *path*, which stays, or a new one that is gone afterwards."""
    if path is not None:
        yield Home(path)
        return
    with tempfile.TemporaryDirectory(prefix="inferlog-benchmark-") as directory:
        yield Home(Path(directory))


def wait_for_merges(client: Elasticsearch) -> None:
    """Wait until the engine has put its segments together, as it does after a burst of events."""
    while client.nodes.stats(metric="indices", index_metric="merge")["nodes"].popitem()[1]["indices"]["merges"][
        "current"
    ]:
        time.sleep(0.5)
