"""Bounds, error and encoding of latency buckets."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.summarize.buckets import (
    COUNT_UNIT,
    GROWTH,
    HIGHEST_BUCKET,
    LOWEST_SECONDS,
    decode_counts,
    encode_counts,
    find_bucket,
)

DAY_SECONDS = 86_400.0
COUNTS = st.dictionaries(st.integers(0, HIGHEST_BUCKET), st.integers(1, COUNT_UNIT - 1), max_size=50)


def estimate_seconds(bucket: int) -> float:
    """Return the geometric middle of *bucket*, which the queries show for each latency in it."""
    return LOWEST_SECONDS * GROWTH ** (bucket - 0.5) if bucket else 0.0


@given(st.floats(0.000_001, 150 * DAY_SECONDS))
def test_estimate_is_within_one_and_a_half_percent_of_each_latency(latency_seconds: float) -> None:
    assert estimate_seconds(find_bucket(latency_seconds)) == pytest.approx(latency_seconds, rel=0.015)


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_buckets_are_in_the_order_of_latencies(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= find_bucket(low) <= find_bucket(high) <= HIGHEST_BUCKET


@pytest.mark.parametrize("latency_seconds", [-1.0, 0.0, 0.000_000_9])
def test_zero_has_a_bucket_of_its_own(latency_seconds: float) -> None:
    assert find_bucket(latency_seconds) == 0
    assert estimate_seconds(0) == 0.0


def test_longer_latencies_are_in_the_highest_bucket() -> None:
    assert find_bucket(1e300) == find_bucket(153 * DAY_SECONDS) == HIGHEST_BUCKET
    assert find_bucket(150 * DAY_SECONDS) < HIGHEST_BUCKET


@given(COUNTS)
def test_decoded_counts_equal_the_encoded_ones(counts: dict[int, int]) -> None:
    encoded = encode_counts(counts)
    assert decode_counts(encoded) == counts
    assert list(encoded) == sorted(set(encoded)), "the index sorts the numbers and drops repeated ones"


def test_sum_over_every_bucket_fits_in_a_signed_64_bit_number() -> None:
    requests = COUNT_UNIT - 1
    each = encode_counts(dict.fromkeys(range(HIGHEST_BUCKET + 1), requests // (HIGHEST_BUCKET + 1)))
    assert sum(each) < 1 << 63
    assert sum(each) % COUNT_UNIT <= requests
    assert math.log2(HIGHEST_BUCKET + 1) == 10, "a query finds a percentile in ten steps"
