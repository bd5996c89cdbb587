"""How the rate of requests changes during a run, as a share of its highest: of time from 0 to 1, and from 0 to 1."""

import math
from collections.abc import Callable
from typing import Final

Curve = Callable[[float], float]

_STEPS: Final = 5
AT_REST: Final = 0.2
"""The least, but for the begin of a ramp."""


def flat(_: float) -> float:
    """Return the same at all times."""
    return 1.0


def steps(time: float) -> float:
    """Climb in five equal steps: where does the service stop keeping up?"""
    return (min(int(time * _STEPS), _STEPS - 1) + 1) / _STEPS


def ramp(time: float) -> float:
    """Climb evenly from nothing."""
    return time


def spike(time: float) -> float:
    """Rest, but for a fifth of the time in the middle: does it recover, and how soon?"""
    return 1.0 if 0.4 <= time < 0.6 else AT_REST


def day(time: float) -> float:
    """Run through one day from midnight to midnight: quiet at four in the morning, busiest at four in the afternoon."""
    return AT_REST + (1 - AT_REST) * (1 - math.cos(2 * math.pi * (time - 4 / 24))) / 2


CURVES: Final[dict[str, Curve]] = {curve.__name__: curve for curve in (flat, steps, ramp, spike, day)}
