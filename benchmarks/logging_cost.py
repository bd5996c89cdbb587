"""
What one event costs the service: the library with its file and what others cost, as ratios to the least there could be.

    .venv/bin/python benchmarks/logging_cost.py

The least is `orjson.dumps` of the same document and one `os.write`. All ways take turns in one process, in bursts short
enough to fall between what else a shared machine does: "undisturbed" is what nine of ten bursts exceed, and the ratios
are of these.
"""

import argparse
import asyncio
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path

import ecs_logging
import loguru
import orjson
import structlog
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pythonjsonlogger.json import JsonFormatter
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


Way = Callable[[int], None]

MIDDLEWARE, WITHOUT, ADDED = "middleware, whole request", "the same request without", "what the middleware adds"
LEAST = "orjson.dumps + os.write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """
    What one event costs.

    Attributes:
        undisturbed_microseconds: What nine of ten bursts exceed.
        median_microseconds: What half of them exceed.
    """

    undisturbed_microseconds: float
    median_microseconds: float


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
        Console().print(as_table(costs, f"one event; {options.rounds} bursts of {options.events}"))


def as_table(costs: dict[str, Cost], title: str) -> Table:
    table = Table("way", title=title)
    for heading in ("undisturbed µs", "median µs", "ratio"):
        table.add_column(heading, justify="right")
    for name, cost in costs.items():
        ratio = cost.undisturbed_microseconds / costs[LEAST].undisturbed_microseconds
        table.add_row(name, f"{cost.undisturbed_microseconds:.1f}", f"{cost.median_microseconds:.1f}", f"{ratio:.1f}")
    return table


async def measured(options: argparse.Namespace) -> dict[str, Cost]:
    """Time all ways in turns; in an event loop, since a middleware asks which one it runs in."""
    with tempfile.TemporaryDirectory() as directory:
        inferlog.configure(service_name="benchmark", log_dir=directory)
        ways = library(Path(directory)) | {name: OTHERS[name](Path(directory)) for name in options.others}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, end="\r")
            for name, way in ways.items():
                began = time.perf_counter()
                way(options.events)
                seconds[name].append(time.perf_counter() - began)
        inferlog.shutdown()
    seconds[ADDED] = [whole - without for whole, without in zip(seconds[MIDDLEWARE], seconds[WITHOUT], strict=True)]
    return {name: cost(seconds[name], options.events) for name in (*ways, ADDED)}


def cost(seconds: list[float], events: int) -> Cost:
    deciles = [microseconds / events * 1e6 for microseconds in statistics.quantiles(seconds, n=10)]
    return Cost(undisturbed_microseconds=deciles[0], median_microseconds=deciles[4])


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

    def way(events: int) -> None:
        inference = Inference()
        inference.bind({**VALUES, "request_id": "a" * 32, "correlation_id": "b" * 32, "operation_name": "chat"})
        inference.bind({"latency_seconds": 0.123456, "status": "success"})
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


EXTRA = {**VALUES, "request_id": "a" * 32, "correlation_id": "b" * 32, "status": "success", "latency_seconds": 0.123456}


def structlog_as_documented(directory: Path) -> Way:
    """As its page on performance recommends: bytes, orjson, no standard library."""
    logger = structlog.wrap_logger(
        structlog.BytesLogger((directory / "structlog.jsonl").open("ab")),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )

    def way(events: int) -> None:
        for _ in range(events):
            logger.info("inference_completed", **EXTRA)

    return way


def stdlib_with(formatter: logging.Formatter, path: Path) -> Way:
    logger = logging.Logger(path.stem, logging.INFO)  # noqa: LOG001 (not in the hierarchy: nothing else handles it)
    handler = logging.FileHandler(path)
    handler.setFormatter(formatter)
    logger.addHandler(handler)

    def way(events: int) -> None:
        for _ in range(events):
            logger.info("inference_completed", extra=EXTRA)

    return way


def loguru_serialised(path: Path) -> Way:
    loguru.logger.remove()
    loguru.logger.add(path, serialize=True, format="{message}")

    def way(events: int) -> None:
        for _ in range(events):
            loguru.logger.bind(**EXTRA).info("inference_completed")

    return way


OTHERS: dict[str, Callable[[Path], Way]] = {
    "structlog": structlog_as_documented,
    "python-json-logger": lambda directory: stdlib_with(JsonFormatter(), directory / "json_logger.jsonl"),
    "ecs-logging": lambda directory: stdlib_with(ecs_logging.StdlibFormatter(), directory / "ecs.jsonl"),
    "loguru": lambda directory: loguru_serialised(directory / "loguru.jsonl"),
}


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
