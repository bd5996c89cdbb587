"""Processes that are killed, suspended or stopped, and a shipper with corrupted offsets."""

import itertools
import time
from collections.abc import Callable, Generator
from typing import Final

from inferlog_ops.core.errors import OperatorError
from tests.chaos.processes import ChaosProcess
from tests.chaos.stack import WORKERS, Stack

_SECONDS_BETWEEN_KILLS = 5.0
_RESTARTED_AFTER_SECONDS = 1.0
_SECONDS_BETWEEN_POLLS = 0.1
_REPLACED_WITHIN_SECONDS = 60.0
_SECONDS_BETWEEN_CORRUPTIONS = 4.0
_CORRUPTIONS: Final[tuple[Callable[[bytes], bytes], ...]] = (
    lambda content: content[: len(content) // 2],
    lambda content: bytes(len(content)),
    lambda _content: b"",
    lambda content: content.replace(b'"position":', b'"position":-'),
)


def wait(_stack: Stack, seconds: float) -> Generator[float]:
    """Wait without a fault."""
    yield seconds


def kill_worker(stack: Stack, seconds: float) -> Generator[float]:
    """Kill the service's oldest worker every 5 s; its supervisor starts another."""
    for _ in range(_count_kills(seconds)):
        yield from _wait_for_workers(stack.server)
        stack.server.list_workers()[0].kill()
        yield _SECONDS_BETWEEN_KILLS


def kill_shipper(stack: Stack, seconds: float) -> Generator[float]:
    """Kill the shipper every 5 s, and restart it a second later."""
    for _ in range(_count_kills(seconds)):
        stack.shipper.kill()
        try:
            yield _RESTARTED_AFTER_SECONDS
        finally:
            stack.start_shipper()
        yield _SECONDS_BETWEEN_KILLS - _RESTARTED_AFTER_SECONDS


def kill_engine(stack: Stack, seconds: float) -> Generator[float]:
    """Kill Elasticsearch, and restart it when the time is over."""
    stack.engine.kill()
    try:
        yield seconds
    finally:
        stack.engine.start()


def shut_engine_down(stack: Stack, seconds: float) -> Generator[float]:
    """Stop Elasticsearch in an orderly way, and restart it when the time is over."""
    stack.engine.stop()
    try:
        yield seconds
    finally:
        stack.engine.start()


def stop_worker(stack: Stack, seconds: float) -> Generator[float]:
    """Suspend one of the service's workers."""
    yield from _wait_for_workers(stack.server)
    worker = stack.server.list_workers()[0]
    worker.suspend()
    try:
        yield seconds
    finally:
        worker.resume()


def stop_shipper(stack: Stack, seconds: float) -> Generator[float]:
    stack.shipper.suspend()
    try:
        yield seconds
    finally:
        stack.shipper.resume()


def stop_engine(stack: Stack, seconds: float) -> Generator[float]:
    """Suspend Elasticsearch: it accepts connections and does not respond."""
    stack.engine.suspend()
    try:
        yield seconds
    finally:
        stack.engine.resume()


def corrupt_positions(stack: Stack, seconds: float) -> Generator[float]:
    """Kill the shipper, corrupt its offsets in a different way each time, and restart it."""
    positions = stack.dirs.positions
    for corrupt in itertools.islice(itertools.cycle(_CORRUPTIONS), max(1, int(seconds / _SECONDS_BETWEEN_CORRUPTIONS))):
        stack.shipper.kill()
        positions.write_bytes(corrupt(positions.read_bytes()))
        stack.start_shipper()
        yield _SECONDS_BETWEEN_CORRUPTIONS


def _wait_for_workers(server: ChaosProcess) -> Generator[float]:
    """
    Wait until a killed worker has been replaced, so that the service loses one at a time.

    Raises:
        OperatorError: If a worker is still missing after a minute.
    """
    deadline = time.monotonic() + _REPLACED_WITHIN_SECONDS
    while (count := len(server.list_workers())) < WORKERS:
        if time.monotonic() > deadline:
            raise OperatorError(
                f"the service has {count} of its {WORKERS} workers, {_REPLACED_WITHIN_SECONDS:.0f} s after one ended"
            )
        yield _SECONDS_BETWEEN_POLLS


def _count_kills(seconds: float) -> int:
    return max(1, int(seconds / _SECONDS_BETWEEN_KILLS))
