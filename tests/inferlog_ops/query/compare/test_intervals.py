"""The intervals against independent computations on the same numbers, and their coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from inferlog_ops.query.compare.intervals import (
    Bootstrap,
    Interval,
    Newcombe,
    Welch,
    compare_means,
    interpolate_percentile,
    resample_percentiles,
)
from inferlog_ops.query.compare.samples import Numbers
from tests.golden.reading import compute_percentile as golden_percentile

RESAMPLES = 20_000


def _make_latencies(size: int, seed: int, *, median: float = 0.3) -> Numbers:
    return np.sort(median * np.random.default_rng(seed).lognormal(0, 0.8, size))


def _build_bootstrap(first: Numbers, second: Numbers, fraction: float, *, resamples: int, seed: int) -> Bootstrap:
    dice = np.random.default_rng(seed)
    one, other = (resample_percentiles(each, fraction, resamples, dice) for each in (first, second))
    return Bootstrap(other - one)


@pytest.mark.parametrize("fraction", [0.5, 0.95, 0.99])
@pytest.mark.parametrize(
    "ordered",
    [
        pytest.param(_make_latencies(2, 1), id="two"),
        pytest.param(_make_latencies(31, 2), id="few"),
        pytest.param(_make_latencies(600, 3), id="many"),
        pytest.param(np.round(_make_latencies(200, 4), 1), id="many alike"),
    ],
)
def test_two_draws_equal_resampling_all_numbers(ordered: Numbers, fraction: float) -> None:
    ours = resample_percentiles(ordered, fraction, RESAMPLES, np.random.default_rng(5))
    dice = np.random.default_rng(6)
    theirs = np.quantile(dice.choice(ordered, (RESAMPLES, len(ordered))), fraction, axis=1)
    # Rounded, since two interpolations of the same two numbers may differ in the last digit.
    assert stats.ks_2samp(ours.round(9), theirs.round(9)).pvalue > 0.001


def test_wrong_rank_would_be_noticed() -> None:
    ordered = _make_latencies(600, 3)
    dice = np.random.default_rng(6)
    theirs = np.quantile(dice.choice(ordered, (RESAMPLES, len(ordered))), 0.99, axis=1)
    one_off = resample_percentiles(ordered, 0.99 - 1 / len(ordered), RESAMPLES, np.random.default_rng(5))
    assert stats.ks_2samp(one_off, theirs).pvalue < 0.001


@pytest.mark.parametrize("fraction", [0.5, 0.95, 0.99])
def test_interval_of_a_percentile_is_the_one_of_scipy(fraction: float) -> None:
    first, second = _make_latencies(700, 7), _make_latencies(500, 8, median=0.4)
    ours = _build_bootstrap(first, second, fraction, resamples=RESAMPLES, seed=9).compute_interval(0.95)
    theirs = stats.bootstrap(
        (first, second),
        lambda one, other, axis: np.quantile(other, fraction, axis=axis) - np.quantile(one, fraction, axis=axis),
        method="percentile",
        n_resamples=RESAMPLES,
        batch=2_000,
        rng=np.random.default_rng(10),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.05 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.05 * width)


@pytest.mark.parametrize(("fraction", "size"), [(0.5, 30), (0.95, 100), (0.99, 500)])
@pytest.mark.parametrize("more", [1, 5], ids=["as many of each", "five times as many of one"])
def test_interval_covers_the_true_difference_at_its_confidence(fraction: float, size: int, more: int) -> None:
    """At the fewest requests that get a verdict, for latencies with a long tail; 800 pairs, so 0.95 ± 0.015."""
    dice = np.random.default_rng(11)
    truth = (0.4 - 0.3) * float(np.exp(0.8 * stats.norm.ppf(fraction)))
    holding = 0
    for pair in range(800):
        first, second = (
            np.sort(dice.lognormal(np.log(median), 0.8, count)) for median, count in ((0.3, size), (0.4, more * size))
        )
        interval = _build_bootstrap(first, second, fraction, resamples=1_000, seed=pair).compute_interval(0.95)
        holding += interval.low <= truth <= interval.high
    assert 0.92 < holding / 800 < 0.985


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.sampled_from([50, 95, 99]))
def test_percentile_equals_the_interpolation_of_the_queries(values: list[float], percent: int) -> None:
    assert interpolate_percentile(np.sort(values), percent / 100) == pytest.approx(golden_percentile(values, percent))


@pytest.mark.parametrize(
    ("second", "first", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_interval_of_a_share_is_the_published_one(
    second: tuple[int, int], first: tuple[int, int], low: float, high: float
) -> None:
    """Newcombe 1998, table II, method 10."""
    newcombe = Newcombe(first_count=first[0], first_of=first[1], second_count=second[0], second_of=second[1])
    interval = newcombe.compute_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.00005)


@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_interval_of_a_mean_is_the_one_of_scipy(confidence: float) -> None:
    first, second = _make_latencies(40, 12), _make_latencies(300, 13, median=0.5)
    ours = compare_means(first, second).compute_interval(confidence)
    theirs = stats.ttest_ind(second, first, equal_var=False).confidence_interval(confidence)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)


def test_means_without_variation_differ_for_certain() -> None:
    interval = compare_means(np.full(30, 2.0), np.full(40, 2.5)).compute_interval(0.95)
    assert interval == Interval(0.5, 0.5)


@pytest.mark.parametrize(
    "uncertainty",
    [
        Bootstrap(np.random.default_rng(14).normal(size=5_000)),
        Newcombe(first_count=3, first_of=90, second_count=9, second_of=80),
        Welch(difference=0.4, standard_error=0.2, degrees_of_freedom=31.5),
    ],
    ids=lambda each: type(each).__name__,
)
@given(st.floats(0.5, 0.999), st.floats(0.5, 0.999))
def test_more_confidence_takes_a_wider_interval(
    uncertainty: Bootstrap | Newcombe | Welch, one: float, other: float
) -> None:
    narrow, wide = (uncertainty.compute_interval(confidence) for confidence in sorted((one, other)))
    assert wide.low <= narrow.low <= narrow.high <= wide.high
