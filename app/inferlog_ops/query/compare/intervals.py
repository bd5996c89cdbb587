"""
Confidence intervals of the difference between two versions. No I/O.

Percentiles: the bootstrap's percentile interval. A resample of n sorted values is n uniform numbers that select
indices. The k-th smallest value of the resample is at the index selected by the k-th smallest number, which follows
the beta distribution (k, n + 1 - k). Two draws from beta distributions therefore replace n draws and a sort: the same
bootstrap, at a cost independent of n.

Shares: Newcombe's hybrid score interval (Statistics in Medicine 17, 1998, method 10), from two Wilson intervals.

Means: Welch's t interval.

All methods treat requests as independent. Requests that wait in one queue are slow in groups, and their intervals are
too narrow.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

from inferlog_ops.query.compare.samples import Numbers


@dataclass(frozen=True, slots=True)
class Interval:
    """Closed interval, in the unit of the figure."""

    low: float
    high: float


class Uncertainty(Protocol):
    """Uncertainty of the difference between two values, second - first."""

    def compute_interval(self, confidence: float) -> Interval:
        """Return the interval of the difference with *confidence*, 0 to 1."""
        ...


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Bootstrap of a percentile: differences second - first, ``(resamples,)``, float64."""

    differences: Numbers

    def compute_interval(self, confidence: float) -> Interval:
        """Return the bootstrap's percentile interval."""
        low, high = np.quantile(self.differences, [(1 - confidence) / 2, (1 + confidence) / 2])
        return Interval(float(low), float(high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcombe:
    """Uncertainty of the difference of two shares."""

    first_count: int
    first_of: int
    second_count: int
    second_of: int

    def compute_interval(self, confidence: float) -> Interval:
        """Return Newcombe's hybrid score interval."""
        first, second = self.first_count / self.first_of, self.second_count / self.second_of
        first_wilson = compute_wilson_interval(self.first_count, self.first_of, confidence)
        second_wilson = compute_wilson_interval(self.second_count, self.second_of, confidence)
        below = math.hypot(second - second_wilson.low, first_wilson.high - first)
        above = math.hypot(second_wilson.high - second, first - first_wilson.low)
        return Interval(second - first - below, second - first + above)


@dataclass(frozen=True, slots=True, kw_only=True)
class Welch:
    """
    Uncertainty of the difference of two means.

    Attributes:
        difference: Second mean minus the first.
        standard_error: Standard error of the difference; 0 if neither sample varies.
        degrees_of_freedom: By Welch and Satterthwaite; infinite where the standard error is 0.
    """

    difference: float
    standard_error: float
    degrees_of_freedom: float

    def compute_interval(self, confidence: float) -> Interval:
        """Return Welch's t interval."""
        reach = float(stats.t.ppf((1 + confidence) / 2, self.degrees_of_freedom)) * self.standard_error
        return Interval(self.difference - reach, self.difference + reach)


def interpolate_percentile(ordered: Numbers, fraction: float) -> float:
    """Return the linear interpolation between the two values of *ordered* nearest to *fraction*, as ES|QL does."""
    return float(np.quantile(ordered, fraction))


def resample_percentiles(ordered: Numbers, fraction: float, resamples: int, generator: np.random.Generator) -> Numbers:
    """
    Return the percentile *fraction* of each of *resamples* bootstrap resamples of *ordered*.

    Args:
        ordered: At least two values, in ascending order.
        fraction: 0 to 1, both exclusive.
        resamples: Number of resamples.
        generator: Random generator.
    """
    size = len(ordered)
    place = (size - 1) * fraction
    below = int(place)
    share_above = place - below
    # The order statistics `below` and `below + 1` of `size` uniform numbers: see the module docstring.
    lower_pick = generator.beta(below + 1, size - below, resamples)
    upper_pick = lower_pick + (1 - lower_pick) * generator.beta(1, size - below - 1, resamples)
    lower, upper = (ordered[np.minimum((pick * size).astype(int), size - 1)] for pick in (lower_pick, upper_pick))
    percentiles: Numbers = lower + (upper - lower) * share_above
    return percentiles


def compute_wilson_interval(count: int, of: int, confidence: float) -> Interval:
    """Return Wilson's interval of the share *count* / *of*."""
    bounds = stats.binomtest(count, of).proportion_ci(confidence, method="wilson")
    return Interval(float(bounds.low), float(bounds.high))


def compare_means(first: Numbers, second: Numbers) -> Welch:
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
