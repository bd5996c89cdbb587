"""Figures of a version comparison, computed from two samples. No I/O."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from inferlog_ops.query.compare.intervals import (
    Bootstrap,
    Newcombe,
    Uncertainty,
    compare_means,
    interpolate_percentile,
    resample_percentiles,
)
from inferlog_ops.query.compare.samples import Numbers, Sample, sort_known

FEWEST = 30
"""Minimum number of requests of each version for a verdict; the same as in canary_comparison.esql."""
FEWEST_OF_PERCENTILE = {0.50: FEWEST, 0.95: 100, 0.99: 500}
"""Minimum number of requests for a verdict on a percentile: with fewer, its interval is unreliable."""

LATENCY_P99, ERROR_RATE = "latency p99", "error rate"


class BetterDirection(StrEnum):
    """Direction in which a figure improves."""

    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedFigure:
    """
    One figure of both versions.

    Attributes:
        name: Display name, such as ``latency p99``.
        unit: "s", "1/s", "USD", "count", or "share" (0 to 1).
        better: Direction in which it improves; None for figures of the traffic, which are not judged.
        first: Value of the first version; None if unknown.
        second: Value of the second version; None if unknown.
        uncertainty: Uncertainty of the difference; None with too few requests, or if not judged.
    """

    name: str
    unit: str
    better: BetterDirection | None
    first: float | None
    second: float | None
    uncertainty: Uncertainty | None

    @property
    def difference(self) -> float | None:
        """The second value minus the first."""
        return None if self.first is None or self.second is None else self.second - self.first

    @property
    def relative_difference(self) -> float | None:
        """The difference as a share of the first value; None if that is 0."""
        return self.difference / self.first if self.difference is not None and self.first else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """
    Seed and size of the bootstrap.

    Attributes:
        seed: Random seed; the same seed gives the same intervals.
        resamples: Number of resamples for each percentile of each version.
    """

    seed: int
    resamples: int = 20_000

    def make_generator(self, figure: str, model_version: str) -> np.random.Generator:
        """
        Return the random generator for one figure of one version.

        It depends on the version, not on its position: swapping the versions negates the bounds.
        """
        return np.random.default_rng([self.seed, *f"{figure} {model_version}".encode()])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measure:
    """A value of each request and the percentiles of it to compare."""

    name: str
    unit: str
    better: BetterDirection
    fractions: tuple[float, ...]
    numbers: Callable[[Sample], Numbers]


_MEASURES = [
    _Measure(
        name="latency",
        unit="s",
        better=BetterDirection.LOWER,
        fractions=(0.50, 0.95, 0.99),
        numbers=lambda sample: sample.latency_seconds,
    ),
    _Measure(
        name="time to first token",
        unit="s",
        better=BetterDirection.LOWER,
        fractions=(0.50, 0.95, 0.99),
        numbers=lambda sample: sample.time_to_first_token_seconds,
    ),
    _Measure(
        name="output tokens/s of a request",
        unit="1/s",
        better=BetterDirection.HIGHER,
        fractions=(0.50,),
        numbers=lambda sample: sample.output_tokens_per_second,
    ),
]


def compute_figures(
    first: Sample, second: Sample, span_seconds: float, resampling: Resampling
) -> Iterator[ComparedFigure]:
    """Yield each figure of *first* and *second*, over a range of *span_seconds*."""
    both = first, second
    for measure in _MEASURES:
        for fraction in measure.fractions:
            yield _compare_percentile(measure, fraction, both, resampling)
    yield _compare_error_rate(both)
    yield _compare_cost(both)
    yield _compare_traffic("requests", "count", [each.counts.requests for each in both])
    yield _compare_traffic("requests/s", "1/s", [each.counts.requests / span_seconds for each in both])
    yield _compare_traffic(
        "output tokens/s of the range", "1/s", [each.counts.output_tokens / span_seconds for each in both]
    )


def _compare_percentile(
    measure: _Measure, fraction: float, both: tuple[Sample, Sample], resampling: Resampling
) -> ComparedFigure:
    name = f"{measure.name} p{100 * fraction:.0f}"
    ordered = [sort_known(measure.numbers(each)) for each in both]
    values = [interpolate_percentile(each, fraction) if len(each) else None for each in ordered]
    uncertainty = None
    if min(map(len, ordered)) >= FEWEST_OF_PERCENTILE[fraction]:
        first, second = (
            resample_percentiles(
                each, fraction, resampling.resamples, resampling.make_generator(name, sample.model_version)
            )
            for each, sample in zip(ordered, both, strict=True)
        )
        uncertainty = Bootstrap(second - first)
    return ComparedFigure(
        name=name,
        unit=measure.unit,
        better=measure.better,
        first=values[0],
        second=values[1],
        uncertainty=uncertainty,
    )


def _compare_error_rate(both: tuple[Sample, Sample]) -> ComparedFigure:
    first, second = (each.counts for each in both)
    uncertainty = Newcombe(
        first_count=first.errors, first_of=first.requests, second_count=second.errors, second_of=second.requests
    )
    return ComparedFigure(
        name=ERROR_RATE,
        unit="share",
        better=BetterDirection.LOWER,
        first=first.errors / first.requests,
        second=second.errors / second.requests,
        uncertainty=uncertainty if min(first.requests, second.requests) >= FEWEST else None,
    )


def _compare_cost(both: tuple[Sample, Sample]) -> ComparedFigure:
    costs = [sort_known(each.cost_usd) * 1_000 for each in both]
    first, second = (float(np.mean(each)) if len(each) else None for each in costs)
    return ComparedFigure(
        name="cost of 1 000 requests",
        unit="USD",
        better=BetterDirection.LOWER,
        first=first,
        second=second,
        uncertainty=compare_means(*costs) if min(map(len, costs)) >= FEWEST else None,
    )


def _compare_traffic(name: str, unit: str, values: list[float]) -> ComparedFigure:
    return ComparedFigure(name=name, unit=unit, better=None, first=values[0], second=values[1], uncertainty=None)
