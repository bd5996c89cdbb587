"""Processes that end, or stand still, or stay away."""

import time
from collections.abc import Generator

from inferlog_ops.core.errors import OperatorError
from tests.chaos.processes import ChaosProcess
from tests.chaos.stack import WORKERS, Stack

_SECONDS_BETWEEN_KILLS = 5.0
_RESTARTED_AFTER_SECONDS = 1.0
_SECONDS_BETWEEN_LOOKS = 0.1
_REPLACED_WITHIN_SECONDS = 60.0


def wait(_stack: Stack, seconds: float) -> Generator[float]:
    """Break nothing."""
    yield seconds


def kill_worker(stack: Stack, seconds: float) -> Generator[float]:
    """Kill the service's oldest worker now and then; its supervisor starts another."""
    for _ in range(_times(seconds)):
        yield from _until_all_work(stack.server)
        stack.server.workers()[0].kill()
        yield _SECONDS_BETWEEN_KILLS


def kill_shipper(stack: Stack, seconds: float) -> Generator[float]:
    """Kill the shipper now and then, and start another a moment later."""
    for _ in range(_times(seconds)):
        stack.shipper.kill()
        try:
            yield _RESTARTED_AFTER_SECONDS
        finally:
            stack.start_shipper()
        yield _SECONDS_BETWEEN_KILLS - _RESTARTED_AFTER_SECONDS


def kill_engine(stack: Stack, seconds: float) -> Generator[float]:
    """Kill Elasticsearch, and start it again when the time is over."""
    stack.engine.kill()
    try:
        yield seconds
    finally:
        stack.engine.start()


def engine_away(stack: Stack, seconds: float) -> Generator[float]:
    """End Elasticsearch in order, and start it again when the time is over."""
    stack.engine.stop()
    try:
        yield seconds
    finally:
        stack.engine.start()


def stop_worker(stack: Stack, seconds: float) -> Generator[float]:
    """Have one of the service's workers stand still."""
    yield from _until_all_work(stack.server)
    worker = stack.server.workers()[0]
    worker.suspend()
    try:
        yield seconds
    finally:
        worker.resume()


def stop_shipper(stack: Stack, seconds: float) -> Generator[float]:
    """Have the shipper stand still."""
    stack.shipper.suspend()
    try:
        yield seconds
    finally:
        stack.shipper.resume()


def stop_engine(stack: Stack, seconds: float) -> Generator[float]:
    """Have Elasticsearch stand still: connections come about, and nothing answers."""
    stack.engine.suspend()
    try:
        yield seconds
    finally:
        stack.engine.resume()


def _until_all_work(server: ChaosProcess) -> Generator[float]:
    """
    Wait for the worker in the place of one that was killed: the service is to lose one at a time.

    Raises:
        OperatorError: If there is none after a minute.
    """
    deadline = time.monotonic() + _REPLACED_WITHIN_SECONDS
    while (count := len(server.workers())) < WORKERS:
        if time.monotonic() > deadline:
            raise OperatorError(
                f"the service has {count} of its {WORKERS} workers, {_REPLACED_WITHIN_SECONDS:.0f} s after one ended"
            )
        yield _SECONDS_BETWEEN_LOOKS


def _times(seconds: float) -> int:
    return max(1, int(seconds / _SECONDS_BETWEEN_KILLS))
