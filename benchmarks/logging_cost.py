"""
What one event costs the service: the library with its file and what others cost, as ratios to the least there could be.

    .venv/bin/python benchmarks/logging_cost.py

The least is `orjson.dumps` of the same document and one `os.write`. All ways run interleaved in one process, several
rounds, and the median counts: a machine has slow minutes, a ratio within one run has fewer.
"""

import argparse
import contextlib
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ecs_logging
import loguru
import orjson
import structlog
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="how often each way is timed")
    parser.add_argument("--events", type=int, default=10_000, help="events in a round")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        inferlog.configure(service_name="benchmark", log_dir=directory)
        ways = {
            "orjson.dumps + os.write": least(Path(directory)),
            "record a finished event": record(),
            "track_performance block": block(),
            "middleware, whole request": middleware(),
            "the same request without": without_middleware(),
            "structlog": structlog_as_documented(Path(directory)),
            "python-json-logger": stdlib_with(JsonFormatter(), Path(directory) / "json_logger.jsonl"),
            "ecs-logging": stdlib_with(ecs_logging.StdlibFormatter(), Path(directory) / "ecs.jsonl"),
            "loguru": loguru_serialised(Path(directory) / "loguru.jsonl"),
        }
        microseconds = measured(ways, rounds=options.rounds, events=options.events)
    least_microseconds = microseconds["orjson.dumps + os.write"]
    if options.json:
        json.dump(microseconds, sys.stdout)
        return
    table = Table("way", title=f"one event, median of {options.rounds} rounds of {options.events:,}")
    table.add_column("µs", justify="right")
    table.add_column("ratio", justify="right")
    for name, figure in microseconds.items():
        table.add_row(name, f"{figure:.1f}", f"{figure / least_microseconds:.1f}")
    Console().print(table)


def measured(ways: dict[str, Callable[[int], None]], *, rounds: int, events: int) -> dict[str, float]:
    """Return the median microseconds of one event for each way, timed in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way(events // 10)
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, end="\r")
        for name, way in ways.items():
            began = time.perf_counter()
            way(events)
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) / events * 1e6 for name, times in seconds.items()}


def least(directory: Path) -> Callable[[int], None]:
    with inferlog.track_performance("chat", **VALUES):
        pass
    (line,) = next(directory.glob("events-*")).read_bytes().splitlines()
    document = orjson.loads(line)
    descriptor = os.open(directory / "least.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def way(events: int) -> None:
        for _ in range(events):
            os.write(descriptor, orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))

    return way


def record() -> Callable[[int], None]:
    running = runtime()

    def way(events: int) -> None:
        inference = Inference()
        inference.bind({**VALUES, "request_id": "a" * 32, "correlation_id": "b" * 32, "operation_name": "chat"})
        inference.bind({"latency_seconds": 0.123456, "status": "success"})
        for _ in range(events):
            running.record(inference)

    return way


def block() -> Callable[[int], None]:
    def way(events: int) -> None:
        for _ in range(events):
            with inferlog.track_performance("chat", **VALUES):
                pass

    return way


EXTRA = {**VALUES, "request_id": "a" * 32, "correlation_id": "b" * 32, "status": "success", "latency_seconds": 0.123456}


def structlog_as_documented(directory: Path) -> Callable[[int], None]:
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


def stdlib_with(formatter: logging.Formatter, path: Path) -> Callable[[int], None]:
    logger = logging.Logger(path.stem, logging.INFO)  # noqa: LOG001 (not in the hierarchy: nothing else handles it)
    handler = logging.FileHandler(path)
    handler.setFormatter(formatter)
    logger.addHandler(handler)

    def way(events: int) -> None:
        for _ in range(events):
            logger.info("inference_completed", extra=EXTRA)

    return way


def loguru_serialised(path: Path) -> Callable[[int], None]:
    loguru.logger.remove()
    loguru.logger.add(path, serialize=True, format="{message}")

    def way(events: int) -> None:
        for _ in range(events):
            loguru.logger.bind(**EXTRA).info("inference_completed")

    return way


SCOPE = {
    "type": "http",
    "path": "/v1/chat/completions",
    "method": "POST",
    "headers": [(b"host", b"127.0.0.1:8000"), (b"content-type", b"application/json"), (b"content-length", b"120")],
}


async def _send(message: dict[str, object]) -> None:
    pass


async def _receive() -> dict[str, object]:
    return {"type": "http.request"}


async def _application(_scope: dict[str, object], _receive: object, send: Callable[..., object]) -> None:
    inferlog.bind_inference(**VALUES)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


def _requests(application: Callable[..., object]) -> Callable[[int], None]:
    def way(events: int) -> None:
        for _ in range(events):
            # No loop and no server: a coroutine that never waits, so that only the instrumentation is timed.
            coroutine = application(dict(SCOPE), _receive, _send)
            with contextlib.suppress(StopIteration):
                coroutine.send(None)

    return way


def middleware() -> Callable[[int], None]:
    return _requests(inferlog.InferenceMiddleware(_application))


def without_middleware() -> Callable[[int], None]:
    return _requests(_application)


if __name__ == "__main__":
    main()
