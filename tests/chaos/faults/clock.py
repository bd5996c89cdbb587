"""A clock that is set back."""

import time
from collections.abc import Generator
from datetime import datetime
from pathlib import Path

from tests.chaos.clock import set_wrong
from tests.chaos.disk import read_lines
from tests.chaos.faults.fault import MissedError
from tests.chaos.stack import Stack

_BACK_SECONDS = -3600


def set_clock_back(stack: Stack, seconds: float) -> Generator[float]:
    """Set the service's clock back by an hour, and right again."""
    set_wrong(stack.place.clock, _BACK_SECONDS)
    try:
        yield seconds
    finally:
        set_wrong(stack.place.clock, 0)
    if not _an_event_is_from_before(time.time() + _BACK_SECONDS / 2, stack.place.logs):
        raise MissedError("no event has a wrong time")


def _an_event_is_from_before(moment: float, logs: Path) -> bool:
    lines = (line for line in read_lines(logs) if line.stream == "events")
    return any(datetime.fromisoformat(line.content["@timestamp"]).timestamp() < moment for line in lines)
