"""Which figures two versions are compared by, and how each of them is reckoned from two samples. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from inferlog_ops.query.compare.intervals import (
    Bootstrap,
    Newcombe,
    Uncertainty,
    percentile,
    resampled_percentiles,
    welch,
)
from inferlog_ops.query.compare.sample import Numbers, Sample, known

FEWEST = 30
"""Requests of either version below which no figure is judged; the same as in canary_comparison.esql."""
FEWEST_OF_PERCENTILE = {0.50: FEWEST, 0.95: 100, 0.99: 500}
"""Below these a percentile hangs on a handful of requests, and its interval holds the truth too seldom."""

LATENCY_P99, ERROR_RATE = "latency p99", "error rate"


class Wanted(StrEnum):
    """In which direction a figure is good."""

    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """
    One figure of both versions.

    Attributes:
        name: Such as ``latency p99``.
        unit: "s", "1/s", "USD", "count", or "share", which is 0 to 1.
        wanted: In which direction it is good; None for what is not judged, since it follows the traffic.
        first: The value of the first version; None if none of its requests has one.
        second: That of the second.
        uncertainty: Of their difference; None if there are too few requests, or if it is not judged.
    """

    name: str
    unit: str
    wanted: Wanted | None
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
class Chance:
    """
    Where the resamples come from.

    Attributes:
        seed: The same one gives the same intervals.
        resamples: How many for each percentile of each version.
    """

    seed: int
    resamples: int = 20_000

    def dice(self, figure: str, model_version: str) -> np.random.Generator:
        """
        Return the dice for one figure of one version.

        They hang on the version, not on its place in the comparison: who swaps the two gets the same bounds, negated.
        """
        return np.random.default_rng([self.seed, *f"{figure} {model_version}".encode()])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """What each request has a number of, and the percentiles of it that are compared."""

    name: str
    unit: str
    wanted: Wanted
    fractions: tuple[float, ...]
    numbers: Callable[[Sample], Numbers]


_MEASURED = [
    _Measured(
        name="latency",
        unit="s",
        wanted=Wanted.LOWER,
        fractions=(0.50, 0.95, 0.99),
        numbers=lambda sample: sample.latency_seconds,
    ),
    _Measured(
        name="time to first token",
        unit="s",
        wanted=Wanted.LOWER,
        fractions=(0.50, 0.95, 0.99),
        numbers=lambda sample: sample.time_to_first_token_seconds,
    ),
    _Measured(
        name="output tokens/s of a request",
        unit="1/s",
        wanted=Wanted.HIGHER,
        fractions=(0.50,),
        numbers=lambda sample: sample.output_tokens_per_second,
    ),
]


def figures(first: Sample, second: Sample, span_seconds: float, chance: Chance) -> Iterator[Figure]:
    """Yield each figure of *first* and *second*, whose requests lie in a range of *span_seconds*."""
    both = first, second
    for measured in _MEASURED:
        for fraction in measured.fractions:
            yield _percentile(measured, fraction, both, chance)
    yield _error_rate(both)
    yield _cost(both)
    yield _traffic("requests", "count", [each.counts.requests for each in both])
    yield _traffic("requests/s", "1/s", [each.counts.requests / span_seconds for each in both])
    yield _traffic("output tokens/s of the range", "1/s", [each.counts.output_tokens / span_seconds for each in both])


def _percentile(measured: _Measured, fraction: float, both: tuple[Sample, Sample], chance: Chance) -> Figure:
    name = f"{measured.name} p{100 * fraction:.0f}"
    ordered = [known(measured.numbers(each)) for each in both]
    values = [percentile(each, fraction) if len(each) else None for each in ordered]
    uncertainty = None
    if min(map(len, ordered)) >= FEWEST_OF_PERCENTILE[fraction]:
        first, second = (
            resampled_percentiles(each, fraction, chance.resamples, chance.dice(name, sample.model_version))
            for each, sample in zip(ordered, both, strict=True)
        )
        uncertainty = Bootstrap(second - first)
    return Figure(
        name=name,
        unit=measured.unit,
        wanted=measured.wanted,
        first=values[0],
        second=values[1],
        uncertainty=uncertainty,
    )


def _error_rate(both: tuple[Sample, Sample]) -> Figure:
    first, second = (each.counts for each in both)
    uncertainty = Newcombe(
        first_count=first.errors, first_of=first.requests, second_count=second.errors, second_of=second.requests
    )
    return Figure(
        name=ERROR_RATE,
        unit="share",
        wanted=Wanted.LOWER,
        first=first.errors / first.requests,
        second=second.errors / second.requests,
        uncertainty=uncertainty if min(first.requests, second.requests) >= FEWEST else None,
    )


def _cost(both: tuple[Sample, Sample]) -> Figure:
    costs = [known(each.cost_usd) * 1_000 for each in both]
    first, second = (float(np.mean(each)) if len(each) else None for each in costs)
    return Figure(
        name="cost of 1 000 requests",
        unit="USD",
        wanted=Wanted.LOWER,
        first=first,
        second=second,
        uncertainty=welch(*costs) if min(map(len, costs)) >= FEWEST else None,
    )


def _traffic(name: str, unit: str, values: list[float]) -> Figure:
    return Figure(name=name, unit=unit, wanted=None, first=values[0], second=values[1], uncertainty=None)
