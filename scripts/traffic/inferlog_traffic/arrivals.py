"""Arrival times: when requests are due, and how the rate changes during a run. No response delays them."""

import itertools
import math
from collections.abc import Callable, Iterator
from random import Random
from typing import Final


def draw_independent(requests_per_second: float, draw: Random) -> Iterator[float]:
    """
    Yield the times in seconds at which requests of independent users are due, forever.

    Gaps are exponential. Several such callers together send the same load as one caller with the summed rate.
    """
    due = 0.0
    while True:
        due += draw.expovariate(requests_per_second)
        yield due


def draw_bursts(requests_per_second: float, draw: Random, *, size: int) -> Iterator[float]:
    """Yield the same rate on average, as bursts of *size* requests at the same time."""
    for due in draw_independent(requests_per_second / size, draw):
        yield from itertools.repeat(due, size)


Curve = Callable[[float], float]

_STEPS: Final = 5
AT_REST: Final = 0.2
"""Lowest share of a curve, except at the start of a ramp."""


def flat(_: float) -> float:
    """Keep the rate constant."""
    return 1.0


def steps(time: float) -> float:
    """Rise in five equal steps, to find the rate at which the service falls behind."""
    return (min(int(time * _STEPS), _STEPS - 1) + 1) / _STEPS


def ramp(time: float) -> float:
    """Rise linearly from 0."""
    return time


def spike(time: float) -> float:
    """Rest, with a spike for a fifth of the time in the middle, to measure the recovery of the service."""
    return 1.0 if 0.4 <= time < 0.6 else AT_REST


def day(time: float) -> float:
    """Follow one day from midnight to midnight, with the lowest rate at 4 a.m. and the highest at 4 p.m."""
    return AT_REST + (1 - AT_REST) * (1 - math.cos(2 * math.pi * (time - 4 / 24))) / 2


CURVES: Final[dict[str, Curve]] = {curve.__name__: curve for curve in (flat, steps, ramp, spike, day)}
