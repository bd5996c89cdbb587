"""Variants of shipping log files to Elasticsearch, each in its own process: one turn of such a process."""

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
from benchmarks.log_files import measure_size_bytes
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.streams import build_stream_name
from inferlog_ops.ship.batch import Line, build_bulk_body, build_bulk_head
from inferlog_ops.ship.settings import ShipSettings
from inferlog_ops.ship.shipper import collect_garbage_seldom, open_shipper
from inferlog_ops.ship.status import Display

LEAST, SHIPPER, CLIENT, FLUENTD = "bare loop", "shipper", "streaming_bulk", "Fluentd"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingTurn:
    """
    Measurements of one process.

    Attributes:
        events: Events shipped to the store.
        file_bytes: Size of their lines.
        seconds: Duration, without the start of the process.
        cpu_seconds: Processor time of all its threads.
        engine_cpu_seconds: Processor time of the engine; 0 if its process is unknown.
        resident_bytes: Peak memory of the process.
    """

    events: int
    file_bytes: int
    seconds: float
    cpu_seconds: float
    engine_cpu_seconds: float
    resident_bytes: int


def build_namespace(way: str) -> str:
    return f"benchmark.{way.replace(' ', '.').lower()}"


def main() -> None:
    """Take one turn and print its measurements as JSON, for the parent process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("logs", type=Path)
    parser.add_argument("url")
    parser.add_argument("engine_pid", type=int)
    options = parser.parse_args()
    engine = Engine(url=options.url, pid=options.engine_pid)
    with WAYS[options.way](Cluster(url=engine.url, namespace=build_namespace(options.way)), options.logs) as work:
        collect_garbage_seldom()
        engine_before, cpu_before, began = engine.read_cpu_seconds(), time.process_time(), time.perf_counter()
        events = work()
        turn = ShippingTurn(
            events=events,
            file_bytes=measure_size_bytes(options.logs),
            seconds=time.perf_counter() - began,
            cpu_seconds=time.process_time() - cpu_before,
            engine_cpu_seconds=engine.read_cpu_seconds() - engine_before,
            resident_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )
    print(orjson.dumps(turn).decode())


@contextmanager
def prepare_shipper(cluster: Cluster, logs: Path) -> Iterator[Callable[[], int]]:
    with (
        Path(os.devnull).open("w") as nowhere,
        open_shipper(cluster=cluster, logs=logs, state_dir=logs / "state", display=Display(nowhere)) as ready,
    ):

        def work() -> int:
            outcome = ready.run(once=True)
            assert outcome.complete
            return outcome.status.counts.shipped

        yield work


@contextmanager
def prepare_bare_loop(cluster: Cluster, logs: Path) -> Iterator[Callable[[], int]]:
    """Build the request bodies in advance; the timed work only sends them and checks the responses."""
    settings = ShipSettings()
    heads = [build_bulk_head(line) for path in logs.glob("*.jsonl") for line in path.open("rb")]
    size = settings.bulk_events
    bodies = [build_body(heads[start : start + size]) for start in range(0, len(heads), size)]
    pool = urllib3.connection_from_url(cluster.url, maxsize=settings.senders)
    path = f"/{build_stream_name('events', cluster.namespace)}/_bulk?require_data_stream=true&filter_path=errors"

    def send(body: bytes) -> None:
        answer = pool.request("POST", path, body=body, headers={"content-type": "application/x-ndjson"})
        assert answer.data == b'{"errors":false}', answer.data

    def work() -> int:
        with ThreadPoolExecutor(settings.senders) as senders:
            list(senders.map(send, bodies))
        return len(heads)

    yield work
    pool.close()


def build_body(heads: list[tuple[str, bytes]]) -> bytes:
    # The origin of a line is not part of a request.
    return build_bulk_body([Line(None, 0, *head) for head in heads], datetime.now(UTC))  # type: ignore[arg-type]


@contextmanager
def prepare_client(cluster: Cluster, logs: Path) -> Iterator[Callable[[], int]]:
    """Use the client's own helper, as in a simple script: no offsets, no dead letters, one connection."""
    stream = build_stream_name("events", cluster.namespace)

    def actions() -> Iterator[dict[str, Any]]:
        for path in sorted(logs.glob("*.jsonl")):
            with path.open("rb") as lines:
                for line in lines:
                    document = orjson.loads(line)
                    yield {"_op_type": "create", "_index": stream, "_id": document["event"]["id"], "_source": document}

    with cluster.build_client(request_timeout_seconds=60) as client:

        def work() -> int:
            answers = streaming_bulk(client, actions(), chunk_size=ShipSettings().bulk_events)
            return sum(ok for ok, _ in answers)

        yield work


WAYS = {LEAST: prepare_bare_loop, SHIPPER: prepare_shipper, CLIENT: prepare_client}
"""Variants in Python; the others are separate programs."""


if __name__ == "__main__":
    main()
