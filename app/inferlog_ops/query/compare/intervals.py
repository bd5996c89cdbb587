"""
How far two versions are apart, and between which bounds the true difference lies with a given confidence. Pure.

Percentiles: the bootstrap's percentile interval. A resample of n sorted values is n uniform numbers that pick places in
them, and the k-th smallest value of the resample is at the place that the k-th smallest of these numbers picks, which
follows the beta distribution (k, n + 1 - k). So two draws from beta distributions take the place of n draws and a sort:
the same bootstrap, at a cost that does not depend on n.

Shares: Newcombe's hybrid score interval (Statistics in Medicine 17, 1998, method 10), from two Wilson intervals.

Means: Welch's t interval.

All take requests as independent of each other. Where they wait for one another in a queue, slow ones come in groups,
and the intervals are too narrow.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

from inferlog_ops.query.compare.sample import Numbers


@dataclass(frozen=True, slots=True)
class Interval:
    """From *low* to *high*, both included; in the unit of the figure."""

    low: float
    high: float


class Uncertainty(Protocol):
    """How sure the difference between two values, second - first, is."""

    def interval(self, confidence: float) -> Interval:
        """Return the bounds that hold the true difference with *confidence*, 0 to 1."""
        ...


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The second value minus the first in each pair of resamples: ``(resamples,)``, float64."""

    differences: Numbers

    def interval(self, confidence: float) -> Interval:
        """Return the bootstrap's percentile interval."""
        low, high = np.quantile(self.differences, [(1 - confidence) / 2, (1 + confidence) / 2])
        return Interval(float(low), float(high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcombe:
    """Of two shares, each a count of so many."""

    first_count: int
    first_of: int
    second_count: int
    second_of: int

    def interval(self, confidence: float) -> Interval:
        """Return Newcombe's hybrid score interval."""
        first, second = self.first_count / self.first_of, self.second_count / self.second_of
        first_wilson = wilson(self.first_count, self.first_of, confidence)
        second_wilson = wilson(self.second_count, self.second_of, confidence)
        below = math.hypot(second - second_wilson.low, first_wilson.high - first)
        above = math.hypot(second_wilson.high - second, first - first_wilson.low)
        return Interval(second - first - below, second - first + above)


@dataclass(frozen=True, slots=True, kw_only=True)
class Welch:
    """
    Of two means.

    Attributes:
        difference: Second mean minus the first.
        standard_error: Of that difference; 0 if neither side varies.
        degrees_of_freedom: By Welch and Satterthwaite; infinite where the standard error is 0.
    """

    difference: float
    standard_error: float
    degrees_of_freedom: float

    def interval(self, confidence: float) -> Interval:
        """Return Welch's t interval."""
        reach = float(stats.t.ppf((1 + confidence) / 2, self.degrees_of_freedom)) * self.standard_error
        return Interval(self.difference - reach, self.difference + reach)


def percentile(ordered: Numbers, fraction: float) -> float:
    """Return the linear interpolation between the two values of *ordered* nearest to *fraction*, as ES|QL does."""
    return float(np.quantile(ordered, fraction))


def resampled_percentiles(ordered: Numbers, fraction: float, resamples: int, dice: np.random.Generator) -> Numbers:
    """
    Return the percentile *fraction* of so many bootstrap resamples of *ordered*.

    Args:
        ordered: Two values at least, in ascending order.
        fraction: 0 to 1, both excluded.
        resamples: How many.
        dice: Where chance comes from.
    """
    size = len(ordered)
    place = (size - 1) * fraction
    below = int(place)
    share_above = place - below
    # Of `size` uniform numbers in order, the one at `below` and, beyond it, the next: see the head of this module.
    lower_pick = dice.beta(below + 1, size - below, resamples)
    upper_pick = lower_pick + (1 - lower_pick) * dice.beta(1, size - below - 1, resamples)
    lower, upper = (ordered[np.minimum((pick * size).astype(int), size - 1)] for pick in (lower_pick, upper_pick))
    percentiles: Numbers = lower + (upper - lower) * share_above
    return percentiles


def wilson(count: int, of: int, confidence: float) -> Interval:
    """Return Wilson's interval of the share *count* / *of*."""
    bounds = stats.binomtest(count, of).proportion_ci(confidence, method="wilson")
    return Interval(float(bounds.low), float(bounds.high))


def welch(first: Numbers, second: Numbers) -> Welch:
    """Compare the means of two samples of two values at least."""
    first_part, second_part = (float(np.var(each, ddof=1)) / len(each) for each in (first, second))
    error_squared = first_part + second_part
    freedom = (
        error_squared**2 / (first_part**2 / (len(first) - 1) + second_part**2 / (len(second) - 1))
        if error_squared > 0
        else math.inf
    )
    return Welch(
        difference=float(np.mean(second) - np.mean(first)),
        standard_error=math.sqrt(error_squared),
        degrees_of_freedom=freedom,
    )
