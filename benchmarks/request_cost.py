"""
Cost of a request with this library, and with the packages that people combine for the same result.

    .venv/bin/python -m benchmarks.request_cost

The same FastAPI service is instrumented in each way. First all are called in one process, without sockets: one POST
after the other, in bursts that alternate between the services. The figures are processor time of the whole process,
which includes threads that export later; the cost of an instrumentation is the difference to the service alone. Then
each runs under uvicorn in its own process, and a client keeps 16 connections busy.

A table lists the content of each record. It is read from the record of one request that has an id and a trace of its
caller, and whose handler binds a credential and an invalid number of tokens.
"""

import argparse
import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import inferlog
from benchmarks import command_line
from benchmarks.benchmark_report import BenchmarkReport, Goal, Table, exit_if_missed, show_report
from benchmarks.command_line import log_progress
from benchmarks.example_request import send_request
from benchmarks.loads import CPU, FIGURES, RATE, REQUEST_P50, REQUEST_P99, Load, LoadRound, run_turn
from benchmarks.observed_apps import APPS, BARE, CLOSEST, INFERLOG, ROUTE
from benchmarks.services import MODEL, READY_FILE, run_service

CONNECTIONS = 16
LOAD = Load(name="16 at once", version="v1", stream=False, connections=CONNECTIONS, requests=20 * CONNECTIONS, turns=1)


def build_body(values: dict[str, Any]) -> bytes:
    messages = [{"role": "user", "content": "Tell me a story."}]
    return json.dumps({"model": MODEL, "messages": messages, "values": values}).encode()


