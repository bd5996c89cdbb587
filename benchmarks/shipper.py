"""
How many events a second the shipper brings from log files into a real, embedded Elasticsearch.

    .venv/bin/python benchmarks/shipper.py --events 500000

Beside it stands the least there could be: a loop that sends bulk requests made ready beforehand over as many
connections, and looks at their status only. Both take turns, each time with new events, each in a process of its own
and into a namespace of its own, on the same engine: a machine has slow minutes, a ratio within one run has fewer.
An engine that has just started is several times slower, so some events that do not count go first.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import psutil
import urllib3
from rich.console import Console
from rich.table import Table

from inferlog_ops.cluster import Cluster
from inferlog_ops.engine import control
from inferlog_ops.provisioning import provision_cluster
from inferlog_ops.shipper.display import Display
from inferlog_ops.shipper.lines import Line, bulk_body, bulk_head
from inferlog_ops.shipper.process import collect_garbage_seldom
from inferlog_ops.shipper.settings import Settings
from inferlog_ops.shipper.shipper import shipper

WAYS = ("bare loop", "shipper")


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


def main() -> None:
    options = parsed_options()
    if options.turn:
        take_turn(options)
        return
    with tempfile.TemporaryDirectory() as directory, engine_at(options.url, Path(directory)) as (url, pid):
        turns = measured(options, url, pid, Path(directory))
    if options.json:
        print(orjson.dumps({way: [asdict(turn) for turn in turns[way]] for way in WAYS}).decode())
    else:
        Console(width=110).print(as_table(turns))


def parsed_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=500_000, help="events of each of the two ways")
    parser.add_argument("--turns", type=int, default=5, help="how many turns each way takes")
    parser.add_argument("--warm-up", type=int, default=150_000, help="events that go before and do not count")
    parser.add_argument("--files", type=int, default=4, help="files that a turn's events lie in")
    parser.add_argument("--url", help="a cluster to use instead of an engine started for this")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--turn", choices=WAYS, help=argparse.SUPPRESS)  # what a process of its own does
    parser.add_argument("--logs", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--engine-pid", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def measured(options: argparse.Namespace, url: str, engine_pid: int, directory: Path) -> dict[str, list[Turn]]:
    for way in WAYS:
        provision_cluster(Cluster(url=url, namespace=namespace_of(way)))
    tell("warming up")
    one_turn(WAYS[0], url, engine_pid, write_logs(directory / "warm-up", options.warm_up, options.files))
    turns: dict[str, list[Turn]] = {way: [] for way in WAYS}
    for number in range(options.turns):
        for way in WAYS if number % 2 else reversed(WAYS):
            tell(f"turn {number + 1} of {options.turns}: {way}")
            logs = write_logs(directory / f"{number}-{way}", options.events // options.turns, options.files)
            turns[way].append(one_turn(way, url, engine_pid, logs))
    return turns


def one_turn(way: str, url: str, engine_pid: int, logs: Path) -> Turn:
    command = [
        sys.executable,
        __file__,
        "--turn",
        way,
        "--url",
        url,
        "--logs",
        str(logs),
        "--engine-pid",
        str(engine_pid),
    ]
    return Turn(**orjson.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))


def take_turn(options: argparse.Namespace) -> None:
    cluster = Cluster(url=options.url, namespace=namespace_of(options.turn))
    prepared = prepared_shipper if options.turn == "shipper" else prepared_bare_loop
    with prepared(cluster, options.logs) as work:
        collect_garbage_seldom()
        engine = psutil.Process(options.engine_pid) if options.engine_pid else None
        engine_before, cpu_before, began = cpu_of(engine), time.process_time(), time.perf_counter()
        events = work()
        turn = Turn(
            events=events,
            file_bytes=sum(path.stat().st_size for path in options.logs.glob("*.jsonl")),
            seconds=time.perf_counter() - began,
            cpu_seconds=time.process_time() - cpu_before,
            engine_cpu_seconds=cpu_of(engine) - engine_before,
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
    settings = Settings()
    heads = [bulk_head(line) for path in logs.glob("*.jsonl") for line in path.open("rb")]
    size = settings.bulk_events
    bodies = [made_ready(heads[start : start + size]) for start in range(0, len(heads), size)]
    pool = urllib3.connection_from_url(cluster.url, maxsize=settings.senders)
    path = f"/logs-inference.events-{cluster.namespace}/_bulk?require_data_stream=true&filter_path=errors"

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


def write_logs(directory: Path, events: int, files: int) -> Path:
    """Write *events* lines like the library's into *files* files."""
    directory.mkdir()
    began = datetime.now(UTC) - timedelta(microseconds=events)
    for number in range(files):
        instance = uuid.uuid4().hex[:16]
        with (directory / f"events-scoring-{instance}-{number:04d}.jsonl").open("wb") as file:
            file.writelines(line(n, instance, began) for n in range(number, events, files))
    return directory


