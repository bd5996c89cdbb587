from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.ship.backoff import delay_seconds


def test_the_wait_doubles_up_to_its_limit() -> None:
    waits = [delay_seconds(tries, first_seconds=0.5, longest_seconds=30, share=1.0) for tries in range(1, 10)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@given(tries=st.integers(1, 10**9))
def test_chance_takes_at_most_half_of_the_wait(tries: int) -> None:
    longest = delay_seconds(tries, first_seconds=0.5, longest_seconds=30, share=1.0)
    assert longest / 2 <= delay_seconds(tries, first_seconds=0.5, longest_seconds=30) <= longest
