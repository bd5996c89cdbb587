"""Steadiness of a repeatedly measured value: the rule that distinguishes a leak from noise."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

Sample = TypeVar("Sample")

TENTHS = 10
TOLERANCE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Steadiness:
    """
    The beginning of a run against its end.

    Attributes:
        first: Median of the second tenth of the samples: in the first one caches fill and pools open.
        last: Median of the last tenth.
    """

    first: float
    last: float

    @property
    def change(self) -> float:
        """Relative growth: 0.05 is 5 %. Negative if it shrank."""
        if self.first == 0:
            return 0.0 if self.last == 0 else float("inf")
        return self.last / self.first - 1

    def is_within(self, tolerance: float = TOLERANCE) -> bool:
        """Return whether it changed by at most *tolerance*, in either direction."""
        return abs(self.change) <= tolerance


def measure_steadiness(samples: Sequence[float]) -> Steadiness:
    """
    Compare the second tenth of *samples* with the last one.

    Raises:
        ValueError: If there are too few for tenths.
    """
    tenths = split_into_tenths(samples)
    return Steadiness(first=statistics.median(tenths[1]), last=statistics.median(tenths[-1]))


def compare_early_and_late(early: Sequence[float], late: Sequence[float]) -> Steadiness:
    return Steadiness(first=statistics.median(early), last=statistics.median(late))


def split_into_tenths(samples: Sequence[Sample]) -> list[Sequence[Sample]]:
    """
    Cut *samples* into ten parts of about the same length, in their order.

    Raises:
        ValueError: If there are fewer than ten.
    """
    if len(samples) < TENTHS:
        raise ValueError(f"{len(samples)} samples; expected {TENTHS} or more, for there to be tenths")
    cuts = [round(number * len(samples) / TENTHS) for number in range(TENTHS + 1)]
    return [samples[begin:end] for begin, end in pairwise(cuts)]
