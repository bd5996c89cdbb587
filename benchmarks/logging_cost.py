"""
Cost of one event for the service: the library and other libraries, as ratios to the theoretical minimum.

    .venv/bin/python -m benchmarks.logging_cost

The minimum is `orjson.dumps` of the same document and one `os.write`. Each variant is timed twice. First in a loop, in
bursts short enough to fall between other work of a shared machine: use this to compare. Then once after each request
of the example service without logging: this is the cost in a service, whose processor caches hold other data, and all
variants cost about twice as much. All variants alternate in one process; the figures are the 10th percentile.

At the end, one process writes event after event, to compare the cost of the millionth with the first.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil
from fastapi import FastAPI
from fastapi.routing import APIRoute

import inferlog
from benchmarks import command_line
from benchmarks.benchmark_report import BenchmarkReport, Goal, Table, exit_if_missed, show_report
from benchmarks.command_line import log_progress
from benchmarks.example_request import build_example_request
from benchmarks.other_loggers import OTHERS, Way
from inferlog.configuration import get_runtime
from inferlog.context import Inference

VALUES: dict[str, Any] = {
    "model_name": "smollm2-135m-instruct",
    "model_version": "v1",
    "input_tokens": 12,
    "output_tokens": 40,
    "time_to_first_token_seconds": 0.051234,
    "queue_seconds": 0.000123,
    "finish_reasons": ["stop"],
}
EXTRA = {**VALUES, "request_id": "a" * 32, "correlation_id": "b" * 32, "status": "success", "latency_seconds": 0.123456}

MIDDLEWARE, WITHOUT, ADDED = "middleware, whole request", "the same request without", "what the middleware adds"
LEAST = "orjson.dumps + os.write"
RECORD, FUNCTION, BLOCK = "record a finished event", "tracked function", "track_performance block"
MOST_MICROSECONDS, MOST_RATIO = 12.0, 4.0
QUICKEST = "structlog"
MOST_LINES = {RECORD: 0.8, FUNCTION: 1.0, BLOCK: 1.0, ADDED: 1.3}
"""Cost of an event in lines of structlog, configured as its page on performance recommends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCost:
    """
    Cost of one event.

    Attributes:
        loop_microseconds: In a loop.
        service_microseconds: Single event, after other work.
    """

    loop_microseconds: float
    service_microseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthStep:
    """
    One step of the growth measurement.

    Attributes:
        events: Events written so far.
        cpu_microseconds: Average processor time per event since the step before.
        resident_bytes: Memory of the process at the end.
    """

    events: int
    cpu_microseconds: float
    resident_bytes: int


def main() -> None:
    options = parse_options()
    costs = asyncio.run(measure(options))
    stretches = measure_growth(sorted(options.growth))
    report = BenchmarkReport(
        figures={"costs": costs, "growth": stretches},
        tables=[build_table(costs), *([build_growth_table(stretches)] if stretches else [])],
        goals=judge(costs),
    )
    show_report(report, options)
    exit_if_missed(report)


def parse_options() -> argparse.Namespace:
    parser = command_line.make_parser(__doc__)
    parser.add_argument("--rounds", type=int, help="timed bursts of each variant; default: 1000, quick 100")
    parser.add_argument("--events", type=int, default=20, help="events per burst; default: %(default)s")
    parser.add_argument("--others", nargs="*", choices=OTHERS, default=OTHERS, help="libraries to compare with")
    parser.add_argument(
        "--growth",
        type=int,
        nargs="*",
        help="growth steps; default: 10 k, 100 k, 1 M, quick 1 k, 10 k",
    )
    return command_line.parse_options(
        parser,
        full={"rounds": 1000, "growth": [10_000, 100_000, 1_000_000]},
        quick={"rounds": 100, "growth": [1_000, 10_000]},
    )


def build_table(costs: dict[str, EventCost]) -> Table:
    least = costs[LEAST]
    rows = [
        (
            *(name, f"{cost.loop_microseconds:.1f}", f"{cost.loop_microseconds / least.loop_microseconds:.1f}"),
            *(f"{cost.service_microseconds:.1f}", f"{cost.service_microseconds / least.service_microseconds:.1f}"),
        )
        for name, cost in costs.items()
    ]
    headings = ("one event into a file", "in a loop, µs", "ratio", "in a service, µs", "ratio")
    return Table(title="What one event costs", columns=headings, rows=rows)


def build_growth_table(stretches: list[GrowthStep]) -> Table:
    rows = [
        (f"{stretch.events:,}", f"{stretch.cpu_microseconds:.1f}", f"{stretch.resident_bytes / 1e6:.0f}")
        for stretch in stretches
    ]
    return Table(
        title="One process that writes event after event",
        columns=("events so far", "CPU µs an event since the row before", "resident MB"),
        rows=rows,
    )


def judge(costs: dict[str, EventCost]) -> list[Goal]:
    found = {name: costs[name].loop_microseconds for name in MOST_LINES}
    least = costs[LEAST].loop_microseconds
    absolute = [
        Goal(
            what=name,
            wanted=f"≤ {MOST_MICROSECONDS:.0f} µs, ratio ≤ {MOST_RATIO:.0f}",
            found=f"{microseconds:.1f} µs, ratio {microseconds / least:.1f}",
            met=microseconds <= MOST_MICROSECONDS and microseconds / least <= MOST_RATIO,
        )
        for name, microseconds in found.items()
    ]
    if QUICKEST not in costs:
        return absolute
    line = costs[QUICKEST].loop_microseconds
    return absolute + [
        Goal(
            what=f"{name}, in lines of {QUICKEST}",
            wanted=f"≤ {most}",
            found=f"{found[name] / line:.2f}",
            met=found[name] <= most * line,
        )
        for name, most in MOST_LINES.items()
    ]


