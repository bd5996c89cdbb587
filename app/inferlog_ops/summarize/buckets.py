"""
Logarithmic buckets of latencies, and their encoding in one field of a summary.

A bucket is 3 % wide, so its geometric middle is within 1.5 % of each latency in it. The encoding is one number for each
bucket, because ES|QL has no type for a histogram: the bucket in the upper bits, the count of its requests in the lower
ones. The numbers of a document are distinct, so sorting and deduplication by the index are harmless.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final

GROWTH: Final = 1.03
"""Ratio of a bucket's upper to its lower bound."""

LOWEST_SECONDS: Final = 0.000_001
"""Lower bound of bucket 1: the resolution of ``latency_seconds``. Bucket 0 holds everything below, which is zero."""

HIGHEST_BUCKET: Final = 1023
"""It begins at 152 days. Ten bits: a query finds a percentile in ten steps."""

COUNT_UNIT: Final = 1 << 40
"""Value of the lowest bit of the bucket. The sum of one number for each bucket fits in 63 bits."""

ESQL_BUCKET: Final = (
    f"CASE(latency_seconds < {LOWEST_SECONDS:.6f}, 0::long, latency_seconds >= {LOWEST_SECONDS:.6f}, "
    f"LEAST({HIGHEST_BUCKET}::long, 1 + TO_LONG(FLOOR(LOG(latency_seconds / {LOWEST_SECONDS:.6f}) / LOG({GROWTH})))))"
)
"""`find_bucket` of the field ``latency_seconds`` in ES|QL; null if it is missing."""


def find_bucket(latency_seconds: float) -> int:
    """Return the bucket of *latency_seconds*."""
    if latency_seconds < LOWEST_SECONDS:
        return 0
    return min(HIGHEST_BUCKET, 1 + math.floor(math.log(latency_seconds / LOWEST_SECONDS) / math.log(GROWTH)))


def encode_counts(counts: Mapping[int, int]) -> tuple[int, ...]:
    """Encode the number of requests by bucket, in ascending order of the buckets."""
    return tuple(bucket * COUNT_UNIT + count for bucket, count in sorted(counts.items()))


def decode_counts(encoded: Iterable[int]) -> dict[int, int]:
    """Return the number of requests by bucket."""
    return dict(divmod(each, COUNT_UNIT) for each in encoded)