def line(number: int, instance: str, began: datetime) -> bytes:
    ended = (began + timedelta(microseconds=number)).replace(tzinfo=None).isoformat(timespec="microseconds")
    event = {
        "@timestamp": f"{ended}Z",
        "event": {
            "id": uuid.uuid4().hex,
            "sequence": number,
            "action": "inference_completed",
            "dataset": "inference.events",
            "outcome": "success",
        },
        "service": {
            "name": "scoring",
            "version": "1.0.0",
            "environment": "development",
            "instance": {"id": instance},
        },
        "request_id": uuid.uuid4().hex,
        "correlation_id": uuid.uuid4().hex,
        "model_name": "smollm2-135m-instruct",
        "model_version": f"v{number % 3}",
        "status": "success",
        "latency_seconds": round(0.05 + number % 977 / 1000, 6),
        "gen_ai": {"operation": {"name": "chat"}, "usage": {"input_tokens": 12, "output_tokens": number % 64}},
        "http": {"route": "/v1/chat/completions", "request": {"method": "POST"}, "response": {"status_code": 200}},
    }
    return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)


@contextmanager
def engine_at(url: str | None, directory: Path) -> Iterator[tuple[str, int]]:
    """Give the address of the engine and its process: the one at *url*, whose process is not known, or a new one."""
    if url:
        yield url, 0
        return
    tell("starting an engine")
    home = directory / "engine"
    started = control.start(home)
    try:
        yield started.url, started.pid
    finally:
        control.stop(home)


def as_table(turns: dict[str, list[Turn]]) -> Table:
    events = sum(turn.events for turn in turns["shipper"])
    table = Table("", title=f"{events:,} events each, in {len(turns['shipper'])} turns")
    headings = (
        "events/s",
        "slowest turn",
        "fastest",
        "MB/s",
        "CPU s\na million",
        "engine CPU s\na million",
        "resident\nMB",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for way in WAYS:
        table.add_row(way, *cells(turns[way]))
    ratios = [rate([ours]) / rate([least]) for ours, least in zip(turns["shipper"], turns["bare loop"], strict=True)]
    table.add_row("ratio, median", f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f}", f"{max(ratios):.2f}")
    return table


def cells(turns: list[Turn]) -> list[str]:
    events = sum(turn.events for turn in turns)
    rates = [rate([turn]) for turn in turns]
    return [
        f"{rate(turns):,.0f}",
        f"{min(rates):,.0f}",
        f"{max(rates):,.0f}",
        f"{sum(turn.file_bytes for turn in turns) / sum(turn.seconds for turn in turns) / 1e6:.1f}",
        f"{sum(turn.cpu_seconds for turn in turns) / events * 1e6:.1f}",
        f"{sum(turn.engine_cpu_seconds for turn in turns) / events * 1e6:.0f}",
        f"{max(turn.resident_bytes for turn in turns) / 1e6:.0f}",
    ]


def rate(turns: list[Turn]) -> float:
    return sum(turn.events for turn in turns) / sum(turn.seconds for turn in turns)


def namespace_of(way: str) -> str:
    return f"benchmark.{way.replace(' ', '.')}"


def cpu_of(process: psutil.Process | None) -> float:
    times = process.cpu_times() if process else None
    return times.user + times.system if times else 0.0


def tell(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