def measure_growth(steps: list[int]) -> list[GrowthStep]:
    """Write events up to each total of *steps*, and measure each step."""
    stretches: list[GrowthStep] = []
    with tempfile.TemporaryDirectory() as directory:
        inferlog.configure(service_name="benchmark", log_dir=directory, console="never")
        way, written = prepare_record(), 0
        for events in steps:
            log_progress(f"{events:,} events in a row")
            began = time.thread_time()
            way(events - written)
            cpu_microseconds = (time.thread_time() - began) / (events - written) * 1e6
            resident = psutil.Process().memory_info().rss
            stretches.append(GrowthStep(events=events, cpu_microseconds=cpu_microseconds, resident_bytes=resident))
            written = events
        inferlog.shutdown()
    return stretches


async def measure(options: argparse.Namespace) -> dict[str, EventCost]:
    """Time all variants alternately; in an event loop, which the middleware requires."""
    with tempfile.TemporaryDirectory() as directory:
        inferlog.configure(service_name="benchmark", log_dir=directory, console="never")
        ways = prepare_library(Path(directory)) | {
            name: OTHERS[name](Path(directory), EXTRA) for name in options.others
        }
        other_work = build_example_request()
        loop: dict[str, list[float]] = {name: [] for name in ways}
        service: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(options.rounds):
            if number % 50 == 0:
                log_progress(f"round {number + 1} of {options.rounds}")
            for name, way in ways.items():
                loop[name].append(measure_seconds(way, options.events))
                await other_work()
                service[name].append(measure_seconds(way, 1))
        inferlog.shutdown()
    for timings in (loop, service):
        pairs = zip(timings[MIDDLEWARE], timings[WITHOUT], strict=True)
        timings[ADDED] = [whole - without for whole, without in pairs]
    return {
        name: EventCost(
            loop_microseconds=compute_microseconds(loop[name]), service_microseconds=compute_microseconds(service[name])
        )
        for name in loop
    }


def measure_seconds(way: Way, events: int) -> float:
    """Return the time per event of a burst of *events*."""
    began = time.perf_counter()
    way(events)
    return (time.perf_counter() - began) / events


def compute_microseconds(timings: list[float]) -> float:
    return statistics.quantiles(timings, n=10)[0] * 1e6


def prepare_library(directory: Path) -> dict[str, Way]:
    return {
        LEAST: prepare_least(directory),
        RECORD: prepare_record(),
        FUNCTION: prepare_function(),
        BLOCK: prepare_block(),
        MIDDLEWARE: prepare_requests(inferlog.InferenceMiddleware(answer_request)),
        WITHOUT: prepare_requests(answer_request),
    }


def prepare_least(directory: Path) -> Way:
    with inferlog.track_performance("chat", **VALUES):
        pass
    (line,) = next(directory.glob("events-*")).read_bytes().splitlines()
    document = orjson.loads(line)
    descriptor = os.open(directory / "least.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def way(events: int) -> None:
        for _ in range(events):
            os.write(descriptor, orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))

    return way


def prepare_record() -> Way:
    running = get_runtime()

    inference = Inference()
    inference.bind({**VALUES, "request_id": "a" * 32, "correlation_id": "b" * 32, "operation_name": "chat"})
    inference.bind({"latency_seconds": 0.123456, "status": "success"})

    def way(events: int) -> None:
        for _ in range(events):
            running.record(inference)

    return way


def prepare_function() -> Way:
    tracked: Callable[[], None] = inferlog.track_performance(**VALUES)(lambda: None)

    def way(events: int) -> None:
        for _ in range(events):
            tracked()

    return way


def prepare_block() -> Way:
    def way(events: int) -> None:
        for _ in range(events):
            with inferlog.track_performance("chat", **VALUES):
                pass

    return way


# Scope by uvicorn of a request by OpenAI's client, without the headers that describe the client's platform.
SCOPE = {
    "type": "http",
    "path": "/v1/chat/completions",
    "root_path": "",
    "method": "POST",
    "headers": [
        (b"host", b"127.0.0.1:8000"),
        (b"accept", b"application/json"),
        (b"accept-encoding", b"gzip, deflate"),
        (b"connection", b"keep-alive"),
        (b"user-agent", b"OpenAI/Python 2.8.0"),
        (b"content-type", b"application/json"),
        (b"authorization", b"Bearer unused"),
        (b"content-length", b"120"),
    ],
}

api = FastAPI()


@api.post("/v1/chat/completions")
async def endpoint() -> None:
    pass


# Keys added to the scope by FastAPI's router.
ROUTED = {
    "route": next(route for route in api.routes if isinstance(route, APIRoute)),
    "endpoint": endpoint,
    "router": api.router,
}
RESPONSE_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"300")]


async def answer_request(
    scope: MutableMapping[str, Any], _receive: object, send: Callable[..., Awaitable[None]]
) -> None:
    scope.update(ROUTED)
    inferlog.bind_inference(**VALUES)
    await send({"type": "http.response.start", "status": 200, "headers": RESPONSE_HEADERS})
    await send({"type": "http.response.body", "body": b"{}"})


async def receive() -> dict[str, object]:
    return {"type": "http.request"}


async def send(message: dict[str, object]) -> None:
    pass


def prepare_requests(answer: Callable[..., Coroutine[object, object, None]]) -> Way:
    def way(events: int) -> None:
        for _ in range(events):
            # Without a server or waiting, only the instrumentation is timed.
            try:
                answer(dict(SCOPE), receive, send).send(None)
            except StopIteration:
                continue

    return way


if __name__ == "__main__":
    command_line.run_main(main)
