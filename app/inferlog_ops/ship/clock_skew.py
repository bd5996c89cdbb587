"""Compares event timestamps with this machine's clock: a wrong one puts events outside of the ranges of queries."""

import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

LIMIT_SECONDS: Final = 5.0
"""A larger skew is reported: far more than a line takes from its timestamp into its file."""

_TIMESTAMP = re.compile(rb'"@timestamp"\s*:\s*"([^"\\]{10,40})"')
_SEARCHED_BYTES = 4096
_KEPT_SECONDS = 60.0
"""A live service writes a heartbeat more often, so a file without a new line for so long no longer counts."""


@dataclass(frozen=True, slots=True)
class Moment:
    """
    One moment on both clocks of this machine.

    Attributes:
        wall_seconds: Unix time; it jumps when the clock is set.
        monotonic_seconds: Never jumps, and does not count a suspended machine.
    """

    wall_seconds: float
    monotonic_seconds: float

    @classmethod
    def now(cls) -> Self:
        """Return the present moment."""
        return cls(time.time(), time.monotonic())


class ClockSkew:
    """The skew of the files that were read of late. One thread notes, others may read."""

    def __init__(self) -> None:
        self._noted: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def note(self, file_name: str, line: bytes, *, written_after: Moment | None) -> None:
        """
        Compare the time of *line* with this clock.

        Args:
            file_name: Holds the line.
            line: The newest one of a read. One in each read is enough, and costs next to nothing.
            written_after: A moment at which the line was not in the file yet; None if none is known.
        """
        stamped = event_time(line)
        if stamped is None:
            return
        now = Moment.now()
        skew = skew_seconds(stamped.timestamp(), written_after=written_after, now=now)
        with self._lock:
            self._noted[file_name] = (now.monotonic_seconds, skew)

    def seconds(self) -> float | None:
        """Return the largest skew of late, negative for events behind this clock; None if nothing was compared."""
        oldest = time.monotonic() - _KEPT_SECONDS
        with self._lock:
            self._noted = {name: noted for name, noted in self._noted.items() if noted[0] >= oldest}
            return max((skew for _, skew in self._noted.values()), key=abs, default=None)


def is_beyond_limit(skew: float | None) -> bool:
    """Whether a skew of so many seconds is to be reported."""
    return skew is not None and abs(skew) > LIMIT_SECONDS


def skew_seconds(stamped: float, *, written_after: Moment | None, now: Moment) -> float:
    """
    Return by how many seconds the clock that made a timestamp surely differs from this one, 0 if that is not sure.

    A timestamp in the future is ahead. One in the past may come from a line that is read late, so it is behind only if
    the line is known to be younger.

    Args:
        stamped: The timestamp, as Unix time.
        written_after: A moment before the line was written; None if none is known.
        now: A moment after the line was read.
    """
    if stamped > now.wall_seconds:
        return stamped - now.wall_seconds
    if written_after is None:
        return 0.0
    # A clock that was set meanwhile, or a machine that was suspended, makes one of the two too late, never both.
    passed = now.monotonic_seconds - written_after.monotonic_seconds
    return min(0.0, stamped - min(written_after.wall_seconds, now.wall_seconds - passed))


def event_time(line: bytes) -> datetime | None:
    """Return the ``@timestamp`` near the beginning of *line*; None if there is no valid one."""
    found = _TIMESTAMP.search(line, 0, _SEARCHED_BYTES)
    if found is None:
        return None
    try:
        stamped = datetime.fromisoformat(found[1].decode())
    except ValueError:
        return None
    return stamped if stamped.tzinfo else stamped.replace(tzinfo=UTC)
