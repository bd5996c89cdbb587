"""A real, embedded Elasticsearch for a benchmark."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from command import tell
from elasticsearch import Elasticsearch

from inferlog_ops.engine import control


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """
    An Elasticsearch that answers.

    Attributes:
        url: Where.
        pid: Its process; 0 if it is none of ours.
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
    """Give the one at *url*; else start one, in *home*, which is kept, or in a directory that is deleted afterwards."""
    if url:
        yield Engine(url=url)
        return
    with tempfile.TemporaryDirectory(prefix="inferlog-benchmark-") as directory:
        place = (home or Path(directory)) / "engine"
        tell("starting an engine")
        try:
            started = control.start(place, ends_with_us=True)
            yield Engine(url=started.url, pid=started.pid)
        finally:
            control.stop(place)


def wait_for_merges(client: Elasticsearch) -> None:
    """Wait until the engine has put its segments together, as it does after a burst of events."""
    while client.nodes.stats(metric="indices", index_metric="merge")["nodes"].popitem()[1]["indices"]["merges"][
        "current"
    ]:
        time.sleep(0.5)
