from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.ship.delivery import compute_backoff_seconds


def test_backoff_doubles_up_to_its_limit() -> None:
    waits = [
        compute_backoff_seconds(tries, first_seconds=0.5, longest_seconds=30, jitter=1.0) for tries in range(1, 10)
    ]
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@given(tries=st.integers(1, 10**9))
def test_jitter_is_at_most_half_of_the_backoff(tries: int) -> None:
    longest = compute_backoff_seconds(tries, first_seconds=0.5, longest_seconds=30, jitter=1.0)
    assert longest / 2 <= compute_backoff_seconds(tries, first_seconds=0.5, longest_seconds=30) <= longest
