"""Other logging libraries, each configured as its documentation recommends."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ecs_logging
import loguru
import orjson
import structlog
from pythonjsonlogger.json import JsonFormatter

Way = Callable[[int], None]
"""Writes the given number of lines."""

_STRUCTLOG_DEFAULTS = structlog.get_config()  # now, before inferlog configures it for the whole process


def build_structlog_logger(path: Path) -> Any:
    """Return a logger as structlog's page on performance recommends: bytes, orjson, no standard library."""
    return structlog.wrap_logger(
        structlog.BytesLogger(path.open("ab")),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def prepare_structlog_as_documented(directory: Path, values: dict[str, Any]) -> Way:
    logger = build_structlog_logger(directory / "structlog.jsonl")

    def way(events: int) -> None:
        for _ in range(events):
            logger.info("inference_completed", **values)

    return way


def prepare_structlog_by_default(directory: Path, values: dict[str, Any]) -> Way:
    """Use structlog's default configuration: text for the console, here into a file."""
    logger = structlog.wrap_logger(
        structlog.PrintLogger((directory / "structlog.txt").open("a", buffering=1)),
        processors=_STRUCTLOG_DEFAULTS["processors"],
        wrapper_class=_STRUCTLOG_DEFAULTS["wrapper_class"],
        context_class=_STRUCTLOG_DEFAULTS["context_class"],
    )

    def way(events: int) -> None:
        for _ in range(events):
            logger.info("inference_completed", **values)

    return way


def prepare_stdlib(formatter: logging.Formatter, path: Path, values: dict[str, Any]) -> Way:
    logger = logging.Logger(path.stem, logging.INFO)  # noqa: LOG001 (not in the hierarchy: nothing else handles it)
    handler = logging.FileHandler(path)
    handler.setFormatter(formatter)
    logger.addHandler(handler)

    def way(events: int) -> None:
        for _ in range(events):
            logger.info("inference_completed", extra=values)

    return way


def prepare_serialised_loguru(path: Path, values: dict[str, Any]) -> Way:
    loguru.logger.remove()
    loguru.logger.add(path, serialize=True, format="{message}")

    def way(events: int) -> None:
        for _ in range(events):
            loguru.logger.bind(**values).info("inference_completed")

    return way


OTHERS: dict[str, Callable[[Path, dict[str, Any]], Way]] = {
    "structlog": prepare_structlog_as_documented,
    "structlog, its defaults": prepare_structlog_by_default,
    "python-json-logger": lambda directory, values: prepare_stdlib(JsonFormatter(), directory / "json.jsonl", values),
    "ecs-logging": lambda directory, values: prepare_stdlib(
        ecs_logging.StdlibFormatter(), directory / "ecs.jsonl", values
    ),
    "loguru": lambda directory, values: prepare_serialised_loguru(directory / "loguru.jsonl", values),
}
"""Builds each library's writer of the given values into a file in the given directory."""