BODY = build_body({})
TRACE_ID, REQUEST_ID = "0af7651916cd43dd8448eb211c80319c", "5f0c0a1e0b8d4c0e9a51b0d2a7c3e4f6"
SECRET = "hunter22hunter22"
SCOPE: dict[str, Any] = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": "/v1/chat/completions",
    "raw_path": b"/v1/chat/completions",
    "root_path": "",
    "query_string": b"",
    "client": ("127.0.0.1", 40000),
    "server": ("127.0.0.1", 8000),
    "headers": [
        (b"host", b"127.0.0.1:8000"),
        (b"user-agent", b"benchmark"),
        (b"content-type", b"application/json"),
    ],
}
IDS = [(b"x-request-id", REQUEST_ID.encode()), (b"traceparent", f"00-{TRACE_ID}-b7ad6b7169203331-01".encode())]
CONTENT: dict[str, Callable[[bytes], bool]] = {
    "one record a request": lambda records: records.count(b"\n") == 1,
    "caller's request id": lambda records: REQUEST_ID.encode() in records,
    "caller's trace id": lambda records: TRACE_ID.encode() in records,
    "route template": lambda records: ROUTE.encode() in records,
    "status code": lambda records: b"200" in records or b"2xx" in records,
    "model version, tokens": lambda records: b"model_version" in records and b"input_tokens" in records,
    "credential redacted": lambda records: b"note" in records and SECRET.encode() not in records,
    "invalid value kept out": lambda records: b"input_tokens" in records and b"-700" not in records,
    "sequence": lambda records: b'"sequence"' in records,
    "hash chain": lambda records: b'"audit"' in records,
}
"""Properties of the records of one request, and how each is recognised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCost:
    """
    Cost of a request of one service.

    Attributes:
        cpu_microseconds: Processor time of a request, called in the process.
        added_microseconds: Difference to the service alone.
        served_cpu_microseconds: Processor time of a request under uvicorn.
        requests_per_second: Under uvicorn, with 16 connections.
        p50_ms: Median time of a request of these.
        p99_ms: 99th percentile.
        content: Properties of its records.
    """

    cpu_microseconds: float
    added_microseconds: float
    served_cpu_microseconds: float
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    content: list[str]


def main() -> None:
    options = parse_options()
    gc.disable()  # a collection would disturb the timings
    with tempfile.TemporaryDirectory() as name:
        contents = asyncio.run(read_contents(make_directories(Path(name, "contents"))))
        cpu_seconds = asyncio.run(
            measure_calls(make_directories(Path(name, "calls")), options.rounds, options.requests)
        )
        served = asyncio.run(measure_served(make_directories(Path(name, "served")), options.turns))
    costs = {name: build_cost(name, cpu_seconds, served[name], contents[name]) for name in APPS}
    report = BenchmarkReport(
        figures=costs,
        tables=[build_cost_table(costs), build_content_table(costs)],
        goals=judge(costs),
        remarks=[f"{CONNECTIONS} connections to uvicorn, one process for each service."],
    )
    show_report(report, options)
    exit_if_missed(report)


def parse_options() -> argparse.Namespace:
    parser = command_line.make_parser(__doc__)
    parser.add_argument("--rounds", type=int, help="timed bursts of calls of each service; default: 300, quick 20")
    parser.add_argument("--requests", type=int, default=20, help="calls per burst; default: %(default)s")
    parser.add_argument("--turns", type=int, help="turns of each service under uvicorn; default: 60, quick 4")
    return command_line.parse_options(parser, full={"rounds": 300, "turns": 60}, quick={"rounds": 20, "turns": 4})


def make_directories(parent: Path) -> dict[str, Path]:
    """Create a directory for each service."""
    directories = {name: parent / str(number) for number, name in enumerate(APPS)}
    for directory in directories.values():
        directory.mkdir(parents=True)
    return directories


async def read_contents(directories: dict[str, Path]) -> dict[str, list[str]]:
    """Send the same request to each service, and return the properties of its record."""
    values = {"note": f"password={SECRET}", "output_tokens": -700}
    scope = {**SCOPE, "headers": [*SCOPE["headers"], *IDS]}
    contents = {}
    for name, build in APPS.items():
        log_progress(f"content: {name}")
        observed = build(directories[name])
        await send_request(observed.app, scope, build_body(values))
        observed.flush()
        records = observed.read_records()
        contents[name] = [each for each, is_in in CONTENT.items() if is_in(records)]
        inferlog.shutdown()
    return contents


async def measure_calls(directories: dict[str, Path], rounds: int, requests: int) -> dict[str, list[float]]:
    """Return the processor time of a request of each burst."""
    services = {name: build(directories[name]) for name, build in APPS.items()}
    cpu_seconds: dict[str, list[float]] = {name: [] for name in services}
    for number in range(rounds + 1):
        if number % 50 == 1:
            log_progress(f"calls: round {number} of {rounds}")
        for name, observed in services.items():
            began = time.process_time()
            for _ in range(requests):
                await send_request(observed.app, SCOPE, BODY)
            observed.flush()
            if number:  # the first round warms up
                cpu_seconds[name].append((time.process_time() - began) / requests)
    inferlog.shutdown()
    return cpu_seconds


async def measure_served(directories: dict[str, Path], turns: int) -> dict[str, LoadRound]:
    """Alternate turns of a load on each service."""
    found = {name: LoadRound() for name in APPS}
    with ExitStack() as running:
        services = {
            name: running.enter_context(run_service(build_command(name, directory), directory))
            for name, directory in directories.items()
        }
        for name, service in services.items():
            await run_turn(service, LOAD, LoadRound())
            log_progress(f"warmed up: {name}")
        for number in range(turns):
            if number % 20 == 0:
                log_progress(f"under load: turn {number + 1} of {turns}")
            for name, service in services.items():
                await run_turn(service, LOAD, found[name])
    return found


def build_command(name: str, directory: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.observed_service", name, str(directory), str(directory / READY_FILE)]


def build_cost(name: str, cpu_seconds: dict[str, list[float]], served: LoadRound, content: list[str]) -> RequestCost:
    whole, alone = (statistics.quantiles(cpu_seconds[each], n=10)[0] for each in (name, BARE))
    return RequestCost(
        cpu_microseconds=whole * 1e6,
        added_microseconds=(whole - alone) * 1e6,
        requests_per_second=FIGURES[RATE](served),
        served_cpu_microseconds=FIGURES[CPU](served) * 1e3,
        p50_ms=FIGURES[REQUEST_P50](served),
        p99_ms=FIGURES[REQUEST_P99](served),
        content=content,
    )


def build_cost_table(costs: dict[str, RequestCost]) -> Table:
    rows = [
        (
            *(name, f"{cost.cpu_microseconds:.0f}", f"{cost.added_microseconds:+.0f}"),
            *(f"{cost.served_cpu_microseconds:.0f}", f"{cost.requests_per_second:,.0f}"),
            *(f"{cost.p50_ms:.1f}", f"{cost.p99_ms:.1f}"),
        )
        for name, cost in costs.items()
    ]
    columns = ("one FastAPI service", "CPU of a call, µs", "added, µs")
    under_load = ("under uvicorn: CPU of a request, µs", "requests/s", "p50, ms", "p99, ms")
    return Table(title="What a request costs", columns=(*columns, *under_load), rows=rows)


def build_content_table(costs: dict[str, RequestCost]) -> Table:
    rows = [
        (each, *("yes" if each in cost.content else "no" for name, cost in costs.items() if name != BARE))
        for each in CONTENT
    ]
    return Table(title="What each records", columns=("", *(name for name in costs if name != BARE)), rows=rows)


def judge(costs: dict[str, RequestCost]) -> list[Goal]:
    own, other = costs[INFERLOG].added_microseconds, costs[CLOSEST].added_microseconds
    return [
        Goal(
            what=f"a request with {INFERLOG}, compared with {CLOSEST}",
            wanted="≤ 1.0 of its added time",
            found=f"{own / other:.2f}",
            met=own <= other,
        )
    ]


if __name__ == "__main__":
    command_line.run_main(main)
