"""Ways from log files into Elasticsearch, each in a process of its own: what one of these processes does."""

import argparse
import os
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import urllib3
from elasticsearch.helpers import streaming_bulk

from benchmarks.engines import Engine
from benchmarks.log_files import size_bytes
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.streams import stream_name
from inferlog_ops.ship.display import Display
from inferlog_ops.ship.lines import Line, bulk_body, bulk_head
from inferlog_ops.ship.process import collect_garbage_seldom
from inferlog_ops.ship.settings import Settings
from inferlog_ops.ship.shipper import shipper

LEAST, SHIPPER, CLIENT, FLUENTD = "bare loop", "shipper", "streaming_bulk", "Fluentd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """
    What one process did.

    Attributes:
        events: How many events it brought to the store.
        file_bytes: Size of the lines that they were.
        seconds: How long it took, without the start of the process.
        cpu_seconds: Of the process, all of its threads, in that time.
        engine_cpu_seconds: Of the engine in that time; 0 if it is none of ours.
        resident_bytes: The most memory that the process had.
    """

    events: int
    file_bytes: int
    seconds: float
    cpu_seconds: float
    engine_cpu_seconds: float
    resident_bytes: int


def namespace_of(way: str) -> str:
    return f"benchmark.{way.replace(' ', '.').lower()}"


def main() -> None:
    """Take the turn that the command line names, and print what it took: for the process that asked for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("logs", type=Path)
    parser.add_argument("url")
    parser.add_argument("engine_pid", type=int)
    options = parser.parse_args()
    engine = Engine(url=options.url, pid=options.engine_pid)
    with WAYS[options.way](Cluster(url=engine.url, namespace=namespace_of(options.way)), options.logs) as work:
        collect_garbage_seldom()
        engine_before, cpu_before, began = engine.cpu_seconds(), time.process_time(), time.perf_counter()
        events = work()
        turn = Turn(
            events=events,
            file_bytes=size_bytes(options.logs),
            seconds=time.perf_counter() - began,
            cpu_seconds=time.process_time() - cpu_before,
            engine_cpu_seconds=engine.cpu_seconds() - engine_before,
            resident_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )
    print(orjson.dumps(turn).decode())


@contextmanager
def prepared_shipper(cluster: Cluster, logs: Path) -> Iterator[Callable[[], int]]:
    with (
        Path(os.devnull).open("w") as nowhere,
        shipper(cluster=cluster, logs=logs, state_dir=logs / "state", display=Display(nowhere)) as ready,
    ):

        def work() -> int:
            outcome = ready.run(once=True)
            assert outcome.complete
            return outcome.status.counts.shipped

        yield work


@contextmanager
def prepared_bare_loop(cluster: Cluster, logs: Path) -> Iterator[Callable[[], int]]:
    """Make the requests ready beforehand: what is left is to send them, and to look at the status of the answers."""
    settings = Settings()
    heads = [bulk_head(line) for path in logs.glob("*.jsonl") for line in path.open("rb")]
    size = settings.bulk_events
    bodies = [made_ready(heads[start : start + size]) for start in range(0, len(heads), size)]
    pool = urllib3.connection_from_url(cluster.url, maxsize=settings.senders)
    path = f"/{stream_name('events', cluster.namespace)}/_bulk?require_data_stream=true&filter_path=errors"

    def send(body: bytes) -> None:
        answer = pool.request("POST", path, body=body, headers={"content-type": "application/x-ndjson"})
        assert answer.data == b'{"errors":false}', answer.data

    def work() -> int:
        with ThreadPoolExecutor(settings.senders) as senders:
            list(senders.map(send, bodies))
        return len(heads)

    yield work
    pool.close()


def made_ready(heads: list[tuple[str, bytes]]) -> bytes:
    # Where a line came from is no part of a request.
    return bulk_body([Line(None, 0, *head) for head in heads], datetime.now(UTC))  # type: ignore[arg-type]


@contextmanager
def prepared_client(cluster: Cluster, logs: Path) -> Iterator[Callable[[], int]]:
    """As a script would be written with the client's own helper: no positions, no dead letters, one connection."""
    stream = stream_name("events", cluster.namespace)

    def actions() -> Iterator[dict[str, Any]]:
        for path in sorted(logs.glob("*.jsonl")):
            with path.open("rb") as lines:
                for line in lines:
                    document = orjson.loads(line)
                    yield {"_op_type": "create", "_index": stream, "_id": document["event"]["id"], "_source": document}

    with cluster.client(request_timeout_seconds=60) as client:

        def work() -> int:
            answers = streaming_bulk(client, actions(), chunk_size=Settings().bulk_events)
            return sum(ok for ok, _ in answers)

        yield work


WAYS = {LEAST: prepared_bare_loop, SHIPPER: prepared_shipper, CLIENT: prepared_client}
"""Those that are Python; the others are programs of their own."""


if __name__ == "__main__":
    main()
