"""When a caller asks: moments drawn beforehand, which no answer can put off."""

import itertools
from collections.abc import Iterator
from random import Random


def independent(requests_per_second: float, draw: Random) -> Iterator[float]:
    """
    Yield the seconds after which each request is due, for ever: those of many people who know nothing of each other.

    Gaps are exponential. The requests of several such callers together are what one of the summed rate would send.
    """
    due = 0.0
    while True:
        due += draw.expovariate(requests_per_second)
        yield due


def bursts(requests_per_second: float, draw: Random, *, size: int) -> Iterator[float]:
    """Yield the same on average, but *size* requests at the same moment, and so much less often."""
    for due in independent(requests_per_second / size, draw):
        yield from itertools.repeat(due, size)
