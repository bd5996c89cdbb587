"""Comparison of event timestamps with this machine's clock: a wrong clock puts events outside of query time ranges."""

import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

LIMIT_SECONDS: Final = 5.0
"""Larger skews are reported. The time from a line's timestamp to its write is far shorter."""

_TIMESTAMP = re.compile(rb'"@timestamp"\s*:\s*"([^"\\]{10,40})"')
_SEARCHED_BYTES = 4096
_KEPT_SECONDS = 60.0
"""A running service writes heartbeats more often, so a file without a new line for this long no longer counts."""


@dataclass(frozen=True, slots=True)
class Moment:
    """
    One moment on both clocks of this machine.

    Attributes:
        wall_seconds: Unix time. Jumps when the clock is set.
        monotonic_seconds: Never jumps, and stops while the machine is suspended.
    """

    wall_seconds: float
    monotonic_seconds: float

    @classmethod
    def read_clocks(cls) -> Self:
        return cls(time.time(), time.monotonic())


class ClockSkew:
    """The skew of recently read files. Written by one thread, readable from all."""

    def __init__(self) -> None:
        self._noted: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def note(self, file_name: str, line: bytes, *, written_after: Moment | None) -> None:
        """
        Compare the timestamp of *line* with this machine's clock.

        Args:
            file_name: File that contains the line.
            line: Newest line of a read. One line per read is sufficient and cheap.
            written_after: A moment before the line was written; None if unknown.
        """
        stamped = read_event_time(line)
        if stamped is None:
            return
        now = Moment.read_clocks()
        skew = compute_skew(stamped.timestamp(), written_after=written_after, now=now)
        with self._lock:
            self._noted[file_name] = (now.monotonic_seconds, skew)

    def find_largest_seconds(self) -> float | None:
        """Return the largest recent skew, negative for events behind this clock; None without a recent comparison."""
        oldest = time.monotonic() - _KEPT_SECONDS
        with self._lock:
            self._noted = {name: noted for name, noted in self._noted.items() if noted[0] >= oldest}
            return max((skew for _, skew in self._noted.values()), key=abs, default=None)


def is_beyond_limit(skew: float | None) -> bool:
    return skew is not None and abs(skew) > LIMIT_SECONDS


def compute_skew(stamped: float, *, written_after: Moment | None, now: Moment) -> float:
    """
    Return the certain difference in seconds between the clock of a timestamp and this clock; 0 if none is certain.

    A timestamp in the future is ahead. A timestamp in the past may belong to a line that was read late, so the clock
    is behind only if the line is known to be newer.

    Args:
        stamped: The timestamp, as Unix time.
        written_after: A moment before the line was written; None if unknown.
        now: A moment after the line was read.
    """
    if stamped > now.wall_seconds:
        return stamped - now.wall_seconds
    if written_after is None:
        return 0.0
    # Setting the clock or suspending the machine makes one of the two bounds too late, never both.
    passed = now.monotonic_seconds - written_after.monotonic_seconds
    return min(0.0, stamped - min(written_after.wall_seconds, now.wall_seconds - passed))


def read_event_time(line: bytes) -> datetime | None:
    """Return the ``@timestamp`` near the beginning of *line*; None without a valid one."""
    found = _TIMESTAMP.search(line, 0, _SEARCHED_BYTES)
    if found is None:
        return None
    try:
        stamped = datetime.fromisoformat(found[1].decode())
    except ValueError:
        return None
    return stamped if stamped.tzinfo else stamped.replace(tzinfo=UTC)
