"""
What one event costs the service: the library with its file and what others cost, as ratios to the least there could be.

    .venv/bin/python benchmarks/logging_cost.py

The least is `orjson.dumps` of the same document and one `os.write`. Each way is timed twice. In a loop, in bursts short
enough to fall between what else a shared machine does: this is what compares. And once after each request that the
example service answers without logging: this is what an event costs in a service, where the processor's caches have
had other things to hold, and all ways cost about twice as much. All take turns in one process; the figures are what
nine of ten timings exceed.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from example_request import example_request
from fastapi import FastAPI
from fastapi.routing import APIRoute
from other_loggers import OTHERS, Way
from rich.console import Console
from rich.table import Table

import inferlog
from inferlog.configuration import runtime
from inferlog.context import Inference

VALUES = {
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """
    What one event costs.

    Attributes:
        loop_microseconds: One of many in a row.
        service_microseconds: One alone, after other work.
    """

    loop_microseconds: float
    service_microseconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000, help="how many bursts of each way are timed")
    parser.add_argument("--events", type=int, default=50, help="events in a burst")
    parser.add_argument("--others", nargs="*", choices=OTHERS, default=OTHERS, help="what to compare with")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    costs = asyncio.run(measured(options))
    if options.json:
        json.dump({name: asdict(cost) for name, cost in costs.items()}, sys.stdout)
    else:
        Console().print(as_table(costs))


def as_table(costs: dict[str, Cost]) -> Table:
    table = Table("one event", "in a loop, µs", "ratio", "in a service, µs", "ratio")
    for column in table.columns[1:]:
        column.justify = "right"
    least = costs[LEAST]
    for name, cost in costs.items():
        table.add_row(
            *(name, f"{cost.loop_microseconds:.1f}", f"{cost.loop_microseconds / least.loop_microseconds:.1f}"),
            *(f"{cost.service_microseconds:.1f}", f"{cost.service_microseconds / least.service_microseconds:.1f}"),
        )
    return table


async def measured(options: argparse.Namespace) -> dict[str, Cost]:
    """Time all ways in turns; in an event loop, since a middleware asks which one it runs in."""
    with tempfile.TemporaryDirectory() as directory:
        inferlog.configure(service_name="benchmark", log_dir=directory)
        ways = library(Path(directory)) | {name: OTHERS[name](Path(directory), EXTRA) for name in options.others}
        other_work = example_request()
        loop: dict[str, list[float]] = {name: [] for name in ways}
        service: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, end="\r")
            for name, way in ways.items():
                loop[name].append(seconds(way, options.events))
                await other_work()
                service[name].append(seconds(way, 1))
        inferlog.shutdown()
    for timings in (loop, service):
        pairs = zip(timings[MIDDLEWARE], timings[WITHOUT], strict=True)
        timings[ADDED] = [whole - without for whole, without in pairs]
    return {
        name: Cost(loop_microseconds=undisturbed(loop[name]), service_microseconds=undisturbed(service[name]))
        for name in loop
    }


def seconds(way: Way, events: int) -> float:
    """Return how long one of *events* events takes."""
    began = time.perf_counter()
    way(events)
    return (time.perf_counter() - began) / events


def undisturbed(timings: list[float]) -> float:
    return statistics.quantiles(timings, n=10)[0] * 1e6


def library(directory: Path) -> dict[str, Way]:
    return {
        LEAST: least(directory),
        "record a finished event": record(),
        "tracked function": function(),
        "track_performance block": block(),
        MIDDLEWARE: requests(inferlog.InferenceMiddleware(application)),
        WITHOUT: requests(application),
    }


def least(directory: Path) -> Way:
    with inferlog.track_performance("chat", **VALUES):
        pass
    (line,) = next(directory.glob("events-*")).read_bytes().splitlines()
    document = orjson.loads(line)
    descriptor = os.open(directory / "least.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def way(events: int) -> None:
        for _ in range(events):
            os.write(descriptor, orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))

    return way


def record() -> Way:
    running = runtime()

    inference = Inference()
    inference.bind({**VALUES, "request_id": "a" * 32, "correlation_id": "b" * 32, "operation_name": "chat"})
    inference.bind({"latency_seconds": 0.123456, "status": "success"})

    def way(events: int) -> None:
        for _ in range(events):
            running.record(inference)

    return way


def function() -> Way:
    tracked = inferlog.track_performance(**VALUES)(lambda: None)

    def way(events: int) -> None:
        for _ in range(events):
            tracked()

    return way


def block() -> Way:
    def way(events: int) -> None:
        for _ in range(events):
            with inferlog.track_performance("chat", **VALUES):
                pass

    return way


# What uvicorn hands over of a request by OpenAI's client, less the headers that say what the client runs on.
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


# What FastAPI's router leaves in the scope.
ROUTED = {
    "route": next(route for route in api.routes if isinstance(route, APIRoute)),
    "endpoint": endpoint,
    "router": api.router,
}
RESPONSE_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"300")]


async def application(scope: dict[str, object], _receive: object, send: Callable[..., Awaitable[None]]) -> None:
    scope.update(ROUTED)
    inferlog.bind_inference(**VALUES)
    await send({"type": "http.response.start", "status": 200, "headers": RESPONSE_HEADERS})
    await send({"type": "http.response.body", "body": b"{}"})


async def receive() -> dict[str, object]:
    return {"type": "http.request"}


async def send(message: dict[str, object]) -> None:
    pass


def requests(answer: Callable[..., Coroutine[object, object, None]]) -> Way:
    def way(events: int) -> None:
        for _ in range(events):
            # No server, and nothing to wait for, so that only the instrumentation is timed.
            try:
                answer(dict(SCOPE), receive, send).send(None)
            except StopIteration:
                continue

    return way


if __name__ == "__main__":
    main()
